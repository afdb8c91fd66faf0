import json

import pytest

from lingjax.errors import InputError
from lingjax.models import read_config
from lingjax.models.hf_config import to_hf_config

MODELS = [(family, head) for family in ("gpt2", "bert") for head in ("backbone", "language_model", "pairs")]


@pytest.mark.parametrize(("family", "head"), MODELS)
def test_a_written_config_reads_back_as_the_same_model(family, head, configs, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(to_hf_config(configs[family], head)))
    assert read_config(tmp_path) == configs[family]


@pytest.mark.parametrize(
    ("theirs", "fields"),
    [
        ({"model_type": "gpt2"}, {"width": 768, "mlp_width": 3072, "max_length": 1024, "pad_id": 50256}),
        ({"model_type": "gpt2", "n_inner": 101}, {"mlp_width": 101}),
        ({"model_type": "gpt2", "pad_token_id": 7}, {"pad_id": 7}),
        ({"model_type": "gpt2", "vocab_size": 53}, {"pad_id": 0}),
        ({"model_type": "gpt2", "activation_function": "gelu_pytorch_tanh"}, {"activation": "gelu_tanh"}),
        ({"model_type": "bert"}, {"width": 768, "norm_epsilon": 1e-12, "segment_count": 2, "activation": "gelu"}),
        ({"model_type": "bert", "hidden_dropout_prob": 0}, {"dropout_rate": 0}),
    ],
)
def test_absent_keys_mean_what_transformers_means(theirs, fields, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(theirs))
    config = read_config(tmp_path)
    assert {name: getattr(config, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"model_type": "llama"}, "model_type='llama' is not supported, only gpt2 and bert"),
        ({}, "model_type=None is not supported"),
        (
            {"model_type": "llava", "text_config": {"model_type": "bert"}, "vision_config": {}},
            "only gpt2 and bert are; its text_config is a bert: save that part of the model alone, with its tokenizer",
        ),
        ({"model_type": "clip", "text_config": "bert", "decoder": None}, "only gpt2 and bert are$"),
        ({"model_type": "gpt2", "scale_attn_weights": False}, "scale_attn_weights=False .*unscaled"),
        ({"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": "yes"}, "neither true nor false"),
        ({"model_type": "gpt2", "add_cross_attention": True}, "attend to an encoder"),
        ({"model_type": "gpt2", "n_embd": "wide"}, "n_embd='wide' is not a value like 768"),
        ({"model_type": "bert", "position_embedding_type": "relative_key"}, "positions are relative"),
        ({"model_type": "bert", "is_decoder": True}, "attention is causal"),
        ({"model_type": "bert", "hidden_act": "swish"}, "activation 'swish' is not supported"),
        ({"model_type": "bert", "hidden_size": 100}, "does not divide into num_heads=12"),
    ],
)
def test_a_config_that_means_other_arithmetic_is_refused(theirs, message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(theirs))
    with pytest.raises(InputError, match=message):
        read_config(tmp_path)


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "holds list")])
def test_a_damaged_config_is_refused(text, message, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(tmp_path)


def test_a_folder_without_config_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json"):
        read_config(tmp_path)


def test_changes_replace_what_the_file_says(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "classifier_dropout": 0.3}))
    assert read_config(tmp_path, {"dropout_rate": 0.2}).dropout_rate == 0.2
    with pytest.raises(InputError, match="no setting 'droput_rate', did you mean 'dropout_rate'"):
        read_config(tmp_path, {"droput_rate": 0.2})
