"""Hugging Face `config.json` to `ModelConfig`, and back."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lingjax.errors import InputError, nearest, raise_problems
from lingjax.models.config import FAMILIES, ModelConfig
from lingjax.models.hf_classifier import PAIR_LABELS, PAIRS_KEY
from lingjax.models.weight_names import Head
from lingjax.sealed import check_sums

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

# Their other names of keys. A config may hold both; transformers then takes what these say.
_ALIASES = {
    "gpt2": {
        "n_positions": "max_position_embeddings",
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
    },
    "bert": {},
}

# Their spellings of one activation; the first is what we write.
_ACTIVATIONS = {
    "gelu": ("gelu", "gelu_python"),
    "gelu_tanh": ("gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python_tanh"),
    "relu": ("relu",),
}

# Their key, the values that our arithmetic matches (the first is also that of an absent key), and what another would
# mean. GPT-2's `reorder_and_upcast_attn` is not among them: it changes the order of operations, not their result, and
# `scale_attn_by_inverse_layer_idx` is folded into the queries (`hf.load_pretrained`).
_REQUIRED: dict[str, tuple[tuple[str, tuple[Any, ...], str], ...]] = {
    "gpt2": (
        ("scale_attn_weights", (True,), "attention scores are left unscaled"),
        ("add_cross_attention", (False, None), "layers attend to an encoder"),
    ),
    "bert": (
        ("position_embedding_type", ("absolute", None), "positions are relative"),
        ("is_decoder", (False, None), "attention is causal"),
        ("add_cross_attention", (False, None), "layers attend to an encoder"),
    ),
}
INVERSE_LAYER_SCALE = "scale_attn_by_inverse_layer_idx"
"""Their key of GPT-2: the scores of layer l, from 0, are divided by l + 1."""

_FLAGS = {"gpt2": (INVERSE_LAYER_SCALE, "reorder_and_upcast_attn"), "bert": ()}

# The dropouts beside `dropout_rate` for which we have no rate of their own.
_OTHER_DROPOUT = {"gpt2": "embd_pdrop", "bert": "classifier_dropout"}

_LARGEST = 2**24  # of any size in a config: far above any model's, and a tensor's shape still fits into 64 bits

_ARCHITECTURES: dict[tuple[str, Head], str] = {
    ("gpt2", "backbone"): "GPT2Model",
    ("gpt2", "language_model"): "GPT2LMHeadModel",
    ("gpt2", "pairs"): "GPT2ForSequenceClassification",
    ("bert", "backbone"): "BertModel",
    ("bert", "language_model"): "BertForMaskedLM",
    ("bert", "pairs"): "BertForSequenceClassification",
}

# Of a folder that is exported again: what describes its files, not its model.
_OF_OLD_FILES = ("dtype", "torch_dtype", "transformers_version", "_name_or_path", "quantization_config")


def read_config_json(folder: Path) -> dict[str, Any]:
    """Returns the folder's `config.json`.

    Raises:
      InputError: there is none, it is not a JSON object, or its `model_type` is none of our families.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} has no config.json; a Hugging Face model folder was expected")
    check_sums(folder, [path.name])
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}; download it again") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds {type(values).__name__}, expected a JSON object")
    if values.get("model_type") not in FAMILIES:
        raise InputError(
            f"{path}: model_type={values.get('model_type')!r} is not supported, only {' and '.join(FAMILIES)} are"
            + _way_to_text_model(values)
        )
    return values


def _way_to_text_model(values: Mapping[str, Any]) -> str:
    """Says what to do with the folder of a model of several parts, one of which is a text model of our families."""
    for name in ("text_config", "decoder", "encoder"):  # names of transformers' composite configs
        part = values.get(name)
        if isinstance(part, dict) and part.get("model_type") in FAMILIES:
            return f"; its {name} is a {part['model_type']}: save that part of the model alone, with its tokenizer"
    return ""


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
    theirs = read_config_json(folder)
    family = theirs["model_type"]
    values, problems = _read_fields(theirs, family)
    for key, matched, meaning in _REQUIRED[family]:
        if theirs.get(key, matched[0]) not in matched:
            problems.append(f"{key}={theirs[key]!r} is not supported ({meaning}); expected {matched[0]!r}")
    rate = theirs.get(_OTHER_DROPOUT[family], 0 if family == "gpt2" else None)
    if (rate is not None or family == "gpt2") and not _is_rate(rate):
        problems.append(f"{_OTHER_DROPOUT[family]}={_shown(rate)} is not at least 0 and less than 1")
    for key in _FLAGS[family]:
        if not isinstance(theirs.get(key, False), bool):
            problems.append(f"{key}={theirs[key]!r} is neither true nor false")
    if theirs.get("auto_map"):
        problems.append(
            "auto_map says that the model brings its own code, which is never run; if it is an ordinary "
            f"{family} nevertheless, remove auto_map"
        )
    if theirs.get("quantization_config"):
        problems.append("quantization_config says that the weights are quantised; give the model in float32 or 16 bits")
    raise_problems(str(folder / "config.json"), problems)
    try:
        return ModelConfig(**{**values, **changes})
    except InputError as error:
        raise InputError(f"{folder / 'config.json'}: {error}") from error


