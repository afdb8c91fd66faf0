import numpy as np
import pytest

from lingjax.models import abstract_model, axes_by_path, flat_parameters, weight_names
from lingjax.models.weight_names import HEADS, plain_name, reason_to_ignore

MODELS = [(family, head) for family in ("gpt2", "bert") for head in HEADS]


@pytest.mark.parametrize(("family", "head"), MODELS)
def test_every_parameter_has_one_row_with_one_axis_name_per_axis(family, head, configs):
    parameters = flat_parameters(abstract_model(configs[family], head))
    rows = weight_names(family, head)
    assert sorted(row.path for row in rows) == sorted(parameters)
    for path, axes in axes_by_path(family, head).items():
        assert len(axes) == parameters[path].ndim, path


@pytest.mark.parametrize(("family", "head"), MODELS)
def test_axes_of_one_name_have_one_size(family, head, configs):
    config = configs[family]
    sizes = {
        "layers": config.depth,
        "width": config.width,
        "width_out": config.width,
        "three": 3,
        "heads": config.num_heads,
        "head_dim": config.head_dim,
        "mlp_width": config.mlp_width,
        "vocab": config.vocab_size,
        "length": config.max_length,
        "segments": config.segment_count,
        "classes": 2,
    }
    parameters = flat_parameters(abstract_model(config, head))
    for path, axes in axes_by_path(family, head).items():
        assert parameters[path].shape == tuple(sizes[axis] for axis in axes), path


@pytest.mark.parametrize(("family", "head"), MODELS)
def test_names_and_shapes_are_those_of_transformers(family, head, configs, reference):
    stored = {name: tuple(value.shape) for name, value in reference(family, head).model.named_parameters()}
    if (family, head) == ("bert", "backbone"):
        stored = {name: shape for name, shape in stored.items() if not name.startswith("pooler.")}
    parameters = flat_parameters(abstract_model(configs[family], head))
    rows = weight_names(family, head)
    ours = {
        name: row.stored_shape(parameters[row.path].shape)
        for row in rows
        for name, _ in row.tensors(parameters[row.path].shape)
    }
    assert ours == stored


@pytest.mark.parametrize(("family", "head"), MODELS)
def test_storing_and_reading_back_is_the_identity(family, head, configs):
    parameters = flat_parameters(abstract_model(configs[family], head))
    for row in weight_names(family, head):
        shape = parameters[row.path].shape
        original = np.arange(np.prod(shape)).reshape(shape)
        copy = np.full(shape, -1)
        for _, index in row.tensors(shape):
            copy[index] = row.from_stored(row.to_stored(original[index], shape), shape)
        np.testing.assert_array_equal(copy, original, err_msg=row.path)


@pytest.mark.parametrize(
    ("family", "stored", "plain"),
    [
        ("bert", "bert.encoder.layer.1.output.LayerNorm.beta", "encoder.layer.1.output.LayerNorm.bias"),
        ("bert", "cls.predictions.transform.LayerNorm.gamma", "cls.predictions.transform.LayerNorm.weight"),
        ("bert", "embeddings.LayerNorm.weight", "embeddings.LayerNorm.weight"),
        ("gpt2", "transformer.h.0.ln_1.weight", "h.0.ln_1.weight"),
        ("gpt2", "h.0.ln_1.weight", "h.0.ln_1.weight"),
    ],
)
def test_older_spellings_have_the_same_plain_name(family, stored, plain):
    assert plain_name(family, stored) == plain


@pytest.mark.parametrize(
    ("family", "head", "name", "ignored"),
    [
        ("gpt2", "pairs", "h.11.attn.bias", True),
        ("gpt2", "pairs", "h.11.attn.c_attn.bias", False),
        ("gpt2", "pairs", "lm_head.weight", True),
        ("gpt2", "language_model", "lm_head.weight", False),
        ("bert", "pairs", "pooler.dense.weight", False),
        ("bert", "backbone", "pooler.dense.weight", True),
        ("bert", "language_model", "cls.seq_relationship.bias", True),
        ("bert", "language_model", "cls.predictions.bias", False),
        ("bert", "backbone", "encoder.layer.0.adapter.weight", False),
    ],
)
def test_only_declared_tensors_are_ignored(family, head, name, ignored):
    assert (reason_to_ignore(family, head, name) is not None) == ignored
