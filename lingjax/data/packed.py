"""Rows of tokens that `data_prep.pack` wrote, with random access."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from lingjax.data.dataset import DatasetSplit, open_split
from lingjax.data.tfrecord import TFRecordSource, parse_example
from lingjax.errors import InputError


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
      vocab_size: of the tokenizer that made the rows; all token ids are below it.
    """

    split: DatasetSplit
    records: TFRecordSource
    length: int
    domain: str
    vocab_size: int

    @property
    def characters_per_token(self) -> float | None:
        """Of the split's texts, separators counted as tokens and [CLS] not; None if it was not recorded."""
        counts = self.split.info["counts"][self.split.split]
        return counts["characters"] / counts["tokens"] if "characters" in counts else None

    @property
    def start_id(self) -> int | None:
        """[CLS], with which each document begins in each row; None for rows without it, as GPT-2's.

        Rows for BERT that were packed without it, as earlier versions did, are read and masked like others; a model
        that is trained on them never reads [CLS].
        """
        return self.split.info.get("start_id")

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, number: int) -> PackedRow:
        """Reads one row.

        Raises:
          InputError: the record is damaged or does not have `length` tokens.
        """
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


def rows_in_equal_steps(source: PackedSource, *, most_rows: int) -> Iterator[PackedRow]:
    """Yields all rows of a source, or so many of them that are spread over it."""
    for number in np.linspace(0, len(source) - 1, min(len(source), most_rows)).astype(int):
        yield source[int(number)]


def open_packed(reference: str, *, tokenizer_fingerprint: str, default: Sequence[str] = ("train",)) -> PackedSource:
    """Opens a folder that `data_prep.pack` wrote.

    Args:
      reference: `PATH` or `PATH@SPLIT`.
      tokenizer_fingerprint: of the tokenizer whose ids the model knows.
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
    packed_with = info["tokenizer"]
    if packed_with["fingerprint"] != tokenizer_fingerprint:
        raise InputError(
            f"{split.path} was packed with tokenizer '{packed_with['name']}', fingerprint "
            f"{packed_with['fingerprint']}, but the tokenizer in use has fingerprint {tokenizer_fingerprint}; pack the "
            "corpus again or change the tokenizer"
        )
    return PackedSource(split, TFRecordSource(split.shard_paths()), info["length"], info["domain"], info["vocab_size"])