def _read_fields(theirs: Mapping[str, Any], family: str) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {"family": family}
    problems = []
    for field, (key, default) in _KEYS[family].items():
        key = _ALIASES[family].get(key, key) if _ALIASES[family].get(key) in theirs else key
        value = theirs.get(key, default)
        allowed = (int, float) if isinstance(default, float) else type(default)
        if isinstance(value, bool) or not isinstance(value, allowed):
            problems.append(f"{key}={_shown(value)} is not a value like {default!r}")
        elif isinstance(default, int) and abs(value) > _LARGEST:
            problems.append(f"{key}={_shown(value)} is larger than any model's")
        elif isinstance(default, float) and not math.isfinite(value):
            problems.append(f"{key}={value!r} is no finite number")
        else:
            values[field] = type(default)(value)
    if family == "gpt2" and not problems:
        values["mlp_width"] = 4 * values["width"] if (inner := theirs.get("n_inner")) is None else inner
        if isinstance(inner, bool) or not isinstance(values["mlp_width"], int):
            problems.append(f"n_inner={_shown(inner)} is neither a whole number nor null")
    if problems:
        return values, problems
    by_name = {name: ours for ours, names in _ACTIVATIONS.items() for name in names}
    if values["activation"] not in by_name:
        problems.append(
            f"activation '{values['activation']}' is not supported, {nearest(values['activation'], by_name)}"
        )
    else:
        values["activation"] = by_name[values["activation"]]
    try:
        values["pad_id"] = _pad_id(theirs, family, values["vocab_size"])
    except InputError as error:
        problems.append(str(error))
    return values, problems


def _is_rate(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _pad_id(theirs: Mapping[str, Any], family: str, vocab_size: int) -> int:
    """GPT-2 has no padding token, so its end of text serves (arXiv 2412.07678); padding is masked either way."""
    pad_id = theirs.get("pad_token_id")
    if pad_id is not None:
        if not _is_token(pad_id, vocab_size):
            raise InputError(
                f"pad_token_id={_shown(pad_id)} is no token of the {vocab_size} here; give the tokenizer's, or null"
            )
        return pad_id
    end_id = theirs.get("eos_token_id", 50256) if family == "gpt2" else 0
    ends = [0 if end is None else end for end in (end_id if isinstance(end_id, list) else [end_id])]
    if not ends or any(isinstance(end, bool) or not isinstance(end, int) for end in ends):
        raise InputError(f"eos_token_id={_shown(end_id)} is neither a token's id nor null")
    return ends[0] if 0 <= ends[0] < vocab_size else 0


def check_dropout(folder: Path, config: ModelConfig, head: Head, changes: Mapping[str, Any] | None = None) -> None:
    """Refuses to train with one dropout rate a model whose folder has two; without training they mean nothing.

    Args:
      folder: the model's.
      config: as it was read.
      head: BERT's second rate is that of the pair classifier.
      changes: what replaces the folder's values; a rate that is set here is the one that is wanted.

    Raises:
      InputError: the rates differ and none is set.
    """
    key = _OTHER_DROPOUT[config.family]
    other = read_config_json(folder).get(key)
    if other is None or "dropout_rate" in (changes or {}) or (config.family == "bert" and head != "pairs"):
        return
    if other != config.dropout_rate:
        raise InputError(
            f"{folder / 'config.json'}: {key}={_shown(other)} differs from {_KEYS[config.family]['dropout_rate'][0]}="
            f"{config.dropout_rate}, and there is one rate here: choose it by --config.model.dropout_rate"
        )


def to_hf_config(
    config: ModelConfig,
    head: Head,
    *,
    end_id: int | None = None,
    labels: Sequence[str] = PAIR_LABELS,
    original: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the `config.json` with which transformers builds the same model.

    Args:
      config: our description; compute type and scanning have no counterpart there.
      head: decides `architectures`, and for pairs the labels.
      end_id: GPT-2's end-of-text token; `pad_id` if not given.
      labels: names of the classes 0 and 1.
      original: the `config.json` of the folder that is written again: what it says beyond our description is kept.
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
        end = config.pad_id if end_id is None else end_id
        values |= {"n_inner": config.mlp_width, "embd_pdrop": config.dropout_rate}
        values |= {"bos_token_id": end, "eos_token_id": end}
    if head == "pairs":
        values["id2label"] = {str(number): label for number, label in enumerate(labels)}
        values["label2id"] = {label: number for number, label in enumerate(labels)}
    return values if original is None else _kept(original, family) | values | _own_words(original, config, end_id)


def _kept(original: Mapping[str, Any], family: str) -> dict[str, Any]:
    """What a folder says that our description has no place for; null where transformers takes no null is dropped."""
    dropped = {
        PAIRS_KEY,
        *_OF_OLD_FILES,
        *_ALIASES[family].values(),
        *_FLAGS[family],
        "num_labels",
        "id2label",
        "label2id",
    }
    required = {key for key, _, _ in _REQUIRED[family]}
    return {
        key: value for key, value in original.items() if key not in dropped and not (key in required and value is None)
    }


def _own_words(original: Mapping[str, Any], config: ModelConfig, end_id: int | None) -> dict[str, Any]:
    """What a folder says itself where our description would say less: a second dropout rate, tokens without a name."""
    key = _OTHER_DROPOUT[config.family]
    words = {key: original[key]} if original.get(key) is not None else {}
    if config.family == "gpt2" and end_id is None:
        ends = {name: original.get(name) for name in ("bos_token_id", "eos_token_id")}
        words |= {name: value for name, value in ends.items() if value is None or _is_token(value, config.vocab_size)}
    return words


def _is_token(value: Any, vocab_size: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < vocab_size
