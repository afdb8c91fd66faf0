import itertools
from collections import Counter

import numpy as np
import pytest

from data_prep.biology.shuffling import shuffle_kmers


def counts(text, k):
    return Counter(text[place : place + k] for place in range(len(text) - k + 1))


def random_text(letters, seed, alphabet="ACGT"):
    return "".join(np.random.default_rng(seed).choice(list(alphabet), letters))


@pytest.mark.parametrize("k", [2, 3, 4, 5])
@pytest.mark.parametrize("letters", [1, 2, 5, 50, 331])
def test_the_counts_of_kmers_and_of_shorter_ones_are_exactly_kept(k, letters):
    for seed in range(11):
        text = random_text(letters, seed)
        shuffled = shuffle_kmers(text, k, np.random.default_rng(seed))
        for size in range(1, k + 1):
            assert counts(shuffled, size) == counts(text, size)
        assert (shuffled[: k - 1], shuffled[1 - k :]) == (text[: k - 1], text[1 - k :])


def test_the_order_of_dinucleotides_is_another_one():
    text = random_text(97, seed=3)
    shuffled = {shuffle_kmers(text, 2, np.random.default_rng(seed)) for seed in range(20)}
    assert len(shuffled) == 20
    assert text not in shuffled


@pytest.mark.parametrize(("text", "k"), [("AABACABCAA", 2), ("ABCABDABCAB", 3), ("AAABABB", 2)])
def test_every_order_with_the_same_kmers_is_equally_likely(text, k):
    orders = {
        "".join(order)
        for order in set(itertools.permutations(text))
        if counts("".join(order), k) == counts(text, k) and "".join(order).startswith(text[: k - 1])
    }
    orders = {order for order in orders if order.endswith(text[1 - k :])}
    rng = np.random.default_rng(0)
    draws = 700 * len(orders)
    drawn = Counter(shuffle_kmers(text, k, rng) for _ in range(draws))
    assert set(drawn) == orders and len(orders) > 1
    # Chi-squared with n - 1 degrees of freedom has mean n - 1 and variance 2 (n - 1).
    statistic = sum((drawn[order] - 700) ** 2 / 700 for order in orders)
    freedom = len(orders) - 1
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5


def test_the_generator_decides():
    text = random_text(61, seed=5)
    assert shuffle_kmers(text, 3, np.random.default_rng(1)) == shuffle_kmers(text, 3, np.random.default_rng(1))
    assert shuffle_kmers(text, 3, np.random.default_rng(1)) != shuffle_kmers(text, 3, np.random.default_rng(2))


@pytest.mark.parametrize("text", ["", "A", "AC", "AAAAAAA", "ACGT"])
def test_a_text_without_another_order_is_left(text):
    assert shuffle_kmers(text, 3, np.random.default_rng(0)) == text


def test_single_letters_are_refused():
    with pytest.raises(ValueError, match="k=1: expected 2 or more"):
        shuffle_kmers("ACGT", 1, np.random.default_rng(0))
