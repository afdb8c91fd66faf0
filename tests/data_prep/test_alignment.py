import dataclasses
import itertools
import re

import numpy as np
import pytest
from Bio.Seq import reverse_complement

from data_prep.biology.alignment import (
    AlignedWindow,
    LetterRuler,
    TokenRuler,
    cut_whole,
    cut_windows,
    describe_columns,
    is_plain,
)
from data_prep.biology.blast import Hit


def genome(letters, seed):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), letters))


def make_hit(row1, row2, *, strand="+", start1=11, start2=21):
    letters = len(row2) - row2.count("-")
    starts = (start2, start2 + letters - 1) if strand == "+" else (start2 + letters - 1, start2)
    end1 = start1 + len(row1) - row1.count("-") - 1
    return Hit("q", "s", 0.5, 1e-9, 99.0, start1, end1, *starts, strand, row1, row2)


def cut(hit, letters, seed=0):
    return list(cut_windows(hit, LetterRuler(letters), np.random.default_rng(seed)))


def aligned_rows(columns, *, seed, gaps):
    """Returns rows of two relatives in which single gaps stand here and there."""
    rng = np.random.default_rng(seed)
    row1 = list(genome(columns, seed))
    row2 = [letter if rng.random() < 0.8 else "ACGT"[rng.integers(4)] for letter in row1]
    for place in rng.choice(np.arange(2, columns - 2, 3), gaps, replace=False):
        (row1 if rng.random() < 0.5 else row2)[place] = "-"
    return "".join(row1), "".join(row2)


def replay(window):
    """Counts what a CIGAR says by walking along both texts."""
    place1 = place2 = equal = columns = 0
    for size, kind in re.findall(r"(\d+)([=XID])", window.cigar):
        for _ in range(int(size)):
            columns += 1
            if kind in "=X":
                assert (window.text1[place1] == window.text2[place2]) == (kind == "=")
                equal += kind == "="
            place1 += kind in "=XI"
            place2 += kind in "=XD"
    return place1, place2, equal / columns


def test_windows_of_a_hit_without_gaps_by_hand():
    row1, row2 = "AACCGGTTAC", "AACTGGTTAC"
    first, second = cut(make_hit(row1, row2), 5)
    assert first == AlignedWindow("AACCG", "AACTG", 10, 15, 20, 25, "+", 0.8, "3=1X1=")
    assert second == AlignedWindow("GTTAC", "GTTAC", 15, 20, 25, 30, "+", 1.0, "5=")


def test_a_gap_shortens_neither_text_and_the_shared_columns_end_with_the_first_that_is_full():
    (window,) = cut(make_hit("AC-GTACG", "ACTGTACG"), 7)
    # The second text is full at the seventh column, where the first has six letters; its seventh has no partner.
    assert (window.text1, window.text2) == ("ACGTACG", "ACTGTAC")
    assert (window.cigar, window.identity) == ("2=1D4=", 6 / 7)


def test_a_window_does_not_begin_in_a_gap():
    first, second = cut(make_hit("ACG--TAC", "ACGTTTAC"), 3)
    assert (first.text1, second.text1, second.text2) == ("ACG", "TAC", "TAC")
    assert (second.first1, second.first2) == (13, 25)


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("seed", range(5))
def test_windows_are_where_they_say_and_align_as_they_say(strand, seed):
    row1, row2 = aligned_rows(307, seed=seed, gaps=17)
    query = genome(10, 91) + row1.replace("-", "") + genome(7, 92)
    piece = row2.replace("-", "")
    subject = genome(20, 93) + (piece if strand == "+" else reverse_complement(piece)) + genome(9, 94)
    windows = cut(make_hit(row1, row2, strand=strand), 23, seed=seed)
    assert len(windows) >= 11
    for window in windows:
        assert window.text1 == query[window.first1 : window.last1]
        there = subject[window.first2 : window.last2]
        assert window.text2 == (there if strand == "+" else reverse_complement(there))
        assert len(window.text1) == len(window.text2) == 23
        used1, used2, identity = replay(window)
        assert max(used1, used2) == 23 and identity == window.identity
    for one, other in itertools.pairwise(windows):
        assert one.last1 <= other.first1
        assert one.last2 <= other.first2 if strand == "+" else other.last2 <= one.first2


def test_the_generator_decides_where_windows_begin():
    hit = make_hit(*aligned_rows(217, seed=3, gaps=0))
    starts = {cut(hit, 50, seed=seed)[0].first1 for seed in range(40)}
    assert len(starts) > 10 and min(starts) >= 10 and max(starts) <= 27
    assert {len(cut(hit, 50, seed=seed)) for seed in range(40)} == {4}
    assert cut(hit, 50, seed=4) == cut(hit, 50, seed=4)


def test_a_hit_that_is_too_short_gives_no_window():
    assert not cut(make_hit("ACGT", "ACGT"), 5)
    assert not cut(make_hit("ACGTA-", "ACGT-A"), 6)


@pytest.mark.parametrize(("strand", "places"), [("+", (20, 26)), ("-", (20, 26))])
def test_the_whole_region_has_the_columns_of_the_hit(strand, places):
    window = cut_whole(make_hit("ACG-TAC", "ACGTT-C", strand=strand))
    assert window == AlignedWindow("ACGTAC", "ACGTTC", 10, 16, *places, strand, 5 / 7, "3=1D1=1I1=")


class FourLetters:
    """A tokenizer of four letters a token, without merging across."""

    unknown_id = None

    def encode(self, texts):
        return [np.arange(-(-len(text) // 4)) for text in texts]


def test_tokens_decide_the_lengths_of_texts():
    ruler = TokenRuler(FourLetters(), [(3, 5)])
    assert ruler.count_letters("A" * 30, 3) == 12
    assert ruler.count_letters("A" * 11, 3) == 11
    assert ruler.count_letters("A" * 8, 3) == 0
    row = genome(97, 5)
    windows = list(cut_windows(make_hit(row, row), ruler, np.random.default_rng(0)))
    assert len(windows) >= 3
    # The last window may end within a token.
    assert {(len(window.text1), len(window.text2)) for window in windows[:-1]} == {(12, 20)}


def test_the_numbers_of_tokens_are_drawn_from_those_given():
    ruler = TokenRuler(FourLetters(), [(2, 2), (5, 5)])
    drawn = [ruler.measure("A" * 99, "A" * 99, np.random.default_rng(seed)) for seed in range(40)]
    assert set(drawn) == {(8, 8), (20, 20)}


def test_only_plain_letters_are_plain():
    (window,) = cut(make_hit("ACGTA", "ACGTA"), 5)
    assert is_plain(window)
    assert not is_plain(dataclasses.replace(window, text2="ACNTA"))


def test_columns_of_every_kind():
    assert describe_columns("AC-GT", "ATTG-") == (0.4, "1=1X1D1=1I")
