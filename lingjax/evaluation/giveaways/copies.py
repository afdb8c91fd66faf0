"""Texts that are near-copies of one another: homologs, fragments, rewordings; found by runs of letters they share."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8, UInt64
from scipy import special, stats
from scipy.sparse import csr_array

from lingjax.alphabets import SequenceKind
from lingjax.evaluation.giveaways.letters import LetterTable

# Letters of a run: of the DNA of two unrelated texts of 150 letters, a third shares one of 8.
_RUN: dict[str | None, int] = {"dna": 8, "protein": 4, None: 8}
_LEAST_RUNS: dict[str | None, int] = {"dna": 4, "protein": 4, None: 10}
# Of a text of 75 % identity a tenth of the runs of 8 is left; language repeats its phrases.
_LEAST_FRACTION: dict[str | None, float] = {"dna": 0.05, "protein": 0.05, None: 0.5}
_EXPECTED_BY_CHANCE = 0.01
_CANDIDATES_BY_CHANCE = 10
_COMMON_FRACTION = 0.05
_FEWEST_TEXTS_OF_COMMON = 50
_LETTERS_READ = 2000
_LETTERS_AT_ONCE = 300_000


@dataclasses.dataclass(frozen=True)
class Near:
    """Texts alike.

    Attributes:
      first, second: numbers of the texts of every couple.
    """

    first: Int[np.ndarray, " couples"]
    second: Int[np.ndarray, " couples"]


def near_copies(queries: Sequence[str], subjects: Sequence[str] | None, kind: SequenceKind | None) -> Near:
    """Finds the texts of `queries` that are near-copies of texts of `subjects`, or of one another.

    Two texts of DNA (or protein) are if they share at least a twentieth of the shorter one's runs of 8 (4) letters, and
    more than chance would have any two of all these texts share in one of 100 such tables. Chance: shared runs come in
    clumps, whose number is Poisson's, and the next letter is equal as often as letters, or runs, are frequent. Other
    texts are if they share half of the shorter one's runs of 8, and at least 10. Runs that many texts hold are left
    out.

    Args:
      queries, subjects: distinct folded texts; without subjects, queries among themselves, each couple once.
      kind: what the texts are.
    """
    size = _RUN[kind]
    among = subjects is None
    everything = list(queries) if among else [*queries, *subjects]
    codes, owner, letters = _runs(everything, size)
    if not codes.size:
        return Near(np.zeros(0, np.int64), np.zeros(0, np.int64))
    distinct, run = np.unique(codes, return_inverse=True)
    held = csr_array((np.ones(run.size, np.int32), (owner, run)), shape=(len(everything), distinct.size))
    held.sum_duplicates()
    held.data[:] = 1
    holders = np.bincount(held.indices, minlength=distinct.size)
    most = max(_FEWEST_TEXTS_OF_COMMON, _COMMON_FRACTION * len(everything))
    held = csr_array(held[:, np.flatnonzero((holders > 1) & (holders <= most))])
    runs = np.bincount(owner, minlength=len(everything))
    alike = _chance_of_equal_runs(letters, size, holders[(holders > 1) & (holders <= most)], codes.size)
    count = len(queries)
    left, right = held[:count], held if among else held[count:]
    transposed = csr_array(right.T)
    couples = count * right.shape[0]
    # Batches by letters: long texts have many runs, and share many by chance.
    batch = max(1, int(_LETTERS_AT_ONCE / max(1.0, runs[:count].mean())))
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, count, batch):
        shared = csr_array(left[start : start + batch] @ transposed)
        row = np.repeat(np.arange(start, start + shared.shape[0]), np.diff(shared.indptr))
        column = shared.indices
        enough = shared.data >= _LEAST_RUNS[kind]
        row, column, number = row[enough], column[enough], shared.data[enough]
        other = column if among else column + count
        chance = runs[row].astype(np.float64) * runs[other] * alike
        shorter = np.minimum(runs[row], runs[other])
        enough = number >= _LEAST_FRACTION[kind] * shorter
        if among:
            enough &= row < column
        row, column, other, chance = row[enough], column[enough], other[enough], chance[enough]
        if kind is not None:
            likely = stats.poisson.sf(number[enough] / 2, chance) * couples < _CANDIDATES_BY_CHANCE
            row, column, other, chance = row[likely], column[likely], other[likely], chance[likely]
            real = [
                _chance_of_clumps(everything[one], everything[two], size, expected, alike) * couples
                < _EXPECTED_BY_CHANCE
                for one, two, expected in zip(row, other, chance, strict=True)
            ]
            row, column = row[real], column[real]
        found.append((row, column))
    first, second = (np.concatenate(side) for side in zip(*found, strict=True))
    return Near(first.astype(np.int64), second.astype(np.int64))


def _chance_of_equal_runs(
    letters: UInt8[np.ndarray, " letters"], size: int, holders: Int[np.ndarray, " runs"], runs: int
) -> float:
    """Returns how likely two runs of two texts are equal."""
    frequency = np.bincount(letters, minlength=256)[1:].astype(np.float64)
    of_letters = float(((frequency / max(frequency.sum(), 1)) ** 2).sum()) ** size
    return max(of_letters, float((holders * (holders - 1.0)).sum()) / runs**2)


def _chance_of_clumps(first: str, second: str, size: int, expected: float, alike: float) -> float:
    """Returns how likely two unrelated texts share as many runs in as many clumps.

    Source: clumps of shared words, Reinert, Schbath and Waterman 2000, doi:10.1089/10665270050081360.

    Args:
      expected: shared runs of two unrelated texts of these lengths.
      alike: how likely two runs are equal.
    """
    held = {second[place : place + size] for place in range(len(second) - size + 1)}
    hits = np.array([first[place : place + size] in held for place in range(len(first) - size + 1)], bool)
    runs, clumps = int(hits.sum()), int((hits[1:] & ~hits[:-1]).sum() + hits[:1].sum())
    if not runs:
        return 1.0
    letter = alike ** (1 / size)
    sizes = special.comb(runs - 1, clumps - 1) * letter ** (runs - clumps)
    return float(stats.poisson.sf(clumps - 1, expected) * sizes)


def _runs(
    texts: Sequence[str], size: int
) -> tuple[UInt64[np.ndarray, " runs"], Int[np.ndarray, " runs"], UInt8[np.ndarray, " letters"]]:
    """Returns code and text of every run, and all letters; a code of up to 8 letters holds them all."""
    table = LetterTable.of(texts, most=_LETTERS_READ)
    letters, held = table.codes[table.codes > 0], table.held
    windows = np.maximum(held - size + 1, 0)
    owner = np.repeat(np.arange(len(texts)), windows)
    first_letter, first_run = (np.cumsum(counts) - counts for counts in (held, windows))
    starts = np.arange(owner.size) + np.repeat(first_letter - first_run, windows)
    codes = np.zeros(max(letters.size - size + 1, 0), np.uint64)
    for offset in range(size):
        codes = codes << np.uint64(8) | letters[offset : offset + codes.size]
    return codes[starts], owner, letters
