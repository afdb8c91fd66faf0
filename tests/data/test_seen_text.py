import numpy as np
import pytest

from lingjax.data import END_OF_DOCUMENT, Passage, seen_fraction


def passage(text, *, ends=False):
    symbols = [ord(letter) for letter in text] + [END_OF_DOCUMENT] * ends
    return Passage(np.array(symbols, np.uint32), 0)


def random_passages(sizes, *, seed, ends):
    rng = np.random.default_rng(seed)
    return [passage(rng.choice(list("ACGT"), size), ends=ends) for size in sizes]


def seen_by_search(training, held_out, length):
    def runs(passages):
        for one in passages:
            text = "".join(map(chr, one.symbols[one.symbols < END_OF_DOCUMENT]))
            yield from (text[start : start + length] for start in range(len(text) - length + 1))

    known, every = set(runs(training)), list(runs(held_out))
    return sum(run in known for run in every) / len(every)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 12])
@pytest.mark.parametrize("ends", [False, True])
def test_the_share_is_that_of_a_plain_search(length, ends):
    training = random_passages([3, 150, 40, 1], seed=1, ends=ends)
    copy = Passage(training[1].symbols[20:60], 0)
    held_out = [*random_passages([60, 2, 90], seed=2, ends=ends), copy]
    expected = seen_by_search(training, held_out, length)
    assert seen_fraction(training, held_out, length=length) == pytest.approx(expected, abs=1e-15)
    assert (expected < 1) == (length > 2) and expected > 0


def test_all_of_a_copy_is_seen_and_nothing_of_another_text():
    one, other = random_passages([500, 500], seed=3, ends=True)
    assert seen_fraction([one], [passage("".join(map(chr, one.symbols[100:200])))]) == 1
    assert seen_fraction([one], [other]) == 0


def test_a_run_does_not_reach_over_the_end_of_a_passage():
    assert seen_fraction([passage("ABCD"), passage("EFGH")], [passage("CDEF")], length=4) == 0
    assert seen_fraction([passage("ABCD", ends=True)], [passage("BCD", ends=True), passage("WXYZ")], length=4) == 0


def test_one_letter_that_differs_hides_every_run_that_holds_it():
    text = "".join(map(chr, range(65, 65 + 20)))
    assert seen_fraction([passage(text)], [passage(text[:10] + "!" + text[11:])], length=4) == pytest.approx(13 / 17)


def test_passages_shorter_than_a_run_give_no_share():
    assert seen_fraction([passage("ABCDEFGH")], [passage("ABC"), passage("")], length=4) is None
