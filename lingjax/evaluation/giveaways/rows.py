"""What is audited: one or two texts a row as they stand, labels, and where rows carry them ids and sources."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int

from lingjax.alphabets import SequenceKind, column_kind, column_kinds
from lingjax.data import PairRecord
from lingjax.evaluation.metrics import Labels
from lingjax.evaluation.pair_sides import folded


@dataclasses.dataclass(frozen=True)
class AuditedRows:
    """Rows of one table, in its order.

    Attributes:
      first: the text of every row, or the first of two; case and white space as they stand.
      second: the second text of every row; None where rows have one.
      labels: 0 or 1.
      ids: as the table names its rows; None where it does not.
      sources: the file, organism or collection that a row is from; None where that is not known.
      numbers: the place of every row in its table, where these are a sample of it.

    Raises:
      ValueError: the columns differ in length.
    """

    first: Sequence[str]
    second: Sequence[str] | None
    labels: Labels
    ids: Sequence[str] | None = None
    sources: Sequence[str] | None = None
    numbers: Int[np.ndarray, " rows"] | None = None

    def __post_init__(self) -> None:
        lengths = {
            len(one) for one in (self.first, self.second, self.labels, self.ids, self.sources) if one is not None
        }
        if len(lengths) != 1:
            raise ValueError(f"the columns of one table are equally long; these have {sorted(lengths)} rows")

    def __len__(self) -> int:
        return len(self.first)

    @staticmethod
    def of(records: Iterable[PairRecord]) -> "AuditedRows":
        """Takes pairs, with their ids."""
        records = list(records)
        return AuditedRows(
            first=[record.sentence1 for record in records],
            second=[record.sentence2 for record in records],
            labels=np.array([record.label for record in records], np.int64),
            ids=[record.pair_id for record in records],
        )

    @property
    def texts(self) -> tuple[Sequence[str], ...]:
        """The columns of texts: one or two."""
        return (self.first,) if self.second is None else (self.first, self.second)

    @functools.cached_property
    def folded(self) -> tuple[list[str], ...]:
        """The columns of texts in one case and with single spaces."""
        return tuple([folded(text) for text in column] for column in self.texts)

    @functools.cached_property
    def kinds(self) -> tuple[SequenceKind | None, ...]:
        """What each column of texts holds: DNA, protein or something else."""
        if self.second is None:
            return (column_kind(self.first),)
        return column_kinds(self.first, self.second)

    @property
    def places(self) -> Int[np.ndarray, " rows"]:
        """The place of every row in its table, from 0."""
        return np.arange(len(self)) if self.numbers is None else self.numbers

    def name(self, row: int) -> str:
        """Returns the id of a row, or `row N`, counted from 1."""
        return f"row {int(self.places[row]) + 1}" if self.ids is None else self.ids[row]

    def take(self, rows: Int[np.ndarray, " some"]) -> "AuditedRows":
        """Returns some rows, in the order given."""

        def some(column: Sequence[str] | None) -> list[str] | None:
            return None if column is None else [column[row] for row in rows]

        return AuditedRows(
            first=some(self.first),
            second=some(self.second),
            labels=np.asarray(self.labels)[rows],
            ids=some(self.ids),
            sources=some(self.sources),
            numbers=self.places[rows],
        )

    def sample(self, *, most: int, seed: int) -> "AuditedRows":
        """Returns all rows, or `most` of them drawn by the seed: of the rarer label as many as half of that allows."""
        if len(self) <= most:
            return self
        rng = np.random.default_rng(seed)
        by_label = [np.flatnonzero(np.asarray(self.labels) == label) for label in (0, 1)]
        by_label.sort(key=len)
        rarer = min(len(by_label[0]), most // 2)
        drawn = [
            rng.choice(rows, size, replace=False) for rows, size in zip(by_label, (rarer, most - rarer), strict=True)
        ]
        return self.take(np.sort(np.concatenate(drawn)))
