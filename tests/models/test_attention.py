import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lingjax.models.attention import attend, attention_weights, document_mask

TWO_DOCUMENTS_AND_PADDING = jnp.array([[1, 1, 2, 2, 2, 0]])


def test_mask_keeps_attention_inside_a_document():
    mask = np.asarray(document_mask(TWO_DOCUMENTS_AND_PADDING, causal=False))[0]
    expected = [
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    np.testing.assert_array_equal(mask, np.array(expected, bool))


def test_causal_mask_also_hides_later_positions():
    mask = np.asarray(document_mask(TWO_DOCUMENTS_AND_PADDING, causal=True))[0]
    both_ways = np.asarray(document_mask(TWO_DOCUMENTS_AND_PADDING, causal=False))[0]
    np.testing.assert_array_equal(mask, np.tril(both_ways))


@pytest.mark.parametrize("causal", [True, False])
def test_every_query_may_see_something(causal):
    assert np.asarray(document_mask(TWO_DOCUMENTS_AND_PADDING, causal=causal)).any(axis=-1).all()


def test_attention_is_a_softmax_weighted_mean_of_the_values():
    generator = np.random.default_rng(2)
    query, key, value = generator.normal(size=(3, 1, 5, 2, 3)).astype(np.float32)
    mask = generator.random((1, 5, 5)) < 0.5
    mask |= np.eye(5, dtype=bool)
    ours = attend(*map(jnp.asarray, (query, key, value, mask)), dropout_rate=0.0, dropout_key=None)
    for head in range(2):
        for position in range(5):
            seen = mask[0, position]
            weights = np.exp(key[0, seen, head] @ query[0, position, head] / np.sqrt(3))
            expected = weights / weights.sum() @ value[0, seen, head]
            np.testing.assert_allclose(ours[0, position, head], expected, rtol=0, atol=1e-6)


def test_the_weights_are_those_by_which_values_are_summed():
    query, key, value = np.random.default_rng(3).normal(size=(3, 2, 5, 2, 3)).astype(np.float32)
    mask = document_mask(jnp.array([[1, 1, 1, 2, 2], [1, 1, 1, 1, 0]]), causal=True)
    weights = attention_weights(jnp.asarray(query), jnp.asarray(key), mask)
    summed = np.einsum("bhqk,bkhd->bqhd", weights, value)
    attended = attend(*map(jnp.asarray, (query, key, value)), mask, dropout_rate=0.0, dropout_key=None)
    np.testing.assert_allclose(summed, attended, rtol=0, atol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-6)
    assert not weights[~np.broadcast_to(mask[:, None], weights.shape)].any()


def test_dropped_attention_weights_keep_the_mean():
    shape = (1, 31, 2, 3)
    query, value = jnp.zeros(shape), jnp.ones(shape)
    mask = jnp.ones((1, 31, 31), bool)
    gathered = attend(query, query, value, mask, dropout_rate=0.25, dropout_key=jax.random.key(1))
    # 31 * 31 * 2 weights are drawn: the standard error of the mean is 0.013.
    assert abs(float(gathered.mean()) - 1) < 0.05
    assert float(gathered.std()) > 0.01
