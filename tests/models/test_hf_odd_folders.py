"""Folders whose config.json or tensors say odd things: transformers' logits, or one line; never a traceback."""

import dataclasses
import functools
import json
import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import torch
import transformers

from lingjax.errors import InputError
from lingjax.models import load_pretrained, merge_model, read_config, read_pair_settings
from lingjax.models.hf_classifier import why_not_pair_classifier

torch.set_num_threads(1)  # of models this small more threads only wait for each other

TINY = {
    "gpt2": {
        "model_type": "gpt2",
        "vocab_size": 53,
        "n_positions": 17,
        "n_embd": 40,
        "n_layer": 2,
        "n_head": 5,
        "n_inner": 31,
        "pad_token_id": 52,
    },
    "bert": {
        "model_type": "bert",
        "vocab_size": 53,
        "max_position_embeddings": 17,
        "hidden_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 5,
        "intermediate_size": 31,
    },
}
CLASSES = {"gpt2": "GPT2ForSequenceClassification", "bert": "BertForSequenceClassification"}
ODD = (
    *(None, True, False, 0, 1, 2, -1, 7, 10**9, 10**30, 0.0, 0.1, 1e-5, -0.5, 1e300, float("nan"), float("inf")),
    *("", "x", "0", "160", [], [0], ["x"], [None], {}, {"0": "x"}, {"0": "a", "1": "b"}, {"1": "a", "2": "b"}),
)
KEYS = {
    "gpt2": (
        *("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "activation_function", "resid_pdrop"),
        *("embd_pdrop", "attn_pdrop", "layer_norm_epsilon", "initializer_range", "scale_attn_weights", "hidden_size"),
        *("scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "num_attention_heads", "eos_token_id"),
    ),
    "bert": (
        *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act"),
        *("hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings", "type_vocab_size"),
        *("layer_norm_eps", "initializer_range", "is_decoder", "position_embedding_type", "classifier_dropout"),
    ),
}
SHARED = ("pad_token_id", "architectures", "id2label", "num_labels", "problem_type", "auto_map", "model_type")
SHARED += ("add_cross_attention", "quantization_config", "tie_word_embeddings", "lingjax_pairs", "dtype")
ACTIVATIONS = ("gelu", "gelu_new", "gelu_python", "gelu_fast", "gelu_python_tanh", "relu", "silu", "gelu_10")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a function: a folder of a family, its config.json changed."""
    root = tmp_path_factory.mktemp("odd")

    @functools.cache
    def weights(family):
        model = getattr(transformers, CLASSES[family])(transformers.AutoConfig.for_model(**TINY[family]))
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0.0, 0.3, generator=generator)
        model.save_pretrained(root / family)
        return root / family / "model.safetensors"

    def make(family, config, tensors=None):
        changed = root / "changed"
        changed.mkdir(exist_ok=True)
        shutil.copy(weights(family), changed / "model.safetensors")
        if tensors is not None:
            held = safetensors.numpy.load_file(changed / "model.safetensors")
            safetensors.numpy.save_file(tensors(held), changed / "model.safetensors", metadata={"format": "pt"})
        written = {**TINY[family], "architectures": [CLASSES[family]], **config}
        (changed / "config.json").write_text(json.dumps(written))
        return changed

    return make


@functools.partial(jax.jit, static_argnames="config")
def _ours(config, parameters, token_ids):
    positions = jnp.broadcast_to(jnp.arange(token_ids.shape[1]), token_ids.shape)
    ones, pools = jnp.ones_like(token_ids), jnp.full((len(token_ids), 1), -1 if config.family == "gpt2" else 0)
    inputs = {"document_ids": ones, "positions": positions, "segment_ids": 0 * ones}
    return merge_model(config, "pairs", parameters)(token_ids, pool_positions=pools % 11, **inputs)[:, 0]


def _agree(folder, loaded):
    """Compares logits; says whether transformers had any."""
    token_ids = np.random.default_rng(0).integers(1, 50, (3, 11)).astype(np.int32)
    token_ids[:, -1] = 50  # no pad token of these tests
    try:
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    except Exception:  # what transformers does not load need not agree with anything
        return False
    with torch.no_grad():
        rows = torch.tensor(token_ids, dtype=torch.long)[:, None]  # one at a time: without a pad token it takes no more
        theirs = np.concatenate([model.eval()(row).logits.numpy() for row in rows])
    np.testing.assert_allclose(_ours(loaded.config, loaded.parameters, token_ids), theirs, rtol=0, atol=2e-5)
    return True


def _try(folder, compared, *, compare_anyway):
    """Loads, and compares with transformers once per arithmetic; returns whether it was accepted."""
    theirs = json.loads((folder / "config.json").read_text())
    try:
        config = read_config(folder)
        read_pair_settings(theirs, folder)
        names = [theirs.get(key) for key in ("activation_function", "hidden_act", "scale_attn_by_inverse_layer_idx")]
        of_training = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0, "init_scale": 0.0, "pad_id": 0}
        arithmetic = (dataclasses.replace(config, **of_training), *names)
        why_not_pair_classifier(theirs)
        if arithmetic not in compared or compare_anyway:  # a load takes a tenth of a second
            _agree(folder, load_pretrained(folder, head="pairs"))
            compared.add(arithmetic)
    except InputError as error:
        assert "\n" not in str(error)
        return False
    return True


@pytest.mark.parametrize("share", [0.04, pytest.param(1.0, marks=pytest.mark.exhaustive)], ids=["some", "all"])
@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_an_odd_config_gives_transformers_logits_or_one_line(family, share, folder):
    draw, compared, accepted = random.Random(1), set(), 0
    keys = (*KEYS[family], *SHARED)
    tried = [{key: value} for key in keys for value in ODD]
    activation = {"gpt2": "activation_function", "bert": "hidden_act"}[family]
    tried += [{activation: name} for name in ACTIVATIONS]
    tried += [{draw.choice(keys): draw.choice(ODD) for _ in range(3)} for _ in range(100)]
    tried = draw.sample(tried, round(share * len(tried)))
    for config in tried:
        accepted += _try(folder(family, config), compared, compare_anyway=draw.random() < 0.1)
    assert accepted > 30 * share


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\xff", "1", "null", '"x"', "1" * 5000, ""])
def test_a_config_that_is_no_object_gives_one_line(text, folder):
    path = folder("gpt2", {})
    (path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"config\.json"):
        read_config(path)


def test_scores_scaled_by_the_layer_are_folded_into_the_queries(folder):
    path = folder("gpt2", {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True})
    assert _agree(path, load_pretrained(path, head="pairs"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architectures": ["BertForNextSentencePrediction"]}, "another task, BertForNextSentencePrediction"),
        ({"architectures": ["BertForMultipleChoice"]}, "another task, BertForMultipleChoice"),
        ({"num_labels": 1}, "classifier of 1 class, not of 2"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "classifier of 3 classes, not of 2"),
        ({"problem_type": "multi_label_classification"}, "problem_type='multi_label_classification'"),
        ({"id2label": {"1": "a", "2": "b"}}, "id2label names the classes 1, 2"),
        ({"id2label": {"0": "a", "1": "b"}, "num_labels": 3}, "num_labels=3, but id2label names 2"),
        ({"auto_map": {"AutoModel": "modeling.Bert"}}, "brings its own code, which is never run"),
        ({"num_hidden_layers": 10**4}, "10,000 layers, and the weights are 41 tensors"),
        ({"num_hidden_layers": 10**6}, "depth=1000000 must be at most 10,000"),
    ],
)
def test_what_keeps_a_classifier_from_being_one_of_pairs_is_said(config, message, folder):
    with pytest.raises(InputError, match=message):
        load_pretrained(folder("bert", config), head="pairs")


def test_a_wrapped_model_names_the_wrapper(folder):
    path = folder("bert", {}, lambda held: {f"module.{name}": tensor for name, tensor in held.items()})
    with pytest.raises(InputError, match=r"all unknown names begin with 'module\.'"):
        load_pretrained(path, head="pairs")


def test_a_weight_that_is_no_number_is_named(folder):
    def spoil(held):
        held["classifier.weight"][1, 3] = np.nan
        return held

    with pytest.raises(InputError, match=r"classifier\.weight holds numbers that are not finite"):
        load_pretrained(folder("bert", {}, spoil), head="pairs")


def test_a_git_lfs_pointer_is_named(folder):
    path = folder("bert", {})
    (path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(InputError, match=r"Git LFS pointer.*git lfs pull"):
        load_pretrained(path, head="pairs")


def test_an_untied_model_without_its_output_matrix_is_refused(folder):
    with pytest.raises(InputError, match=r"missing: lm_head\.weight \(config\.json: tie_word_embeddings=false\)"):
        load_pretrained(folder("gpt2", {"tie_word_embeddings": False}), head="language_model")


def test_two_dropout_rates_stop_training_alone_and_a_chosen_rate_counts(folder):
    path = folder("gpt2", {"embd_pdrop": 0.3})
    load_pretrained(path, head="pairs")
    with pytest.raises(InputError, match=r"embd_pdrop=0\.3 differs from resid_pdrop=0\.1.*dropout_rate"):
        load_pretrained(path, head="pairs", fresh_key=jax.random.key(0))
    chosen = load_pretrained(path, head="pairs", fresh_key=jax.random.key(0), changes={"dropout_rate": 0.2})
    assert chosen.config.dropout_rate == 0.2
