import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from lingjax.data import evaluation_batches, pack_pairs
from lingjax.models import abstract_model
from lingjax.training.loss import LossTally
from lingjax.training.mesh import place_batch
from lingjax.training.steps import (
    make_evaluation_step,
    make_forward,
    make_train_step,
    pair_loss_function,
    token_loss_function,
)
from tests.training.small_run import make_records, make_start, one_device, placed_state

# Plain descent at rate 1: what a step takes away from the parameters is the gradient itself.
DESCENT = optax.sgd(1.0)


@pytest.fixture(scope="module")
def start(tokenizer_folder):
    return make_start(tokenizer_folder, dropout_rate=0.0, attention_dropout_rate=0.0, init_scale=0.1)


@pytest.fixture(scope="module")
def encoded(encoders):
    return encoders["gpt2"].encode(make_records(7))


@pytest.fixture(scope="module")
def batch(encoders, encoded):
    """Seven pairs and a filler row."""
    return pack_pairs(encoded, row_length=16, num_rows=8, slots=1, pad_id=encoders["gpt2"].tokenizer.pad_id)


@pytest.fixture(scope="module")
def take_step(start, mesh):
    """Returns a function: one step from the start on a batch."""

    @functools.cache
    def compiled(accumulation):
        return make_train_step(pair_loss_function(start.graph), DESCENT, accumulation=accumulation)

    def take(batch, *, accumulation=1, state=None):
        return compiled(accumulation)(state or placed_state(start, DESCENT, mesh), place_batch(batch, mesh))

    return take


@pytest.fixture(scope="module")
def one_step(take_step, batch):
    return take_step(batch)


def assert_close(first, second, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), first, second)


@pytest.mark.parametrize("accumulation", [2, 4])
def test_accumulation_does_not_change_the_update(take_step, batch, one_step, accumulation):
    state, tally, norm = take_step(batch, accumulation=accumulation)
    assert_close(state.parameters, one_step[0].parameters, rtol=0, atol=1e-6)
    assert (int(tally.correct), int(tally.count)) == (int(one_step[1].correct), 7)
    np.testing.assert_allclose([tally.loss_sum, norm], [one_step[1].loss_sum, one_step[2]], rtol=1e-6)


def test_the_gradient_is_that_of_the_mean_over_the_real_pairs(start, encoders, encoded, one_step):
    def logits_of(parameters, pair):
        alone = pack_pairs([pair], row_length=16, num_rows=1, slots=1, pad_id=0)
        return make_forward(start.graph, one_device())(parameters, vars(alone))[0, 0]

    def mean_loss(parameters):
        return -jnp.mean(jnp.stack([jax.nn.log_softmax(logits_of(parameters, pair))[pair.label] for pair in encoded]))

    loss, expected = jax.value_and_grad(mean_loss)(start.parameters)
    state, tally, norm = one_step
    gradient = jax.tree.map(jnp.subtract, start.parameters, state.parameters)
    assert_close(gradient, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(tally.means()["loss"], loss, rtol=1e-6)
    np.testing.assert_allclose(norm, optax.tree.norm(expected), rtol=1e-5)


def test_packed_and_padded_rows_give_the_same_update(take_step, encoded, one_step):
    packed = pack_pairs(encoded, row_length=24, num_rows=4, slots=3, pad_id=0)
    assert packed.is_real.sum(axis=1).max() > 1
    state, tally, _ = take_step(packed)
    assert_close(state.parameters, one_step[0].parameters, rtol=0, atol=1e-6)
    assert int(tally.count) == 7


def test_a_batch_of_filler_alone_changes_nothing(take_step, start, batch):
    filler = dataclasses.replace(batch, is_real=np.zeros_like(batch.is_real))
    state, tally, _ = take_step(filler)
    assert int(tally.count) == 0
    jax.tree.map(np.testing.assert_array_equal, state.parameters, start.parameters)


def test_a_step_counts_and_keeps_the_run_key(one_step, start, mesh):
    before = placed_state(start, DESCENT, mesh)
    assert int(one_step[0].step) == 1
    assert (jax.random.key_data(one_step[0].dropout_key) == jax.random.key_data(before.dropout_key)).all()


def test_the_old_state_gives_up_its_memory(take_step, start, batch, mesh):
    state = placed_state(start, DESCENT, mesh)
    take_step(batch, state=state)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.parameters))


