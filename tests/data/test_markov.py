import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from lingjax.data import END_OF_DOCUMENT, Passage, markov_loss

LETTERS = np.array([65, 67, 71, 84], np.uint32)  # ACGT
UNIFORM = 1 / (0x110000 + 1)


def passage(text, *, given=0, ends=False):
    symbols = [ord(letter) for letter in text] + [END_OF_DOCUMENT] * ends
    return Passage(np.array(symbols, np.uint32), given)


def passages(text, *, length=100):
    return [passage(text[start : start + length]) for start in range(0, len(text), length)]


def random_source(order, *, concentration):
    """Returns the chances of the four letters after each context: uneven where the concentration is small."""
    contexts = map("".join, itertools.product("ACGT", repeat=order))
    return {
        context: np.random.default_rng(number).dirichlet([concentration] * 4) for number, context in enumerate(contexts)
    }


def draw(source, *, size, seed):
    """Draws letters from a source; returns them and their mean surprisal in bits."""
    rng = np.random.default_rng(seed)
    order = len(next(iter(source)))
    text, bits = "A" * order, []
    for number in rng.random(size):
        chances = source[text[len(text) - order :]]
        letter = int(np.searchsorted(np.cumsum(chances)[:3], number))
        bits.append(-math.log2(chances[letter]))
        text += "ACGT"[letter]
    return text[order:], np.mean(bits)


def random_rows(count, *, length=1_000, seed=3):
    return LETTERS[np.random.default_rng(seed).integers(4, size=(count, length))]


def test_order_0_by_hand():
    # Of one training passage nothing can be kept back: order 0, s = 1. Counts 2 and 1, two different letters.
    expected = -np.log2([(2 + 2 * UNIFORM) / 5, (1 + 2 * UNIFORM) / 5]).mean()
    loss = markov_loss([passage("aab")], [passage("ab")])
    assert loss.order == 0
    assert loss.bits_per_character == loss.composition_bits_per_character == pytest.approx(expected, rel=1e-12)


def test_a_letter_that_was_never_seen_is_one_of_unicode():
    expected = -np.log2(2 * UNIFORM / 5)
    assert markov_loss([passage("aab")], [passage("é")]).bits_per_character == pytest.approx(expected, rel=1e-12)


def test_ends_of_documents_cost_bits_and_are_no_characters():
    # Counts: a 2, end 1.
    training = [passage("aa", ends=True)]
    expected = -np.log2((2 + 2 * UNIFORM) / 5) - np.log2((1 + 2 * UNIFORM) / 5)
    assert markov_loss(training, [passage("a", ends=True)]).bits_per_character == pytest.approx(expected, rel=1e-12)


def test_the_first_token_is_context_and_not_scored():
    training = passages("abc" * 400)
    loss = markov_loss(training, [passage("abcabc", given=2)])
    assert loss.bits_per_character < 0.01
    # Three letters equally often; the rest is what Unicode takes.
    assert loss.composition_bits_per_character == pytest.approx(math.log2(3), abs=0.01)


def slow_loss(training, held_out, *, max_order):
    """The same by dictionaries: the chain of orders for every letter, scale after scale."""

    def count(texts, order):
        after = defaultdict(Counter)
        for text in texts:
            for place in range(order, len(text)):
                after[text[place - order : place]][text[place]] += 1
        return after

    def chances(texts, counts, scales):
        found = []
        for text in texts:
            for place, letter in enumerate(text):
                chance = UNIFORM
                for order in range(min(place, len(scales) - 1) + 1):
                    after = counts[order].get(text[place - order : place])
                    if after:
                        weight = scales[order] * len(after)
                        chance = (after[letter] + weight * chance) / (after.total() + weight)
                found.append(chance)
        return -np.log2(found).sum()

    kept_back = training[9::10]
    learnt = [text for place, text in enumerate(training) if place % 10 != 9]
    orders = range(max_order + 1)
    partial, whole = ([count(texts, order) for order in orders] for texts in (learnt, training))
    scales, losses = [], []
    for _ in orders:
        tried = {2.0**power: chances(kept_back, partial, [*scales, 2.0**power]) for power in range(-2, 11)}
        scales.append(min(tried, key=tried.get))
        losses.append(min(tried.values()))
    order = next(order for order in orders if losses[order] <= 1.001 * min(losses))
    return order, chances(held_out, whole, scales[: order + 1]) / sum(map(len, held_out))


