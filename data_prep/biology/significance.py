"""The E-value of two texts compared with nothing but each other: what makes a pair positive or negative."""

import dataclasses
import functools
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from data_prep.biology import blast
from data_prep.biology.alignment import Window
from data_prep.biology.homology import SHORT_LETTERS, sensitive_searches
from lingjax.alphabets import reverse_complement

if TYPE_CHECKING:
    from Bio.Align import PairwiseAligner

# So many pairs are compared in one run of BLAST: starting it costs as much as comparing a thousand short pairs, and
# with many more it finds ever more of what was not asked, hits between different pairs.
_PAIRS_AT_ONCE = 1000
_CIGAR_RUN = re.compile(r"(\d+)([=XID])")


@dataclasses.dataclass(frozen=True)
class Scoring:
    """How a task of blastn scores alignments, and the statistics of these scores.

    Attributes:
      task: its name.
      match, mismatch, gap_open, gap_extend: what a column and a gap cost; a gap of n letters open + n * extend.
      decay, scale, entropy: lambda, K and H of Karlin and Altschul for gapped alignments, as blastn prints them.
      word: letters of an exact match without which blastn finds nothing.
      step: scores are rounded down to a multiple of it, as the statistics for 2 and -3 hold for even ones alone.
    """

    task: str
    match: int
    mismatch: int
    gap_open: int
    gap_extend: int
    decay: float
    scale: float
    entropy: float
    word: int
    step: int

    def evalue(self, score: float, letters1: int, letters2: int) -> float:
        """Returns an E-value that is no lower than BLAST's: without the correction for the ends of sequences."""
        return self.scale * letters1 * letters2 * math.exp(-self.decay * (score // self.step * self.step))

    def least_evalue(self, score: float, letters1: int, letters2: int) -> float:
        """Returns an E-value that is no higher than BLAST's: with the correction in full.

        Source: Altschul and Gish 1996, https://doi.org/10.1016/S0076-6879(96)66029-7, "edge effects".
        """
        edge = max(math.log(self.scale * letters1 * letters2) / self.entropy, 0)
        return self.evalue(score, max(letters1 - edge, 1), max(letters2 - edge, 1))


_SCORINGS = (
    Scoring("blastn", 2, -3, 5, 2, decay=0.625, scale=0.41, entropy=0.78, word=11, step=2),
    Scoring("blastn-short", 1, -3, 5, 2, decay=1.374, scale=0.711, entropy=1.31, word=7, step=1),
)


def choose_scorings(letters: int) -> list[Scoring]:
    """Returns the scorings of the searches that are made for texts of which the shorter has so many letters."""
    return [scoring for scoring in _SCORINGS if letters <= SHORT_LETTERS or scoring.task == "blastn"]


def score_cigar(cigar: str, scoring: Scoring) -> int:
    """Returns the score of the best piece of an alignment.

    >>> score_cigar("9=1X3=1I2=", choose_scorings(50)[0])
    21
    """
    best = score = 0
    for size, kind in _CIGAR_RUN.findall(cigar):
        size = int(size)
        if kind == "=":
            score += size * scoring.match
        else:
            lost = -size * scoring.mismatch if kind == "X" else scoring.gap_open + size * scoring.gap_extend
            score = max(score - lost, 0)
        best = max(best, score)
    return best


def has_significant_columns(window: Window, *, evalue: float) -> bool:
    """Tells whether the columns of a window have an E-value up to a limit by every scoring used for its length.

    A window of a significant hit need not be significant itself. The E-value is that of a search space of the product
    of the lengths of the two texts, no smaller than the one that BLAST uses for the two alone. In a larger database it
    would be higher.
    """
    sizes = len(window.text1), len(window.text2)
    scorings = choose_scorings(min(sizes))
    return all(scoring.evalue(score_cigar(window.cigar, scoring), *sizes) <= evalue for scoring in scorings)


def is_confirmed(windows: Sequence[Window], *, evalue: float) -> list[bool]:
    """Tells for each window whether BLAST finds its second text with the first, in the place where the hit has it.

    Compared with each other alone, the two must have an E-value up to a limit in every search that is made for texts of
    their length, and no more equal letters than in the window's columns.
    """
    confirmed = []
    for first in range(0, len(windows), _PAIRS_AT_ONCE):
        batch = windows[first : first + _PAIRS_AT_ONCE]
        found = find_alignments([(window.text1, window.text2) for window in batch], evalue=evalue)
        confirmed += [
            its_evalue <= evalue and most_equal <= _count_equal(window)
            for window, (its_evalue, most_equal) in zip(batch, found, strict=True)
        ]
    return confirmed


def _count_equal(window: Window) -> int:
    return sum(int(size) for size, kind in _CIGAR_RUN.findall(window.cigar) if kind == "=")


def find_alignments(pairs: Sequence[tuple[str, str]], *, evalue: float) -> list[tuple[float, int]]:
    """Returns the E-value of each pair, and the equal letters of its best alignment, by BLAST.

    Of several searches, the highest E-value and the most equal letters count; without a hit under the limit in all of
    them the E-value is infinite. Many pairs are searched at once, but as E-values are computed from bit scores, what
    else is searched has no influence.
    """
    searches = [sensitive_searches("blastn", min(map(len, pair))) for pair in pairs]
    worst, equal = [0.0] * len(pairs), [0] * len(pairs)
    for options in sensitive_searches("blastn", 0):
        numbers = [number for number, its in enumerate(searches) if options in its]
        spaces = {number: len(pairs[number][0]) * len(pairs[number][1]) for number in numbers}
        best = dict.fromkeys(numbers, math.inf)
        # The smallest search space lets every pair through that might pass.
        extra = ["-strand", "plus", "-max_hsps", "1", "-searchsp", str(min(spaces.values(), default=1))]
        hits = blast.search(
            {str(number): pairs[number][0] for number in numbers},
            {str(number): pairs[number][1] for number in numbers},
            program="blastn",
            evalue=evalue,
            options=[*options, *extra],
        )
        for hit in hits:
            if hit.query == hit.subject:
                number = int(hit.query)
                best[number] = spaces[number] * 2.0**-hit.bitscore
                equal[number] = max(equal[number], round(hit.identity * len(hit.query_row)))
        for number in numbers:
            worst[number] = max(worst[number], best[number])
    return list(zip(worst, equal, strict=True))


def least_evalue(text1: str, text2: str) -> float:
    """Returns an E-value that no search of one text in the other with `sensitive_searches` goes below.

    It is that of the best local alignment of all, on either strand, which BLAST can at most find.

    Source: Smith and Waterman 1981, by Biopython's `PairwiseAligner`.
    """
    sizes = len(text1), len(text2)
    return min(
        scoring.least_evalue(
            max(_align(scoring).score(text1, text) for text in (text2, reverse_complement(text2))), *sizes
        )
        for scoring in choose_scorings(min(sizes))
    )


@functools.cache
def _align(scoring: Scoring) -> "PairwiseAligner":
    from Bio.Align import PairwiseAligner

    return PairwiseAligner(
        mode="local",
        match_score=scoring.match,
        mismatch_score=scoring.mismatch,
        open_gap_score=-scoring.gap_open - scoring.gap_extend,
        extend_gap_score=-scoring.gap_extend,
    )
