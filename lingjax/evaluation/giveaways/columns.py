"""Tables of features with names in words: sparse, put together from numbers, bins, and counts of things."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array, hstack

_BINS = 8
# A number with few values (a parity, a count of brackets) is taken value by value: equality is no matter of order.
_MOST_VALUES = 12


@dataclasses.dataclass(frozen=True)
class Columns:
    """Features of rows.

    Attributes:
      matrix: [rows features].
      describe: the words for a feature, by its number.
    """

    matrix: csr_array
    describe: Callable[[int], str]

    @property
    def count(self) -> int:
        """How many features there are."""
        return self.matrix.shape[1]


def joined(parts: Sequence[Columns]) -> Columns:
    """Returns the features of several tables side by side."""
    parts = [part for part in parts if part.count] or list(parts[:1])
    if len(parts) == 1:
        return parts[0]
    ends = np.cumsum([part.count for part in parts])

    def describe(number: int) -> str:
        part = int(np.searchsorted(ends, number, side="right"))
        return parts[part].describe(number - (int(ends[part - 1]) if part else 0))

    return Columns(csr_array(hstack([part.matrix for part in parts], format="csr")), describe)


def numbers(values: Float[np.ndarray, "rows features"], names: Sequence[str]) -> Columns:
    """Returns numbers as they are and, because labels may follow from a band, cut into eight bins of equal weight.

    A number of at most twelve values has a feature for each of them.
    """
    values = np.asarray(values, np.float64).reshape(len(values), len(names))
    rows = len(values)
    if not rows or not names:
        return Columns(csr_array((rows, 0)), str)
    ordered = np.sort(values, axis=0)
    rises = ordered[1:] > ordered[:-1]
    distinct = 1 + rises.sum(axis=0)
    varied = np.flatnonzero(distinct > 1)
    low, high = ordered[0, varied], ordered[-1, varied]
    scaled = csr_array(((values[:, varied] - low) / (high - low)).astype(np.float32))
    words = [names[column] for column in varied]
    cuts = np.quantile(values, np.arange(1, _BINS) / _BINS, axis=0)
    places, first = [], 0
    for column in varied[distinct[varied] > 2]:  # of two values the number itself says it
        name = names[column]
        if distinct[column] <= _MOST_VALUES:
            edges = ordered[1:, column][rises[:, column]]
            words += [f"{name} is {value:g}" for value in (ordered[0, column], *edges)]
        else:
            edges = cuts[:, column][np.concatenate([[True], np.diff(cuts[:, column]) > 0])]
            bounds = [ordered[0, column], *edges, ordered[-1, column]]
            words += [f"{name} from {one:.3g} to {other:.3g}" for one, other in itertools.pairwise(bounds)]
        places.append(first + np.searchsorted(edges, values[:, column], side="right"))
        first += edges.size + 1
    if not places:
        return Columns(scaled, words.__getitem__)
    indices = np.stack(places, axis=1)
    ends = np.arange(rows + 1) * indices.shape[1]
    bins = csr_array((np.ones(indices.size, np.float32), indices.ravel(), ends), shape=(rows, first))
    return Columns(csr_array(hstack([scaled, bins], format="csr")), words.__getitem__)


def counted(
    owner: Int[np.ndarray, " things"],
    codes: Int[np.ndarray, " things"],
    rows: int,
    describe: Callable[[int], str],
    *,
    fewest_rows: int,
    most: int,
) -> Columns:
    """Returns how often each row has each thing, on a logarithmic scale.

    Args:
      owner: the row of every thing.
      codes: what it is; things with one code are the same.
      rows: how many there are.
      describe: the words for a code.
      fewest_rows: things of fewer rows are left out: nothing is learnt from them.
      most: the things of most rows are kept.
    """
    distinct, column = np.unique(codes, return_inverse=True)
    matrix = csr_array((np.ones(codes.size, np.float32), (owner, column)), shape=(rows, distinct.size))
    matrix.sum_duplicates()
    holders = np.bincount(matrix.indices, minlength=distinct.size)
    kept = np.flatnonzero((holders >= fewest_rows) & ((holders < rows) | (distinct.size <= 256)))
    if kept.size > most:
        kept = np.sort(kept[np.argsort(-holders[kept], kind="stable")[:most]])
    matrix = csr_array(matrix[:, kept])
    matrix.data = np.log1p(matrix.data)
    names = distinct[kept]
    return Columns(matrix, lambda number: describe(int(names[number])))
