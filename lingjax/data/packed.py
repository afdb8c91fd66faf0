"""Rows of tokens that `data_prep.pack` wrote, with random access."""

import concurrent.futures
import functools
import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np
from jaxtyping import Int32

from lingjax.data.dataset import DatasetSplit, open_split
from lingjax.data.shard_files import REQUESTS_AT_ONCE
from lingjax.data.tfrecord import TFRecordSource, parse_example
from lingjax.errors import InputError

_ROWS_AT_ONCE = 4 * REQUESTS_AT_ONCE


@dataclass(frozen=True)
class PackedRow:
    """Tokens of one or more documents, one after another.

    Attributes:
      document_ids: 1, 2, ... for each token's document within the row; 0 for padding.
      number: the row's index in its split; -1 for one that fills a batch up.
    """

    token_ids: Int32[np.ndarray, " length"]
    document_ids: Int32[np.ndarray, " length"]
    number: int


@dataclass(frozen=True)
class PackedSource:
    """One split of a packed corpus, with random access to its rows.

    Attributes:
      length: tokens of a row.
      domain: "english", "dna" or "protein".
      vocab_size: that of the tokenizer that made the rows; all token ids are below it.
    """

    split: DatasetSplit
    records: TFRecordSource
    length: int
    domain: str
    vocab_size: int

    @property
    def characters_per_token(self) -> float | None:
        """Of the split's texts, separators counted as tokens and [CLS] not; None if it was not recorded."""
        counts = self.split.info.get("counts", {}).get(self.split.split, {})
        return counts["characters"] / counts["tokens"] if counts.get("characters") and counts.get("tokens") else None

    @property
    def start_id(self) -> int | None:
        """[CLS], with which each document begins in each row; None for rows without it, as GPT-2's.

        Rows for BERT that were packed without it, as earlier versions did, are read and masked like others; a model
        that is trained on them never reads [CLS].
        """
        return self.split.info.get("start_id")

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, number: SupportsIndex) -> PackedRow:
        """Reads one row.

        Raises:
          InputError: the record is damaged or does not have `length` tokens.
        """
        number = operator.index(number)
        features = parse_example(self.records[number])
        arrays = {}
        for name in ("token_ids", "document_ids"):
            payload = features.get(name, [b""])[0]
            if len(payload) != 4 * self.length:
                place = self.records.locate(number)
                raise InputError(
                    f"{place}: {name} has {len(payload)} bytes, expected {4 * self.length}; pack the corpus again"
                )
            arrays[name] = np.frombuffer(payload, "<i4").astype(np.int32)
        return PackedRow(**arrays, number=number)


@dataclass(frozen=True)
class PackedSubset:
    """Some rows of a packed source, which keep their numbers.

    Attributes:
      source: has the rows.
      numbers: which rows are in it.
    """

    source: PackedSource
    numbers: tuple[int, ...]

    @property
    def split(self) -> DatasetSplit:
        """Of the source."""
        return self.source.split

    @property
    def length(self) -> int:
        """Tokens of a row."""
        return self.source.length

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: SupportsIndex) -> PackedRow:
        return self.source[self.numbers[place]]


def choose_in_equal_steps(source: PackedSource, *, most_rows: int) -> PackedSource | PackedSubset:
    """Returns the source itself, or so many of its rows that are spread over it."""
    if len(source) <= most_rows:
        return source
    return PackedSubset(source, tuple(np.linspace(0, len(source) - 1, most_rows).astype(int).tolist()))


def rows_in_equal_steps(source: PackedSource, *, most_rows: int) -> Iterator[PackedRow]:
    """Yields all rows of a source, or so many of them that are spread over it."""
    chosen = choose_in_equal_steps(source, most_rows=most_rows)
    return read_rows((chosen, place) for place in range(len(chosen)))


def read_rows(wanted: Iterable[tuple[PackedSource | PackedSubset, int]]) -> Iterator[PackedRow]:
    """Yields rows of sources in the order in which they are asked for; of buckets many are read at a time."""
    wanted = iter(wanted)
    while some := list(itertools.islice(wanted, _ROWS_AT_ONCE)):
        read = _bucket_readers().map if any(is_remote(source) for source, _ in some) else map
        yield from read(lambda place: place[0][place[1]], some)


def is_remote(source: PackedSource | PackedSubset) -> bool:
    """Says whether reading a row may wait for a bucket."""
    if isinstance(source, PackedSubset):
        return is_remote(source.source)
    return isinstance(source, PackedSource) and source.records.is_remote


@functools.cache
def _bucket_readers() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="bucket")


def open_packed(reference: str, *, tokenizer_fingerprint: str, default: Sequence[str] = ("train",)) -> PackedSource:
    """Opens a folder that `data_prep.pack` wrote.

    Args:
      reference: `PATH` or `PATH@SPLIT`.
      tokenizer_fingerprint: that of the tokenizer whose ids the model knows.
      default: splits to look for, in this order, if the reference names none.

    Raises:
      InputError: not a packed folder, or packed with another tokenizer.
    """
    split = open_split(reference, default=default)
    info = split.info
    if info.get("kind") != "packed":
        raise InputError(
            f"{split.path} holds {info.get('kind')}, not packed token rows; make them with `python -m data_prep.pack`"
        )
    missing = [key for key in ("tokenizer", "length", "domain", "vocab_size") if key not in info]
    if missing:
        raise InputError(f"{split.path / 'lingjax.json'}: lacks {', '.join(missing)}; pack the corpus again")
    packed_with = info["tokenizer"]
    if packed_with["fingerprint"] != tokenizer_fingerprint:
        raise InputError(
            f"{split.path} was packed with tokenizer '{packed_with['name']}', fingerprint "
            f"{packed_with['fingerprint']}, but the tokenizer in use has fingerprint {tokenizer_fingerprint}; pack the "
            "corpus again or change the tokenizer"
        )
    records = split.open_records()
    if len(records) != split.rows or not split.rows:
        raise InputError(
            f"{split.path}: split '{split.split}' has {len(records)} rows, lingjax.json says {split.rows}"
            f"{'' if split.rows else ', and none can be trained on'}; pack the corpus again"
        )
    return PackedSource(split, records, info["length"], info["domain"], info["vocab_size"])
