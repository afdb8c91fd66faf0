import functools
import shutil

import jax
import numpy as np
import pytest
import safetensors.numpy
import torch
from flax import nnx, traverse_util

from lingjax.errors import InputError
from lingjax.models import build_model, flat_parameters, load_pretrained, parameters_of

MODELS = [(family, head) for family in ("gpt2", "bert") for head in ("backbone", "language_model", "pairs")]


def _equal(ours, theirs):
    ours, theirs = flat_parameters(ours), flat_parameters(theirs)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[path], theirs[path]) for path in ours)


@functools.partial(jax.jit, static_argnames="config")
def _random_parameters(key, config):
    return parameters_of(build_model(config, "pairs", rngs=nnx.Rngs(key)))


@pytest.mark.parametrize(("family", "head"), MODELS)
def test_every_tensor_is_used_or_ignored_with_a_reason(family, head, reference):
    folder = reference(family, head).folder
    report = load_pretrained(folder, head=head).report
    stored = safetensors.numpy.load_file(folder / "model.safetensors").keys()
    assert {*report.used, *report.ignored} == stored
    assert all(report.ignored.values())
    assert report.fresh == ()


def test_a_tensor_removed_added_and_reshaped_are_named_in_one_error(edit):
    def break_it(tensors):
        del tensors["transformer.h.1.mlp.c_fc.weight"]
        tensors["transformer.h.1.adapter.weight"] = np.zeros((3, 5), np.float32)
        tensors["transformer.ln_f.bias"] = np.zeros(31, np.float32)

    with pytest.raises(InputError) as error:
        load_pretrained(edit("gpt2", "language_model", break_it), head="language_model")
    assert "missing: h.1.mlp.c_fc.weight (for backbone.blocks.mlp.up.kernel)" in str(error.value)
    assert "unknown: transformer.h.1.adapter.weight" in str(error.value)
    assert "ln_f.bias expected (35,), got (31,)" in str(error.value)