def test_every_letter_is_scored_as_by_dictionaries():
    text, _ = draw(random_source(2, concentration=0.3), size=3_000, seed=5)
    edges = [0, *sorted(np.random.default_rng(7).integers(1, 2_999, size=59).tolist()), 3_000]
    texts = [text[start:stop] for start, stop in itertools.pairwise(edges) if start < stop]
    training, held_out = texts[:45], texts[45:]
    order, bits = slow_loss(training, held_out, max_order=4)
    loss = markov_loss([passage(text) for text in training], [passage(text) for text in held_out], max_order=4)
    assert (loss.order, loss.bits_per_character) == (order, pytest.approx(bits, rel=1e-9))
    assert order == 2


def test_a_planted_source_of_order_3_is_found_and_its_entropy_reached():
    source = random_source(3, concentration=0.5)
    training, _ = draw(source, size=100_000, seed=1)
    held_out, entropy = draw(source, size=20_000, seed=2)
    loss = markov_loss(passages(training, length=1_000), passages(held_out, length=1_000))
    assert loss.order == 3
    assert loss.bits_per_character == pytest.approx(entropy, rel=0.01)
    assert loss.composition_bits_per_character > 1.1 * entropy


def test_random_dna_has_two_bits_a_letter():
    training, held_out = np.split(random_rows(330), [300])
    loss = markov_loss([Passage(row, 1) for row in training], [Passage(row, 1) for row in held_out])
    assert loss.order == 0
    assert loss.bits_per_character == pytest.approx(2, rel=0.001)


def test_long_contexts_that_pay_in_one_place_cost_little_elsewhere():
    rows = random_rows(60)
    rows[:, 100:130] = random_rows(1, length=30, seed=8)
    training, held_out = np.split(rows, [50])
    loss = markov_loss([Passage(row, 1) for row in training], [Passage(row, 1) for row in held_out])
    assert loss.order > 3
    # 970 random letters of two bits, and of the other 30 the first eight, before their context is one of a kind.
    assert 2 * 0.970 < loss.bits_per_character < 2 * 0.990


def test_held_out_text_has_no_say_in_the_order():
    text, _ = draw(random_source(1, concentration=0.5), size=20_000, seed=4)
    training = passages(text)
    other = passage("GATTACA" * 30)
    losses = [markov_loss(training, held_out) for held_out in (training, [other], [*training, other])]
    # On the training text itself long contexts would be best.
    assert [loss.order for loss in losses] == [1, 1, 1]
    expected = np.average([loss.bits_per_character for loss in losses[:2]], weights=[len(text), len(other.symbols)])
    assert losses[2].bits_per_character == pytest.approx(expected, rel=1e-9)


def test_contexts_do_not_reach_beyond_a_passage():
    alternating = [passage(letter) for letter in "ab" * 50]
    loss = markov_loss(alternating, alternating)
    assert loss.order == 0
    assert loss.bits_per_character == pytest.approx(1, abs=0.1)


def test_max_order_bounds_the_order():
    text, _ = draw(random_source(2, concentration=0.3), size=3_000, seed=6)
    assert [markov_loss(passages(text), passages(text), max_order=most).order for most in (0, 1, 5)] == [0, 1, 2]


def test_nothing_to_predict_is_refused():
    with pytest.raises(ValueError, match="no character to predict"):
        markov_loss([passage("ab")], [passage("a", given=1)])
