"""Pairs as token ids, encoded once and kept as flat arrays that every reader shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np
from jaxtyping import Int, Int32

from lingjax.data.dataset import PairRecord, SubsetSource
from lingjax.data.pairs import EncodedPair, PairEncoder, TokenStatistics
from lingjax.errors import InputError

_RECORDS_AT_ONCE = 1024  # enough to keep the tokenizer's threads busy; bounds the memory of the texts
_COUNTS = (
    "pool_position",
    "truncated_tokens",
    "truncated_characters",
    "unknown_tokens",
    "text_tokens",
    "characters",
    "first_tokens",
)


@dataclasses.dataclass(frozen=True)
class _Storage:
    """All pairs of a source, one after another: 4 bytes a token and 52 a pair.

    Attributes:
      token_ids: those of every pair in turn.
      ends: where each pair ends in `token_ids`; the first entry is 0.
      boundaries: in each pair, the first position of segment 1; the pair's length where there is none.
      counts: the columns `_COUNTS` of every pair.
    """

    token_ids: Int32[np.ndarray, " tokens"]
    ends: Int[np.ndarray, " pairs_and_one"]
    boundaries: Int32[np.ndarray, " pairs"]
    counts: Int32[np.ndarray, "pairs counts"]


class EncodedPairs(Sequence[EncodedPair]):
    """The pairs of a source as a model reads them; `row_id` of a pair is its place in this sequence.

    Batches are made of it without a tokenizer, as often as wanted; rows can be chosen and labels replaced without a
    copy of the token ids. Make one with `encode_pairs`.

    Attributes:
      encoder: what made the token ids.
      labels: 0 or 1, of every row.
    """

    def __init__(
        self,
        source: Sequence[PairRecord],
        encoder: PairEncoder,
        storage: _Storage,
        rows: Int[np.ndarray, " rows"],
        labels: Int32[np.ndarray, " rows"],
    ):
        self._source = source
        self._storage = storage
        self._rows = rows
        self.encoder = encoder
        self.labels = labels

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: SupportsIndex) -> EncodedPair:
        place = range(len(self))[int(number)]
        row = int(self._rows[place])
        token_ids = self._storage.token_ids[self._storage.ends[row] : self._storage.ends[row + 1]]
        counts = dict(zip(_COUNTS, self._storage.counts[row].tolist(), strict=True))
        segment_ids = (np.arange(len(token_ids)) >= self._storage.boundaries[row]).astype(np.int32)
        return EncodedPair(
            token_ids=token_ids, segment_ids=segment_ids, label=int(self.labels[place]), row_id=place, **counts
        )

    def sentences(self, number: int) -> tuple[Int32[np.ndarray, " _"], Int32[np.ndarray, " _"]] | None:
        """Returns the tokens of a pair's two texts, where the row holds each whole and by itself; None elsewhere."""
        pair = self[number]
        if pair.first_tokens < 0 or pair.truncated_tokens or pair.truncated_characters:
            return None
        start = 1 if self.encoder.pair_format == "bert" else 0
        end = start + pair.first_tokens
        return pair.token_ids[start:end], pair.token_ids[end + 1 : -1]

    @property
    def records(self) -> Sequence[PairRecord]:
        """The texts of the rows, as they were read; their labels are the source's own."""
        return SubsetSource(self._source, self._rows)

    @property
    def lengths(self) -> Int32[np.ndarray, " rows"]:
        """Tokens of each row, special tokens included."""
        return np.diff(self._storage.ends)[self._rows].astype(np.int32)

    def take(self, numbers: Sequence[int] | Int[np.ndarray, " taken"]) -> EncodedPairs:
        """Returns some rows in the order given; they share the token ids."""
        numbers = np.asarray(numbers, np.int64)
        return EncodedPairs(self._source, self.encoder, self._storage, self._rows[numbers], self.labels[numbers])

    def with_labels(self, labels: Int[np.ndarray, " rows"]) -> EncodedPairs:
        """Returns the same texts with other labels."""
        if len(labels) != len(self):
            raise ValueError(f"{len(labels)} labels for {len(self)} pairs")
        return EncodedPairs(self._source, self.encoder, self._storage, self._rows, np.asarray(labels, np.int32))

    def statistics(self) -> TokenStatistics:
        """Counts what tokenizing did to every row.

        Raises:
          InputError: there are no rows.
        """
        if not len(self):
            raise InputError("a dataset without rows cannot be measured")
        columns = dict(zip(_COUNTS, self._storage.counts[self._rows].T.astype(np.int64), strict=True))
        return TokenStatistics(
            rows=len(self),
            text_tokens=int(columns["text_tokens"].sum()),
            unknown_tokens=int(columns["unknown_tokens"].sum()),
            rows_all_unknown=int(np.count_nonzero(columns["unknown_tokens"] == columns["text_tokens"])),
            truncated_rows=int(np.count_nonzero(columns["truncated_tokens"])),
            cut_rows=int(np.count_nonzero(columns["truncated_characters"])),
            characters=int(columns["characters"].sum()),
            tokens_per_row=self.lengths,
        )


def encode_pairs(source: Sequence[PairRecord], encoder: PairEncoder) -> EncodedPairs:
    """Reads and encodes every pair of a source, in order.

    Raises:
      InputError: a record is damaged, or a pair has no token.
    """
    token_ids, columns = [np.zeros(0, np.int32)], [np.zeros((0, 3 + len(_COUNTS)), np.int32)]
    for start in range(0, len(source), _RECORDS_AT_ONCE):
        numbers = range(start, min(start + _RECORDS_AT_ONCE, len(source)))
        pairs = encoder.encode([source[number] for number in numbers], row_ids=numbers)
        token_ids.append(np.concatenate([pair.token_ids for pair in pairs], dtype=np.int32))
        columns.append(np.array([_columns(pair) for pair in pairs], np.int32))
    table = np.concatenate(columns)
    storage = _Storage(
        token_ids=np.concatenate(token_ids),
        ends=np.concatenate([[0], np.cumsum(table[:, 0], dtype=np.int64)]),
        boundaries=table[:, 1],
        counts=table[:, 3:],
    )
    return EncodedPairs(source, encoder, storage, np.arange(len(table)), table[:, 2])


def _columns(pair: EncodedPair) -> list[int]:
    length = len(pair.token_ids)
    counts = [getattr(pair, name) for name in _COUNTS]
    return [length, length - int(pair.segment_ids.sum()), pair.label, *counts]


def measure_tokens(source: Sequence[PairRecord], encoder: PairEncoder) -> TokenStatistics:
    """Counts what tokenizing does to every pair of a source.

    Raises:
      InputError: the source has no rows, or a pair has no token.
    """
    return encode_pairs(source, encoder).statistics()