def test_dropout_follows_from_the_key_and_the_step(tokenizer_folder, batch, mesh):
    start = make_start(tokenizer_folder, dropout_rate=0.3)
    still = optax.sgd(0.0)  # parameters stay, so only dropout makes the losses differ
    step = make_train_step(pair_loss_function(start.graph), still)

    def losses(seed):
        state, found = placed_state(start, still, mesh, seed=seed), []
        for _ in range(2):
            state, tally, _ = step(state, place_batch(batch, mesh))
            found.append(float(tally.loss_sum))
        return found

    first, second, again = losses(1), losses(2), losses(1)
    assert first == again
    assert len({*first, *second}) == 4


@pytest.fixture(scope="module")
def evaluation_step(start):
    return make_evaluation_step(pair_loss_function(start.graph))


@pytest.mark.parametrize("batch_size", [3, 7, 20])
def test_an_evaluation_counts_every_pair_once_whatever_the_batch_size(
    start, encoders, evaluation_step, mesh, batch_size
):
    tally = LossTally.empty()
    for batch in evaluation_batches(make_records(13), encoders["gpt2"], batch_size=batch_size, rows_multiple=2):
        tally = evaluation_step(start.parameters, place_batch(batch, mesh), tally)
    (whole,) = evaluation_batches(make_records(13), encoders["gpt2"], batch_size=20)
    logits = np.asarray(make_forward(start.graph, one_device())(start.parameters, vars(whole)), np.float64)[:13, 0]
    labels = whole.labels[:13]
    chosen = np.take_along_axis(logits, labels, axis=1)[:, 0] - np.log(np.exp(logits).sum(axis=1))
    assert (int(tally.count), int(tally.correct)) == (13, int((logits.argmax(1) == labels[:, 0]).sum()))
    np.testing.assert_allclose(tally.loss_sum, -chosen.sum(), rtol=1e-5)


def test_a_forward_pass_has_no_dropout(start, batch):
    config = dataclasses.replace(start.config, dropout_rate=0.9, attention_dropout_rate=0.9)
    graph = nnx.split(abstract_model(config, "pairs"))[0]
    logits = [make_forward(each, one_device())(start.parameters, vars(batch)) for each in (graph, start.graph)]
    np.testing.assert_array_equal(*logits)


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_the_token_loss_is_that_of_the_language_model_at_the_counted_positions(tokenizer_folder, family):
    start = make_start(tokenizer_folder, family=family, head="language_model", init_scale=0.3)
    token_ids = np.array([[5, 6, 7, 8, 9, 0, 0]], np.int32)
    inputs = {"document_ids": np.int32(token_ids > 0), "positions": np.arange(7, dtype=np.int32)[None]}
    targets = np.array([[6, 7, 8, 9, 10, 3, 3]], np.int32)
    counted = np.array([[True, True, False, True, False, False, False]])
    batch = {"token_ids": token_ids, "target_ids": targets, "counted": counted, **inputs}
    batch["domain_ids"] = np.zeros(1, np.int32)

    @jax.jit
    def tally_and_logits(parameters):
        model = nnx.merge(start.graph, parameters)
        return token_loss_function(start.graph, num_domains=1, mesh=one_device())(parameters, batch, None)[1], model(
            token_ids, **inputs
        )

    tally, logits = tally_and_logits(start.parameters)
    logits = np.asarray(logits, np.float64)[0]
    surprisal = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(7), targets[0]]
    np.testing.assert_allclose(tally.loss_sum, surprisal[[0, 1, 3]].sum(), rtol=1e-5)
    assert tally.count.tolist() == [3]
