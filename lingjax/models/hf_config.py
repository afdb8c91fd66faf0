"""Hugging Face `config.json` to `ModelConfig`, and back."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingjax.errors import InputError, nearest, raise_problems
from lingjax.models.config import FAMILIES, ModelConfig
from lingjax.models.weight_names import Head

# Our field: their key and the value that an absent key means, from transformers' GPT2Config and BertConfig: files hold
# only what differs from these.
_KEYS: dict[str, dict[str, tuple[str, Any]]] = {
    "gpt2": {
        "vocab_size": ("vocab_size", 50257),
        "max_length": ("n_positions", 1024),
        "width": ("n_embd", 768),
        "depth": ("n_layer", 12),
        "num_heads": ("n_head", 12),
        "dropout_rate": ("resid_pdrop", 0.1),
        "attention_dropout_rate": ("attn_pdrop", 0.1),
        "norm_epsilon": ("layer_norm_epsilon", 1e-5),
        "activation": ("activation_function", "gelu_new"),
        "init_scale": ("initializer_range", 0.02),
    },
    "bert": {
        "vocab_size": ("vocab_size", 30522),
        "max_length": ("max_position_embeddings", 512),
        "width": ("hidden_size", 768),
        "depth": ("num_hidden_layers", 12),
        "num_heads": ("num_attention_heads", 12),
        "mlp_width": ("intermediate_size", 3072),
        "dropout_rate": ("hidden_dropout_prob", 0.1),
        "attention_dropout_rate": ("attention_probs_dropout_prob", 0.1),
        "norm_epsilon": ("layer_norm_eps", 1e-12),
        "activation": ("hidden_act", "gelu"),
        "segment_count": ("type_vocab_size", 2),
        "init_scale": ("initializer_range", 0.02),
    },
}

# Their spellings of one activation; the first is what we write.
_ACTIVATIONS = {
    "gelu": ("gelu", "gelu_python"),
    "gelu_tanh": ("gelu_new", "gelu_pytorch_tanh", "gelu_fast"),
    "relu": ("relu",),
}

# Their key, the only value that our arithmetic matches (also that of an absent key), and what another would mean.
_REQUIRED: dict[str, tuple[tuple[str, Any, str], ...]] = {
    "gpt2": (
        ("scale_attn_weights", True, "attention scores are left unscaled"),
        ("scale_attn_by_inverse_layer_idx", False, "attention is scaled by the layer's number"),
        ("reorder_and_upcast_attn", False, "attention is computed in another order"),
        ("add_cross_attention", False, "layers attend to an encoder"),
    ),
    "bert": (
        ("position_embedding_type", "absolute", "positions are relative"),
        ("is_decoder", False, "attention is causal"),
        ("add_cross_attention", False, "layers attend to an encoder"),
    ),
}

# The dropouts beside `dropout_rate` for which we have no rate of their own.
_OTHER_DROPOUT = {"gpt2": "embd_pdrop", "bert": "classifier_dropout"}

_ARCHITECTURES: dict[tuple[str, Head], str] = {
    ("gpt2", "backbone"): "GPT2Model",
    ("gpt2", "language_model"): "GPT2LMHeadModel",
    ("gpt2", "pairs"): "GPT2ForSequenceClassification",
    ("bert", "backbone"): "BertModel",
    ("bert", "language_model"): "BertForMaskedLM",
    ("bert", "pairs"): "BertForSequenceClassification",
}

PAIR_LABELS = ("not_a_match", "match")


def read_json(folder: Path) -> dict[str, Any]:
    """Returns the folder's `config.json`.

    Raises:
      InputError: there is none, it is not a JSON object, or its `model_type` is none of our families.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} has no config.json; a Hugging Face model folder was expected")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds {type(values).__name__}, expected a JSON object")
    if values.get("model_type") not in FAMILIES:
        raise InputError(
            f"{path}: model_type={values.get('model_type')!r} is not supported, only {' and '.join(FAMILIES)} are"
        )
    return values


