import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import traverse_util

from lingjax.errors import InputError
from lingjax.models import check_pair_format, load_pretrained, merge_model

ATOL = 2e-5
FAMILIES = ["gpt2", "bert"]
_SLOTS = jnp.asarray([[0, 2], [1, 1], [2, 0]])  # two classified positions of each of three rows


@pytest.fixture(scope="module")
def pretrained(reference):
    return {family: load_pretrained(reference(family, "pairs").folder, head="pairs") for family in FAMILIES}


def _pool_positions(family, rows):
    """One pair a row: GPT-2's last real token, BERT's first."""
    return jnp.asarray(rows.lengths - 1 if family == "gpt2" else np.zeros_like(rows.lengths))[:, None]


def _their_inputs(family, rows, config):
    """Transformers finds GPT-2's last token by the padding's id, so padding must hold that id."""
    inputs = rows.for_torch(family)
    inputs["input_ids"] = torch.where(inputs["attention_mask"] > 0, inputs["input_ids"], config.pad_id)
    return inputs


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_loss_and_every_gradient_equal_transformers(
    family, reference, pretrained, rows, torch_gradients, assert_same_gradients
):
    labels = np.array([1, 0, 1])

    def loss_of(parameters):
        model = merge_model(pretrained[family].config, "pairs", parameters)
        logits = model(jnp.asarray(rows.token_ids), pool_positions=_pool_positions(family, rows), **rows.for_ours())[
            :, 0
        ]
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)
        return -picked.mean(), logits

    value_and_grad = jax.jit(jax.value_and_grad(loss_of, has_aux=True))
    (loss, logits), gradients = value_and_grad(pretrained[family].parameters)
    theirs = reference(family, "pairs")
    output = theirs.model(**_their_inputs(family, rows, theirs.config), labels=torch.tensor(labels))
    np.testing.assert_allclose(logits, output.logits.detach().numpy(), rtol=0, atol=ATOL)
    assert abs(float(loss) - output.loss.item()) < ATOL
    their_gradients = torch_gradients(theirs.model, output.loss)
    assert_same_gradients(family, "pairs", traverse_util.flatten_dict(gradients, sep="."), their_gradients)


@pytest.fixture(scope="module")
def logits_of(pretrained):
    return {family: jax.jit(loaded.model().__call__) for family, loaded in pretrained.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_pairs_have_the_logits_of_separate_rows(family, logits_of):
    generator = np.random.default_rng(11)
    lengths = np.array([5, 7, 3])
    real = np.arange(17) < lengths[:, None]
    alone = {
        "token_ids": np.where(real, generator.integers(1, 52, real.shape), 0),
        "document_ids": real.astype(int),
        "positions": np.where(real, np.arange(17), 0),
        "segment_ids": (real & (np.arange(17) >= 2)).astype(int),
    }
    last = lengths - 1 if family == "gpt2" else np.zeros_like(lengths)
    separate = logits_of[family](**alone, pool_positions=last[:, None])

    def pack(values):
        return np.pad(values[real], (0, 17 - real.sum()))[None]

    packed = {name: pack(values) for name, values in alone.items()}
    packed["document_ids"] = pack(np.array([[1], [2], [3]]) * real)
    starts = np.cumsum(lengths) - lengths
    together = logits_of[family](**packed, pool_positions=(starts + last)[None])
    np.testing.assert_allclose(together[0], separate[:, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_a_key_makes_logits_random(family, logits_of, rows):
    inputs = {"pool_positions": _pool_positions(family, rows), **rows.for_ours()}
    plain = logits_of[family](rows.token_ids, **inputs)
    np.testing.assert_array_equal(plain, logits_of[family](rows.token_ids, dropout_key=None, **inputs))
    first, again, other = (
        logits_of[family](rows.token_ids, dropout_key=jax.random.key(seed), **inputs) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - plain).max() > 1e-3
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_scanned_and_unrolled_layers_agree_also_in_what_they_drop(family, reference, pretrained, rows):
    unrolled = _unrolled(reference, family).model().backbone
    inputs = {"dropout_key": jax.random.key(5), **rows.for_ours()}
    scanned = jax.jit(pretrained[family].model().backbone.__call__)(rows.token_ids, **inputs)
    np.testing.assert_allclose(jax.jit(unrolled.__call__)(rows.token_ids, **inputs), scanned, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_last_layer_of_classified_states_alone_has_the_logits_and_gradients_of_a_whole_one(
    family, reference, pretrained, rows
):
    def logits_and_gradient(loaded):
        def loss(parameters):
            logits = merge_model(loaded.config, "pairs", parameters)(
                jnp.asarray(rows.token_ids), pool_positions=_SLOTS, **rows.for_ours()
            )
            return jax.nn.log_softmax(logits)[..., 0].sum(), logits

        gradient, logits = jax.jit(jax.grad(loss, has_aux=True))(loaded.parameters)
        return {"logits": logits, **traverse_util.flatten_dict(gradient, sep=".")}

    # Scanned, every layer computes all positions.
    whole, pooled = (logits_and_gradient(loaded) for loaded in (pretrained[family], _unrolled(reference, family)))
    for name in whole:
        np.testing.assert_allclose(pooled[name], whole[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_unrolled_the_last_layer_computes_no_other_than_classified_states(family, reference, rows):
    backbone = _unrolled(reference, family).model().backbone

    def operations(at):
        compiled = jax.jit(lambda token_ids: backbone(token_ids, at=at, **rows.for_ours())).lower(rows.token_ids)
        return compiled.compile().cost_analysis()["flops"]

    width, mlp_width = backbone.config.width, backbone.config.mlp_width
    products = 2 * width * (width + 2 * mlp_width)  # of a position: attention's projection back and feed-forward
    spared = operations(None) - operations(_SLOTS)
    assert spared > (rows.token_ids.size - _SLOTS.size) * products


def _unrolled(reference, family):
    return load_pretrained(reference(family, "pairs").folder, head="pairs", changes={"scan_layers": False})


def test_a_bert_of_one_segment_reads_no_second_one(configs):
    one = dataclasses.replace(configs["bert"], segment_count=1)
    check_pair_format(one, "concat")
    with pytest.raises(InputError, match=r"segment 0 alone.*pair_format=concat"):
        check_pair_format(one, "bert")
