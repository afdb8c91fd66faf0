"""Does a DNA sequence encode the protein that it is paired with? Finds doubtful labels of DNA-protein targets."""

import math
from collections.abc import Sequence

import numpy as np

from lingjax.alphabets import column_kinds, is_nucleic, six_frames
from lingjax.data.dataset import PairRecord

SHARED_RESIDUES = 5
"""The fewest residues in a row that count as a piece; long pairs need more (`residues_of_a_piece`).

A run of 5 is found by chance in under 1 % of unrelated pairs of 150 nt and 50 residues.
"""

# How often two unrelated residues are the same, and in how many unrelated pairs a piece may be found by chance.
_CHANCE_OF_A_RESIDUE = 1 / 20
_CHANCE_OF_A_PIECE = 0.01

_NOT_RESIDUES = frozenset("*X")


def encoding_fractions(records: Sequence[PairRecord]) -> tuple[float | None, float | None]:
    """Returns the share of negatives and of positives whose DNA encodes a piece of the protein.

    A row counts if any of the six reading frames of its DNA (standard genetic code) shares at least
    `residues_of_a_piece` consecutive residues with its protein, as unrelated ones do in about 1 % of cases or less.

    Returns:
      `(None, None)` unless one column of at least 95 % of rows is nucleotides and the other amino acids; one None if
      that label does not occur.
    """
    pairs = _dna_protein_pairs(records)
    if pairs is None:
        return None, None
    encodes = np.array([encodes_piece(dna, protein) for dna, protein in pairs])
    labels = np.array([record.label for record in records])
    return _mean_or_none(encodes[labels == 0]), _mean_or_none(encodes[labels == 1])


def encodes_piece(dna: str, protein: str) -> bool:
    """Whether a six-frame translation of `dna` shares `residues_of_a_piece` (no stop, no X) in a row with `protein`.

    >>> encodes_piece("ATGGCTAAACGTTGG", "MAKRW"), encodes_piece("CCAACGTTTAGCCAT", "MAKRW")
    (True, True)
    """
    if not is_nucleic(dna):
        return False
    # No run holds a stop, so none reaches from one frame into the next.
    read = "*".join(six_frames(dna))
    length = residues_of_a_piece(len(dna), len(protein))
    return any(run in read for run in _runs_of_residues(protein.upper(), length))


def residues_of_a_piece(dna_length: int, protein_length: int) -> int:
    """Returns how many shared residues in a row tell a coding pair from chance; 5 for 150 nt beside 50 residues.

    Args:
      dna_length: nucleotides, of which six frames are read.
      protein_length: residues.

    >>> residues_of_a_piece(150, 50), residues_of_a_piece(600, 200), residues_of_a_piece(1500, 500)
    (5, 6, 7)
    """
    places = max(2 * dna_length * protein_length, 1)
    needed = math.log(_CHANCE_OF_A_PIECE / places) / math.log(_CHANCE_OF_A_RESIDUE)
    return max(SHARED_RESIDUES, math.ceil(needed))


def _runs_of_residues(protein: str, length: int) -> set[str]:
    runs = {protein[i : i + length] for i in range(len(protein) - length + 1)}
    return {run for run in runs if _NOT_RESIDUES.isdisjoint(run)}


def _dna_protein_pairs(records: Sequence[PairRecord]) -> list[tuple[str, str]] | None:
    columns = [record.sentence1 for record in records], [record.sentence2 for record in records]
    for dna, protein in (columns, columns[::-1]):
        if column_kinds(dna, protein) == ("dna", "protein"):
            return list(zip(dna, protein, strict=True))
    return None


def _mean_or_none(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None