def read_config(folder: Path, changes: Mapping[str, Any] | None = None) -> ModelConfig:
    """Translates a folder's `config.json`.

    Args:
      folder: a local Hugging Face folder.
      changes: fields of `ModelConfig` that replace what the file says, for example a dropout rate.

    Raises:
      InputError: the file cannot be read, describes arithmetic that differs from ours, or a change is not a field.
    """
    changes = dict(changes or {})
    fields = [field.name for field in dataclasses.fields(ModelConfig)]
    for name in changes:
        if name not in fields:
            raise InputError(f"the model has no setting '{name}', {nearest(name, fields)}")
    theirs = read_json(folder)
    family = theirs["model_type"]
    values, problems = _read_fields(theirs, family)
    for key, required, meaning in _REQUIRED[family]:
        if theirs.get(key, required) != required:
            problems.append(f"{key}={theirs[key]!r} is not supported ({meaning}); expected {required!r}")
    other = theirs.get(_OTHER_DROPOUT[family])
    if other is not None and other != values.get("dropout_rate") and "dropout_rate" not in changes:
        problems.append(
            f"{_OTHER_DROPOUT[family]}={other} differs from {_KEYS[family]['dropout_rate'][0]}="
            f"{values.get('dropout_rate')}, and there is one dropout_rate here: set it explicitly"
        )
    raise_problems(str(folder / "config.json"), problems)
    return ModelConfig(**{**values, **changes})


def _read_fields(theirs: Mapping[str, Any], family: str) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {"family": family}
    problems = []
    for field, (key, default) in _KEYS[family].items():
        value = theirs.get(key, default)
        allowed = (int, float) if isinstance(default, float) else type(default)
        if isinstance(value, bool) or not isinstance(value, allowed):
            problems.append(f"{key}={value!r} is not a value like {default!r}")
        else:
            values[field] = type(default)(value)
    if problems:
        return values, problems
    by_name = {name: ours for ours, names in _ACTIVATIONS.items() for name in names}
    if values["activation"] not in by_name:
        problems.append(
            f"activation '{values['activation']}' is not supported, {nearest(values['activation'], by_name)}"
        )
    else:
        values["activation"] = by_name[values["activation"]]
    if family == "gpt2":
        values["mlp_width"] = theirs.get("n_inner") or 4 * values["width"]
    values["pad_id"] = _pad_id(theirs, family, values["vocab_size"])
    return values, problems


def _pad_id(theirs: Mapping[str, Any], family: str, vocab_size: int) -> int:
    """GPT-2 has no padding token, so its end of text serves (arXiv 2412.07678); padding is masked either way."""
    pad_id = theirs.get("pad_token_id")
    if pad_id is not None:
        return pad_id
    end_id = theirs.get("eos_token_id", 50256) if family == "gpt2" else 0
    end_id = end_id[0] if isinstance(end_id, list) else end_id
    return end_id if end_id is not None and end_id < vocab_size else 0


def why_not_pair_classifier(theirs: Mapping[str, Any]) -> str | None:
    """Returns why a folder's classifier, if it has one, is not one of pairs; None if it is.

    Other tasks' classes give their classifier the same name, so that only the config tells them apart.
    """
    architectures = theirs.get("architectures") or []
    if architectures and not any(name.endswith("ForSequenceClassification") for name in architectures):
        return f"classifier of another task, {', '.join(architectures)}"
    labels = theirs.get("num_labels") or len(theirs.get("id2label") or PAIR_LABELS)
    if labels != len(PAIR_LABELS):
        return f"classifier of {labels} classes, not of {len(PAIR_LABELS)}"
    return None


def to_hf_config(config: ModelConfig, head: Head, *, end_id: int | None = None) -> dict[str, Any]:
    """Returns the `config.json` with which transformers builds the same model.

    Args:
      config: our description; compute type and scanning have no counterpart there.
      head: decides `architectures`, and for pairs the labels.
      end_id: GPT-2's end-of-text token; `pad_id` if not given.
    """
    family = config.family
    values = {key: getattr(config, field) for field, (key, _) in _KEYS[family].items()}
    values[_KEYS[family]["activation"][0]] = _ACTIVATIONS[config.activation][0]
    values |= {
        "model_type": family,
        "architectures": [_ARCHITECTURES[family, head]],
        "pad_token_id": config.pad_id,
        "tie_word_embeddings": True,
    }
    if family == "gpt2":
        end_id = config.pad_id if end_id is None else end_id
        values |= {"n_inner": config.mlp_width, "embd_pdrop": config.dropout_rate}
        values |= {"bos_token_id": end_id, "eos_token_id": end_id}
    if head == "pairs":
        values["id2label"] = {str(number): label for number, label in enumerate(PAIR_LABELS)}
        values["label2id"] = {label: number for number, label in enumerate(PAIR_LABELS)}
    return values
