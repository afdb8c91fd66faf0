"""The E-value of two proteins that are compared with nothing but each other."""

import functools
import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from data_prep.biology import blast

if TYPE_CHECKING:
    from Bio.Align import PairwiseAligner

# What blastp uses by default, BLOSUM62 with gaps of 11 + 1 a residue, and the lambda, K and H of Karlin and Altschul
# that it prints for them.
_GAP_OPEN, _GAP_EXTEND = 11, 1
_DECAY, _SCALE, _ENTROPY = 0.267, 0.041, 0.14
_CIGAR_RUN = re.compile(r"(\d+)([=XID])")
# Starting BLAST costs as much as comparing hundreds of pairs; with many more it finds ever more of what was not asked.
_PAIRS_AT_ONCE = 1000


def greatest_evalue(score: float, letters1: int, letters2: int) -> float:
    """Returns an E-value that is no lower than that of a search which corrects for the ends of sequences."""
    return _SCALE * letters1 * letters2 * math.exp(-_DECAY * score)


def least_evalue(text1: str, text2: str) -> float:
    """Returns an E-value of the best local alignment of all, lowered by the correction for ends in full.

    Source: Smith and Waterman 1981, by Biopython's `PairwiseAligner`; Altschul and Gish 1996,
      https://doi.org/10.1016/S0076-6879(96)66029-7, "edge effects".
    """
    edge = max(math.log(_SCALE * len(text1) * len(text2)) / _ENTROPY, 0)
    score = _make_aligner().score(text1, text2)
    return greatest_evalue(score, max(len(text1) - edge, 1), max(len(text2) - edge, 1))


def score_columns(text1: str, text2: str, cigar: str) -> float:
    """Returns the score of the best piece of an alignment.

    >>> score_columns("MKW", "MKC", "2=1X")
    10.0
    """
    matrix = _make_aligner().substitution_matrix
    best = score = 0.0
    place1 = place2 = 0
    for size, kind in _CIGAR_RUN.findall(cigar):
        size = int(size)
        if kind in "ID":
            score = max(score - _GAP_OPEN - _GAP_EXTEND * size, 0.0)
            place1, place2 = (place1 + size, place2) if kind == "I" else (place1, place2 + size)
            continue
        for letter1, letter2 in zip(text1[place1 : place1 + size], text2[place2 : place2 + size], strict=True):
            score = max(score + float(matrix[letter1, letter2]), 0.0)
            best = max(best, score)
        place1, place2 = place1 + size, place2 + size
    return best


def find_aligned(pairs: Sequence[tuple[str, str]], *, evalue: float) -> Iterator[bool]:
    """Yields for each pair of texts whether blastp, searching one in the other alone, finds it under an E-value."""
    for first in range(0, len(pairs), _PAIRS_AT_ONCE):
        batch = pairs[first : first + _PAIRS_AT_ONCE]
        spaces = [len(text1) * len(text2) for text1, text2 in batch]
        hits = blast.search(
            {str(number): text1 for number, (text1, _) in enumerate(batch)},
            {str(number): text2 for number, (_, text2) in enumerate(batch)},
            program="blastp",
            evalue=evalue,
            # The smallest search space lets every pair through that might pass.
            options=["-max_hsps", "1", "-searchsp", str(min(spaces))],
        )
        found = {
            int(hit.query)
            for hit in hits
            if hit.query == hit.subject and spaces[int(hit.query)] * 2.0**-hit.bitscore <= evalue
        }
        yield from (number in found for number in range(len(batch)))


@functools.cache
def _make_aligner() -> "PairwiseAligner":
    from Bio.Align import PairwiseAligner, substitution_matrices

    return PairwiseAligner(
        mode="local",
        substitution_matrix=substitution_matrices.load("BLOSUM62"),
        open_gap_score=-_GAP_OPEN - _GAP_EXTEND,
        extend_gap_score=-_GAP_EXTEND,
    )
