import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from lingjax.models import TokenScores, layers, surprisal

ROWS, LENGTH, WIDTH, VOCABULARY = 3, 13, 7, 29


def make(*, bias=True, share=0.6, dtype=jnp.float32):
    """Random scores, targets and counted positions; the last row has none."""
    rng = np.random.default_rng(5)
    scores = TokenScores(
        jnp.array(rng.normal(size=(ROWS, LENGTH, WIDTH)), dtype),
        jnp.array(rng.normal(size=(VOCABULARY, WIDTH)), jnp.float32),
        jnp.array(rng.normal(size=VOCABULARY), jnp.float32) if bias else None,
    )
    counted = rng.random((ROWS, LENGTH)) < share
    counted[-1] = False
    return scores, jnp.array(rng.integers(VOCABULARY, size=(ROWS, LENGTH))), jnp.array(counted)


def whole(scores, targets, counted):
    """The same sum from all logits at once, by optax."""
    losses = optax.softmax_cross_entropy_with_integer_labels(scores.logits(), targets)
    return jnp.where(counted, losses, 0).sum()


CASES = [(1, False), (2, False), (5, False), (13, False), (40, False), (1, True), (4, True), (13, True)]


@pytest.mark.parametrize(("chunks", "sparse"), CASES)
@pytest.mark.parametrize("bias", [False, True])
def test_loss_and_gradients_are_those_of_all_logits_at_once(chunks, sparse, bias):
    scores, targets, counted = make(bias=bias)

    @jax.jit
    def part_by_part(scores):
        return 3 * surprisal(scores, targets, counted, chunks=chunks, sparse=sparse)[0]

    loss, gradients = jax.value_and_grad(part_by_part)(scores)
    expected, expected_gradients = jax.value_and_grad(lambda scores: 3 * whole(scores, targets, counted))(scores)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), gradients, expected_gradients)


@pytest.mark.parametrize(("chunks", "sparse"), CASES)
def test_each_row_has_its_own_sum_and_hits(chunks, sparse):
    scores, targets, counted = make()
    targets = targets.at[:, ::2].set(scores.logits().argmax(-1)[:, ::2])
    total, losses, correct = surprisal(scores, targets, counted, chunks=chunks, sparse=sparse)
    for row in range(ROWS):
        kept = counted[row]
        alone = whole(TokenScores(scores.hidden[row : row + 1], *scores[1:]), targets[row : row + 1], kept[None])
        np.testing.assert_allclose(losses[row], alone, rtol=1e-6)
        hits = (scores.logits()[row].argmax(-1) == targets[row]) & kept
        assert int(correct[row]) == int(hits.sum())
    np.testing.assert_allclose(total, losses.sum(), rtol=1e-6)


def test_nothing_counted_is_no_loss_and_no_gradient():
    scores, targets, _ = make()
    nothing = jnp.zeros((ROWS, LENGTH), bool)
    loss, gradients = jax.value_and_grad(lambda s: surprisal(s, targets, nothing, chunks=3, sparse=True)[0])(scores)
    assert float(loss) == 0
    assert all(not leaf.any() for leaf in jax.tree.leaves(gradients))


def test_bfloat16_states_have_the_gradients_of_float32_within_their_rounding():
    scores, targets, counted = make(dtype=jnp.bfloat16)
    gradients = jax.grad(lambda s: surprisal(s, targets, counted, chunks=4)[0])(scores)
    assert [leaf.dtype for leaf in gradients] == [jnp.bfloat16, jnp.float32, jnp.float32]
    exact = jax.grad(lambda s: whole(s, targets, counted))(scores._replace(hidden=scores.hidden.astype(jnp.float32)))
    for ours, theirs in zip(gradients, exact, strict=True):
        ours, theirs = np.asarray(ours, np.float32), np.asarray(theirs)
        # The table and the logits' gradient are rounded to 8 bits before they are multiplied.
        assert np.linalg.norm(ours - theirs) < 0.01 * np.linalg.norm(theirs)


def test_logits_are_never_held_whole():
    rows, length, vocabulary = 2, 64, 4096
    scores = TokenScores(jnp.ones((rows, length, WIDTH)), jnp.ones((vocabulary, WIDTH)), None)
    targets, counted = jnp.zeros((rows, length), int), jnp.ones((rows, length), bool)

    def temporary_bytes(chunks):
        step = jax.jit(jax.grad(lambda scores: surprisal(scores, targets, counted, chunks=chunks)[0]))
        return step.lower(scores).compile().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(16) < temporary_bytes(1) / 4


def test_rows_beyond_the_vocabulary_are_never_predicted(configs):
    config = dataclasses.replace(configs["gpt2"], vocab_multiple=8)
    assert config.padded_vocab_size == 56
    table = layers.Embedding(config, config.padded_vocab_size, rngs=nnx.Rngs(0)).embedding.get_value()
    scores = TokenScores.of(config, jnp.ones((2, 3, 35)), table)
    logits = scores.logits()
    assert logits.shape == (2, 3, 56)
    np.testing.assert_allclose(logits[..., :53], np.broadcast_to(table.sum(-1)[:53], (2, 3, 53)), rtol=1e-5, atol=1e-6)
    assert jax.nn.softmax(logits)[..., 53:].max() == 0
    targets, counted = jnp.zeros((2, 3), int), jnp.ones((2, 3), bool)
    gradient = jax.grad(
        lambda table: surprisal(TokenScores.of(config, jnp.ones((2, 3, 35)), table), targets, counted, chunks=2)[0]
    )
    assert not gradient(table)[53:].any()
