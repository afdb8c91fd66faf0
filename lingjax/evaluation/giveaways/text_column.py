"""A column of texts, prepared for all that reads it."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from lingjax.alphabets import SequenceKind
from lingjax.evaluation.giveaways.letters import LetterTable
from lingjax.evaluation.pair_sides import folded

MOST_KMERS = 20_000
LONGEST_READ = 4096
LETTERS_COUNTED = 24
# Letters of all rows together that are read, so that memory and seconds do not grow with long texts.
_MOST_LETTERS_READ = 2_400_000
_SHORTEST_READ = 256
# Residues that behave alike. Source: Livingstone and Barton 1993, doi:10.1093/bioinformatics/9.6.745.
LETTER_CLASSES: Mapping[str | None, Mapping[str, str]] = {
    "dna": {"G or C": "gc", "A or G": "ag", "A or C": "ac"},
    "protein": {
        "hydrophobic residues": "acfghiklmtvwy",
        "charged residues": "dehkr",
        "positive residues": "hkr",
        "aromatic residues": "fhwy",
        "small residues": "acdgnpstv",
        "aliphatic residues": "ilv",
    },
    None: {"vowels": "aeiou"},
}
"""Letters that are counted together, by what a column holds."""

Numbers = tuple[Float[np.ndarray, "rows features"], list[str]]


def named(values: Mapping[str, np.ndarray]) -> Numbers:
    """Returns numbers by name as a table with its names."""
    return np.stack([np.asarray(one, np.float64) for one in values.values()], axis=1), list(values)


@dataclasses.dataclass(frozen=True)
class TextColumn:
    """One column of texts, prepared.

    Attributes:
      texts: as they stand.
      kind: what the column holds.
      raw: the letters as they stand.
      folded: the letters in one case and with single spaces.
    """

    texts: Sequence[str]
    kind: SequenceKind | None
    raw: LetterTable
    folded: LetterTable

    @staticmethod
    def of(texts: Sequence[str], kind: SequenceKind | None) -> "TextColumn":
        """Prepares a column."""
        most = int(np.clip(_MOST_LETTERS_READ // max(len(texts), 1), _SHORTEST_READ, LONGEST_READ))
        even = [folded(text) for text in texts]
        return TextColumn(texts, kind, LetterTable.of(texts, most=most), LetterTable.of(even, most=most))

    @property
    def fewest_rows(self) -> int:
        """Rows that must have a thing for anything to be learnt from it."""
        return 3 if len(self.texts) < 500 else 5


def letter_shares(column: TextColumn) -> tuple[LetterTable, np.ndarray, np.ndarray]:
    """Returns letters, their counts and their shares; spaces are no letters."""
    table = column.folded
    counts = table.counts(min(len(table.alphabet), 254))
    shown = [place for place, letter in enumerate(table.alphabet) if letter != " "]
    total = counts[:, shown].sum(axis=1)
    return table, counts, counts / np.maximum(total, 1)[:, None]
