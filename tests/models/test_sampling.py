import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers

from lingjax.errors import InputError
from lingjax.models import Sampling
from lingjax.models.sampling import choose_tokens, least_allowed

COUNT = 20_000


def draw(logits: np.ndarray, sampling: Sampling, seed: int = 7) -> np.ndarray:
    rows = jnp.broadcast_to(jnp.asarray(logits, jnp.float32), (COUNT, len(logits)))
    return np.asarray(choose_tokens(rows, jax.random.split(jax.random.key(seed), COUNT), sampling))


@pytest.mark.parametrize(
    ("sampling", "allowed"),
    [
        (Sampling(), [0, 1, 2, 3]),
        (Sampling(temperature=2.0), [0, 1, 2, 3]),
        (Sampling(temperature=0.5), [0, 1, 2, 3]),
        (Sampling(top_k=2), [3, 1]),
        (Sampling(top_k=9), [0, 1, 2, 3]),
        (Sampling(top_p=0.45), [3]),
        (Sampling(top_p=0.6), [3, 1]),
        (
            Sampling(top_k=3, top_p=0.85),
            [3, 1, 2],
        ),  # of all four, these hold 0.9; of the first three, the first two 0.83
        (Sampling(top_k=3, top_p=0.8), [3, 1]),
    ],
)
def test_tokens_are_drawn_as_often_as_their_renormalised_probability_says(sampling, allowed):
    probabilities = np.array([0.1, 0.25, 0.15, 0.5])
    expected = np.zeros(4)
    expected[allowed] = probabilities[allowed] ** (1 / sampling.temperature)
    expected /= expected.sum()
    drawn = draw(np.log(probabilities), sampling)
    assert set(drawn.tolist()) == set(allowed)
    # The standard error of a frequency is at most 0.0035.
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / COUNT, expected, rtol=0, atol=0.015)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.0, 5, 1.0), (1.0, None, 0.7), (2.0, None, 0.7), (0.7, 7, 0.9)]
)
def test_allowed_tokens_are_those_of_transformers(temperature, top_k, top_p):
    logits = np.random.default_rng(11).normal(size=23).astype(np.float32)
    scores = torch.tensor(logits)[None] / temperature
    if top_k is not None:
        scores = transformers.TopKLogitsWarper(top_k)(None, scores)
    if top_p < 1:
        scores = transformers.TopPLogitsWarper(top_p)(None, scores)
    expected = torch.softmax(scores, dim=-1)[0].numpy()
    drawn = draw(logits, Sampling(temperature=temperature, top_k=top_k, top_p=top_p))
    assert set(drawn.tolist()) == set(np.flatnonzero(expected).tolist())
    np.testing.assert_allclose(np.bincount(drawn, minlength=23) / COUNT, expected, rtol=0, atol=0.015)


def test_of_equally_likely_tokens_top_k_allows_the_first_and_top_p_all():
    assert set(draw(np.zeros(5), Sampling(top_k=2)).tolist()) == {0, 1}
    assert set(draw(np.zeros(5), Sampling(top_p=0.5)).tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.9, 0.999, 1 - 1e-7])
def test_the_bound_of_top_p_is_that_of_sorting(top_p):
    logits = np.random.default_rng(3).normal(scale=4.0, size=(7, 997)).astype(np.float32)
    # Also probabilities that float32 rounds to 0, and one token that has all.
    logits[5, :500] -= 200
    logits[6, 11] = 300
    probabilities = np.asarray(jax.nn.softmax(logits))
    bounds = np.asarray(least_allowed(jnp.asarray(probabilities), top_p))[:, 0]
    for row, bound in zip(probabilities, bounds, strict=True):
        ordered = np.sort(row)[::-1]
        held = np.cumsum(ordered.astype(float))
        kept = (row >= bound).sum()
        # Sums in float32 may differ by a few roundings.
        assert held[kept - 1] > top_p - 1e-6
        assert kept == 1 or held[kept - 2] < top_p + 1e-6


def test_rows_are_drawn_independently():
    drawn = draw(np.zeros(2), Sampling()).astype(float)
    # 20,000 pairs of fair coins: the standard error of the correlation is 0.007.
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.03


def test_without_sampling_the_likeliest_token_is_chosen():
    logits = jnp.array([[0.0, 3.0, 1.0], [2.0, -1.0, 1.0]])
    assert choose_tokens(logits, None, None).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"temperature": 0.0}, "temperature=0.0 must be above 0"),
        ({"temperature": -1.0}, "temperature=-1.0 must be above 0"),
        ({"temperature": float("nan")}, "temperature=nan must be above 0"),
        ({"top_k": 0}, "top_k=0 must be at least 1"),
        ({"top_p": 0.0}, "top_p=0.0 must be above 0"),
        ({"top_p": 1.5}, "top_p=1.5 must be above 0 and at most 1"),
        ({"top_k": -3, "top_p": float("nan")}, "top_k=-3 .*; top_p=nan"),
    ],
)
def test_ways_of_sampling_that_make_no_sense_are_refused(values, line):
    with pytest.raises(InputError, match=line):
        Sampling(**values)
