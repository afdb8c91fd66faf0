import dataclasses
import json

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from lingjax.errors import InputError
from lingjax.models import ModelConfig, abstract_model, flat_parameters, preset


def _parameter_count(config: ModelConfig) -> int:
    return sum(leaf.size for leaf in flat_parameters(abstract_model(config, "backbone")).values())


@pytest.mark.parametrize(
    ("family", "size", "vocab_size", "parameters"),
    [
        # What transformers counts for GPT2Model, and for BertModel without its pooler (width * (width + 1) less).
        ("gpt2", "small", 50257, 124_439_808),
        ("gpt2", "medium", 50257, 354_823_168),
        ("gpt2", "large", 50257, 774_030_080),
        ("gpt2", "xl", 50257, 1_557_611_200),
        ("bert", "base", 30522, 109_482_240 - 768 * 769),
        ("bert", "large", 30522, 335_141_888 - 1024 * 1025),
    ],
)
def test_presets_have_the_published_parameter_counts(family, size, vocab_size, parameters):
    assert _parameter_count(preset(family, size, vocab_size=vocab_size)) == parameters


def test_a_config_survives_json(configs):
    for config in configs.values():
        assert ModelConfig(**json.loads(json.dumps(config.to_json()))) == config


def test_width_that_does_not_divide_names_the_nearest_that_do(configs):
    with pytest.raises(InputError, match=r"width=37 does not divide into num_heads=5.* are 35 and 40"):
        dataclasses.replace(configs["gpt2"], width=37)


def test_all_problems_are_named_together(configs):
    with pytest.raises(InputError) as error:
        dataclasses.replace(configs["bert"], depth=0, dropout_rate=1.0, pad_id=53, activation="gelo", segment_count=0)
    for part in ("depth=0", "dropout_rate=1.0", "pad_id=53", "did you mean 'gelu'", "segment_count=0"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("param_dtype", "float23", "did you mean 'float32'"),
        ("compute_dtype", "int8", "choose one of: bfloat16, float32"),
        ("attention_dropout_rate", -0.1, "attention_dropout_rate=-0.1 must be at least 0"),
        ("attention", "cudn", "did you mean 'cudnn'"),
    ],
)
def test_a_bad_value_is_refused_by_name(configs, field, value, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(configs["bert"], **{field: value})


@pytest.mark.parametrize(
    ("family", "size", "message"),
    [
        ("gpt2", "smal", "did you mean 'small'"),
        ("gpt3", "small", "did you mean 'gpt2'"),
        ("bert", "xl", "no size 'xl'"),
    ],
)
def test_an_unknown_preset_is_refused(family, size, message):
    with pytest.raises(InputError, match=message):
        preset(family, size, vocab_size=53)


def test_a_preset_takes_another_shape():
    config = preset("gpt2", "mini", vocab_size=8192, max_length=256, width=320, depth=6, num_heads=5)
    assert (config.width, config.depth, config.num_heads, config.mlp_width) == (320, 6, 5, 1280)
    assert _parameter_count(config) == 8192 * 320 + 256 * 320 + 6 * (12 * 320**2 + 13 * 320) + 2 * 320
    assert preset("gpt2", "mini", vocab_size=8192, depth=6).width == 256
    with pytest.raises(InputError, match="depth=0 must be at least 1"):
        preset("gpt2", "mini", vocab_size=8192, depth=0)


def test_changes_override_a_preset():
    config = preset("bert", "tiny", vocab_size=53, max_length=29, dropout_rate=0.0, mlp_width=101)
    assert (config.max_length, config.dropout_rate, config.mlp_width) == (29, 0.0, 101)


def test_an_abstract_model_is_ones_own():
    config = preset("gpt2", "tiny", vocab_size=11)
    one, other = (abstract_model(config, "backbone") for _ in range(2))
    shapes = flat_parameters(other)
    nnx.update(one, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), nnx.state(one)))
    assert isinstance(next(iter(flat_parameters(one).values())), jax.Array)
    assert flat_parameters(other) == flat_parameters(abstract_model(config, "backbone")) == shapes