@pytest.mark.parametrize(
    ("family", "tied", "original"),
    [
        ("gpt2", "lm_head.weight", "transformer.wte.weight"),
        ("bert", "cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),
    ],
)
def test_an_output_matrix_must_equal_the_embedding(family, tied, original, edit):
    same = edit(family, "language_model", lambda tensors: {**tensors, tied: tensors[original]})
    assert load_pretrained(same, head="language_model").report.ignored[tied].startswith("equals")
    shutil.rmtree(same)
    other = edit(family, "language_model", lambda tensors: {**tensors, tied: tensors[original] + 1})
    with pytest.raises(InputError, match=f"untied from the token embedding, which is not supported: {tied}"):
        load_pretrained(other, head="language_model")


def test_older_spellings_load_the_same(edit, reference):
    def respell(tensors):
        renames = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        respelled = {"bert.embeddings.position_ids": np.arange(17)}
        for name, tensor in tensors.items():
            for new, old in renames.items():
                name = name.replace(new, old)
            respelled[name] = tensor
        return respelled

    pretrained = load_pretrained(edit("bert", "language_model", respell), head="language_model")
    expected = load_pretrained(reference("bert", "language_model").folder, head="language_model")
    assert _equal(pretrained.model(), expected.model())
    assert pretrained.report.ignored["bert.embeddings.position_ids"] == "buffer of constants"
    assert "bert.embeddings.LayerNorm.gamma" in pretrained.report.used


def test_a_backbone_without_prefix_and_with_mask_buffers_loads_into_a_language_model(edit, reference):
    def respell(tensors):
        respelled = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
        return respelled | {"h.0.attn.bias": np.ones((1, 1, 17, 17), np.uint8)}

    pretrained = load_pretrained(edit("gpt2", "language_model", respell), head="language_model")
    expected = load_pretrained(reference("gpt2", "language_model").folder, head="language_model")
    assert _equal(pretrained.model(), expected.model())
    assert pretrained.report.ignored == {"h.0.attn.bias": "buffer of the causal mask"}


def test_two_spellings_of_one_tensor_are_refused(edit):
    folder = edit("gpt2", "backbone", lambda tensors: {**tensors, "transformer.wte.weight": tensors["wte.weight"]})
    with pytest.raises(InputError, match="two tensors for one parameter"):
        load_pretrained(folder, head="backbone")


@pytest.mark.parametrize("stored", ["float16", "bfloat16"])
@pytest.mark.parametrize("kept", ["float32", "bfloat16"])
def test_half_precision_weights_become_the_parameter_type(stored, kept, edit):
    half = torch.float16 if stored == "float16" else torch.bfloat16
    expected = {}

    def halve(tensors):
        cast = {name: torch.tensor(tensor).to(half) for name, tensor in tensors.items()}
        expected["ln_f.weight"] = cast["ln_f.weight"].to(getattr(torch, kept)).float().numpy()
        return {name: np.asarray(jax.numpy.asarray(tensor.float().numpy(), stored)) for name, tensor in cast.items()}

    folder = edit("gpt2", "backbone", halve)
    scale = load_pretrained(folder, head="backbone", changes={"param_dtype": kept}).parameters["final_norm"]["scale"]
    assert scale.dtype == kept
    np.testing.assert_array_equal(np.asarray(scale, np.float32), expected["ln_f.weight"])


def test_quantised_weights_are_refused(edit):
    folder = edit("gpt2", "backbone", lambda tensors: {**tensors, "ln_f.bias": np.ones(35, np.int8)})
    with pytest.raises(InputError, match=r"ln_f\.bias is stored as I8"):
        load_pretrained(folder, head="backbone")


@pytest.mark.parametrize(("family", "head"), [("gpt2", "backbone"), ("gpt2", "language_model"), ("bert", "backbone")])
def test_a_pair_head_starts_as_a_new_model_would(family, head, reference):
    pretrained = load_pretrained(reference(family, head).folder, head="pairs", fresh_key=jax.random.key(5))
    new = traverse_util.flatten_dict(_random_parameters(jax.random.key(5), pretrained.config), sep=".")
    assert pretrained.report.fresh == (("head.kernel",) if family == "gpt2" else ("head.kernel", "head.bias"))
    ours = flat_parameters(pretrained.model())
    for path in pretrained.report.fresh:
        # The compiler fuses the two programs differently: the last bit may differ.
        np.testing.assert_allclose(ours[path], new[path], rtol=3e-7, atol=0)
    assert np.abs(ours["head.kernel"]).max() > 0


def test_a_masked_language_model_also_lacks_the_pooler(reference):
    folder = reference("bert", "language_model").folder
    report = load_pretrained(folder, head="pairs", fresh_key=jax.random.key(0)).report
    assert report.fresh == ("head.kernel", "head.bias", "pooler.kernel", "pooler.bias")
    assert report.ignored["cls.predictions.bias"] == "head of a task that this model does not have"


def test_without_a_key_a_missing_head_is_an_error(reference):
    with pytest.raises(InputError, match=r"not in the checkpoint \(fine-tune it first\): head.kernel"):
        load_pretrained(reference("gpt2", "backbone").folder, head="pairs")


def test_a_trained_head_with_a_random_pooler_is_refused(edit):
    def drop_pooler(tensors):
        return {name: tensor for name, tensor in tensors.items() if "pooler" not in name}

    with pytest.raises(InputError, match=r"missing: pooler\.dense\.weight"):
        load_pretrained(edit("bert", "pairs", drop_pooler), head="pairs", fresh_key=jax.random.key(0))


def test_half_a_head_is_refused(edit):
    def drop_bias(tensors):
        del tensors["classifier.bias"]

    with pytest.raises(InputError, match=r"missing: classifier\.bias"):
        load_pretrained(edit("bert", "pairs", drop_bias), head="pairs", fresh_key=jax.random.key(0))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"architectures": ["BertForTokenClassification"]}, "classifier of another task, BertForTokenClassification"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "classifier of 3 classes, not of 2"),
    ],
)
def test_a_classifier_of_something_else_is_ignored_by_name(config, reason, edit):
    folder = edit("bert", "pairs", lambda tensors: None, **config)
    report = load_pretrained(folder, head="pairs", fresh_key=jax.random.key(0)).report
    assert report.fresh == ("head.kernel", "head.bias")
    assert report.ignored["classifier.weight"] == reason


def test_a_language_head_is_fresh_only_if_asked(reference):
    folder = reference("bert", "backbone").folder
    with pytest.raises(InputError, match=r"missing: cls\.predictions\.transform\.dense\.weight"):
        load_pretrained(folder, head="language_model", fresh_key=jax.random.key(0))
    asked = ("output_bias", "transform_norm", "transform")
    report = load_pretrained(folder, head="language_model", fresh_key=jax.random.key(0), may_be_fresh=asked).report
    assert {path.split(".")[0] for path in report.fresh} == set(asked)


def test_place_receives_every_leaf(reference):
    placed = {}

    def place(path, array):
        placed[path] = array.shape
        return jax.numpy.asarray(array)

    folder = reference("bert", "backbone").folder
    pretrained = load_pretrained(folder, head="pairs", fresh_key=jax.random.key(0), place=place)
    assert placed == {path: leaf.shape for path, leaf in flat_parameters(pretrained.model()).items()}
