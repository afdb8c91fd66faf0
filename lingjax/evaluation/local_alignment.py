"""The local alignment score of sequences, as a search tool would find them alike: Smith-Waterman with affine gaps."""

import dataclasses
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lingjax import alphabets
from lingjax.alphabets import SequenceKind, six_frames
from lingjax.evaluation.pair_sides import sampled_rows

MOST_CELLS = 1_000_000_000
"""Cells of all alignment tables together: about ten seconds."""

MOST_CELLS_TRACED = 300_000_000
"""Cells of all tables through which alignments are traced back: about five seconds."""

# BLOSUM62 knows no selenocysteine, pyrrolysine or leucine-or-isoleucine.
_TO_BLOSUM = str.maketrans("UOJ", "XXX")


@dataclasses.dataclass(frozen=True)
class AlignedRows:
    """Scores of `rows`; all rows of the dataset, or a sample if all would take too long."""

    rows: Int[np.ndarray, " rows"]
    scores: Float[np.ndarray, " rows"]


def is_installed() -> bool:
    """Says whether Biopython is there."""
    return importlib.util.find_spec("Bio") is not None


def column_kinds(first: Sequence[str], second: Sequence[str]) -> tuple[SequenceKind, SequenceKind] | None:
    """Returns what both columns are; None unless both are DNA or protein."""
    kinds = alphabets.column_kinds(first, second)
    return None if None in kinds else kinds


def local_alignment(
    first: Sequence[str],
    second: Sequence[str],
    kinds: tuple[SequenceKind, SequenceKind],
    *,
    most_cells: int = MOST_CELLS,
    seed: int = 0,
) -> AlignedRows:
    """Returns the best local alignment's score over the smaller of the two sequences' scores with themselves, 0 to 1.

    DNA: match 2, mismatch -3, gap -7 and -2 for each further base; the strands as they stand. Protein: BLOSUM62, gap
    -12 and -1. DNA against protein: the best of the six translated frames, scored as protein.

    Args:
      first, second: folded texts.
      kinds: what the two columns hold, by `column_kinds`.
      most_cells: bounds the time; a sample of rows drawn by `seed` is aligned if all would need more.

    Source: Smith and Waterman 1981, Gotoh 1982; defaults of BLASTN and BLASTP (the first gap position of a gap costs
    opening and extension); computed by Biopython.
    """
    rows = _affordable_rows(first, second, kinds, most_cells=most_cells, seed=seed)
    aligner = _aligner(kinds)
    own: dict[str, float] = {}

    def score(a: str, b: str) -> float:
        smaller = min(_own_score(aligner, a, own), _own_score(aligner, b, own))
        return aligner.score(a, b) / smaller if smaller > 0 else 0.0

    def of_row(row: int) -> float:
        return max((score(a, b) for a, b in _alignable(first[row], second[row], kinds)), default=0.0)

    return AlignedRows(rows, np.array([of_row(row) for row in rows], np.float64))


def local_identity(
    first: Sequence[str],
    second: Sequence[str],
    kinds: tuple[SequenceKind, SequenceKind],
    *,
    most_cells: int = MOST_CELLS_TRACED,
    seed: int = 0,
) -> AlignedRows:
    """Returns the identical positions of the best local alignment over the length of the shorter sequence, 0 to 1.

    Of several best alignments the first; DNA against protein: of the reading frame with the best score, in residues.
    Over the length of the alignment instead, the chance match of five letters would count as identical.

    Args: as in `local_alignment`, which see for the scores.
    """
    rows = _affordable_rows(first, second, kinds, most_cells=most_cells, seed=seed)
    aligner = _aligner(kinds)

    def of_row(row: int) -> float:
        pairs = list(_alignable(first[row], second[row], kinds))
        if not pairs:
            return 0.0
        a, b = pairs[0] if len(pairs) == 1 else max(pairs, key=lambda pair: aligner.score(*pair))
        if aligner.score(a, b) <= 0:  # nothing is aligned at all
            return 0.0
        return float(aligner.align(a, b)[0].counts().identities / min(len(a), len(b)))

    return AlignedRows(rows, np.array([of_row(row) for row in rows], np.float64))


def _affordable_rows(
    first: Sequence[str],
    second: Sequence[str],
    kinds: tuple[SequenceKind, SequenceKind],
    *,
    most_cells: int,
    seed: int,
) -> Int[np.ndarray, " rows"]:
    frames = 2 if kinds[0] != kinds[1] else 1  # six frames of a third of the length
    cells = frames * sum(len(a) * len(b) for a, b in zip(first, second, strict=True))
    most = len(first) if cells <= most_cells else max(1, int(len(first) * most_cells / cells))
    return sampled_rows(len(first), most=most, seed=seed)


def _alignable(a: str, b: str, kinds: tuple[SequenceKind, SequenceKind]) -> Iterator[tuple[str, str]]:
    """Yields the pairs of sequences to align for one row: one, or a protein with each reading frame; none is empty."""
    a, b = a.upper(), b.upper()
    if kinds[0] == kinds[1]:
        candidates = [(_readable(a, kinds[0]), _readable(b, kinds[1]))]
    else:
        dna, protein = (a, b) if kinds[0] == "dna" else (b, a)
        candidates = [(_without_foreign(frame), _readable(protein, "protein")) for frame in six_frames(dna)]
    return (pair for pair in candidates if all(pair))


def _own_score(aligner: Any, sequence: str, known: dict[str, float]) -> float:
    """A sequence against itself needs no alignment: nothing scores higher than itself."""
    if sequence not in known:
        matrix = aligner.substitution_matrix
        if matrix is None:
            known[sequence] = aligner.match_score * sum(letter != aligner.wildcard for letter in sequence)
        else:
            known[sequence] = float(sum(max(matrix[letter, letter], 0.0) for letter in sequence))
    return known[sequence]


def _readable(sequence: str, kind: SequenceKind) -> str:
    if kind == "dna":
        sequence = sequence.replace("U", "T")
        return "".join(letter if letter in "ACGTN" else "N" for letter in sequence)
    return _without_foreign(sequence.translate(_TO_BLOSUM))


def _without_foreign(sequence: str) -> str:
    return "".join(letter if letter in "ARNDCQEGHILKMFPSTWYVBZX*" else "X" for letter in sequence)


def _aligner(kinds: tuple[SequenceKind, SequenceKind]) -> Any:
    return _dna_aligner() if kinds == ("dna", "dna") else _protein_aligner()


def _dna_aligner() -> Any:
    from Bio.Align import PairwiseAligner

    aligner = PairwiseAligner(mode="local", match_score=2, mismatch_score=-3)
    aligner.wildcard = "N"
    aligner.open_gap_score, aligner.extend_gap_score = -7, -2
    return aligner


def _protein_aligner() -> Any:
    from Bio.Align import PairwiseAligner, substitution_matrices

    aligner = PairwiseAligner(mode="local")
    aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
    aligner.open_gap_score, aligner.extend_gap_score = -12, -1
    return aligner
