"""The E-value of two texts compared with nothing but each other: what makes a pair positive or negative."""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from data_prep.biology import blast
from data_prep.biology.alignment import AlignedWindow
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
    """How a search scores alignments, and the statistics of these scores.

    Attributes:
      task: its name.
      match, mismatch: what a column of equal and of different letters brings, where no matrix says.
      gap_open, gap_extend: what a gap costs; a gap of n letters open + n * extend.
      decay, scale, entropy: lambda, K and H of Karlin and Altschul for gapped alignments, as BLAST prints them.
      word: letters of a match without which BLAST finds nothing.
      step: scores are rounded down to a multiple of it, as the statistics for 2 and -3 hold for even ones alone.
      matrix: the name of the table that says what a column brings, "" without one.
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
    matrix: str = ""

    def score_columns(self, cigar: str, text1: str, text2: str) -> float:
        """Returns the score of the best piece of an alignment.

        Args:
          cigar: its columns.
          text1, text2: what is aligned from the first column on; without a matrix they are not read.

        >>> choose_scorings("blastn", 50)[0].score_columns("9=1X3=1I2=", "", "")
        21
        >>> choose_scorings("blastp", 50)[0].score_columns("2=1X", "MKW", "MKC")
        10.0
        """
        best = score = 0
        place1 = place2 = 0
        for size, kind in ((int(size), kind) for size, kind in _CIGAR_RUN.findall(cigar)):
            last1, last2 = place1 + size * (kind != "D"), place2 + size * (kind != "I")
            if kind in "ID":
                gains = [-self.gap_open - size * self.gap_extend]
            elif self.matrix:
                gains = self._look_up(text1[place1:last1], text2[place2:last2])
            else:
                gains = [size * (self.match if kind == "=" else self.mismatch)]
            for gain in gains:
                score = max(score + gain, 0)
                best = max(best, score)
            place1, place2 = last1, last2
        return best

    def _look_up(self, letters1: str, letters2: str) -> list[float]:
        matrix = _make_aligner(self).substitution_matrix
        return [float(matrix[pair]) for pair in zip(letters1, letters2, strict=True)]

    def evalue(self, score: float, letters1: int, letters2: int) -> float:
        """Returns an E-value that is no lower than BLAST's: without the correction for the ends of sequences."""
        return self.scale * letters1 * letters2 * math.exp(-self.decay * (score // self.step * self.step))

    def least_evalue(self, score: float, letters1: int, letters2: int) -> float:
        """Returns an E-value that is no higher than BLAST's: with the correction in full.

        Source: Altschul and Gish 1996, https://doi.org/10.1016/S0076-6879(96)66029-7, "edge effects".
        """
        edge = max(math.log(self.scale * letters1 * letters2) / self.entropy, 0)
        return self.evalue(score, max(letters1 - edge, 1), max(letters2 - edge, 1))


# Of blastp, what it uses by default.
_SCORINGS = {
    "blastn": Scoring("blastn", 2, -3, 5, 2, decay=0.625, scale=0.41, entropy=0.78, word=11, step=2),
    "blastn-short": Scoring("blastn-short", 1, -3, 5, 2, decay=1.374, scale=0.711, entropy=1.31, word=7, step=1),
    "blastp": Scoring("blastp", 0, 0, 11, 1, decay=0.267, scale=0.041, entropy=0.14, word=3, step=1, matrix="BLOSUM62"),
}


def choose_scorings(program: str, letters: int) -> list[Scoring]:
    """Returns the scorings of the searches that a program makes for texts of which the shorter has so many letters."""
    tasks = ["blastn", "blastn-short"] if program == "blastn" and letters <= SHORT_LETTERS else [program]
    return [_SCORINGS[task] for task in tasks]


def has_significant_columns(window: AlignedWindow, *, program: str, evalue: float) -> bool:
    """Tells whether the columns of a window have an E-value up to a limit by every scoring used for its length.

    A window of a significant hit need not be significant itself. The E-value is that of a search space of the product
    of the lengths of the two texts, no smaller than the one that BLAST uses for the two alone. In a larger database it
    would be higher.
    """
    texts = window.text1, window.text2
    sizes = tuple(map(len, texts))
    return all(
        scoring.evalue(scoring.score_columns(window.cigar, *texts), *sizes) <= evalue
        for scoring in choose_scorings(program, min(sizes))
    )


def is_confirmed(windows: Sequence[AlignedWindow], *, evalue: float) -> list[bool]:
    """Tells for each window of DNA whether BLAST finds its second text with the first, where the hit has it.

    Compared with each other alone, the two must have an E-value up to a limit in every search that is made for texts of
    their length, and no more equal letters than in the window's columns.
    """
    found = find_alignments([(window.text1, window.text2) for window in windows], program="blastn", evalue=evalue)
    return [
        its_evalue <= evalue and most_equal <= _count_equal(window)
        for window, (its_evalue, most_equal) in zip(windows, found, strict=True)
    ]


def _count_equal(window: AlignedWindow) -> int:
    return sum(int(size) for size, kind in _CIGAR_RUN.findall(window.cigar) if kind == "=")


def find_alignments(pairs: Sequence[tuple[str, str]], *, program: str, evalue: float) -> Iterator[tuple[float, int]]:
    """Yields the E-value of each pair, and the equal letters of its best alignment, by BLAST, as they are asked for.

    Of several searches, the highest E-value and the most equal letters count; without a hit under the limit in all of
    them the E-value is infinite. Many pairs are searched at once, but as E-values are computed from bit scores, what
    else is searched has no influence.

    Args:
      pairs: texts that are compared with each other alone, on the strand that they are on.
      program: "blastn" or "blastp".
      evalue: hits above do not count.
    """
    for first in range(0, len(pairs), _PAIRS_AT_ONCE):
        yield from _search_alone(pairs[first : first + _PAIRS_AT_ONCE], program, evalue)


def _search_alone(pairs: Sequence[tuple[str, str]], program: str, evalue: float) -> Iterator[tuple[float, int]]:
    searches = [sensitive_searches(program, min(map(len, pair))) for pair in pairs]
    worst, equal = [0.0] * len(pairs), [0] * len(pairs)
    strand = ["-strand", "plus"] if program == "blastn" else []
    for options in sensitive_searches(program, 0):
        numbers = [number for number, its in enumerate(searches) if options in its]
        spaces = {number: len(pairs[number][0]) * len(pairs[number][1]) for number in numbers}
        best = dict.fromkeys(numbers, math.inf)
        hits = blast.search(
            {str(number): pairs[number][0] for number in numbers},
            {str(number): pairs[number][1] for number in numbers},
            program=program,
            evalue=evalue,
            # The smallest search space lets every pair through that might pass.
            options=[*options, *strand, "-max_hsps", "1", "-searchsp", str(min(spaces.values(), default=1))],
        )
        for hit in hits:
            if hit.query == hit.subject:
                number = int(hit.query)
                best[number] = spaces[number] * 2.0**-hit.bitscore
                equal[number] = max(equal[number], round(hit.identity * len(hit.query_row)))
        for number in numbers:
            worst[number] = max(worst[number], best[number])
    return zip(worst, equal, strict=True)


def least_evalue(text1: str, text2: str, *, program: str) -> float:
    """Returns an E-value that no search of one text in the other with `sensitive_searches` goes below.

    It is that of the best local alignment of all, of DNA on either strand, which BLAST can at most find.

    Source: Smith and Waterman 1981, by Biopython's `PairwiseAligner`.
    """
    sizes = len(text1), len(text2)
    strands = (text2, reverse_complement(text2)) if program == "blastn" else (text2,)
    return min(
        scoring.least_evalue(max(_make_aligner(scoring).score(text1, text) for text in strands), *sizes)
        for scoring in choose_scorings(program, min(sizes))
    )


@functools.cache
def _make_aligner(scoring: Scoring) -> "PairwiseAligner":
    from Bio.Align import PairwiseAligner, substitution_matrices

    columns = (
        {"substitution_matrix": substitution_matrices.load(scoring.matrix)}
        if scoring.matrix
        else {"match_score": scoring.match, "mismatch_score": scoring.mismatch}
    )
    return PairwiseAligner(
        mode="local",
        open_gap_score=-scoring.gap_open - scoring.gap_extend,
        extend_gap_score=-scoring.gap_extend,
        **columns,
    )
