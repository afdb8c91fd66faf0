"""Corpus folders as sequences of texts, and mixtures of them in given shares."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lingjax.data import DatasetSplit, TFRecordSource, open_split, parse_example
from lingjax.errors import InputError


@dataclass(frozen=True)
class Corpus:
    """One split of a corpus; `corpus[i]` is the text of document i, and iterating yields all texts in order."""

    split: DatasetSplit
    records: TFRecordSource

    @property
    def domain(self) -> str:
        """Which language it is in: english, dna or protein."""
        return self.split.info["domain"]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, number: int) -> str:
        return _text(self.records[number])

    def __iter__(self) -> Iterator[str]:
        return map(_text, self.records)

    def shards(self) -> list["Corpus"]:
        """Returns the split in pieces, in order: one for each of its files."""
        paths = self.split.shard_paths()
        written = self.split.written or [None] * len(paths)
        return [
            Corpus(self.split, TFRecordSource([path.absolute()], [one]))
            for path, one in zip(paths, written, strict=True)
        ]

    def batches(self, size: int) -> Iterator[list[str]]:
        """Yields the texts in order, `size` at a time; the last batch may be smaller."""
        for start in range(0, len(self), size):
            yield [self[number] for number in range(start, min(start + size, len(self)))]


def _text(record: bytes) -> str:
    return parse_example(record)["text"][0].decode()


def open_corpus(reference: str, *, default: Sequence[str]) -> Corpus:
    """Opens `PATH` or `PATH@SPLIT`.

    Args:
      reference: a folder that `data_prep.build` wrote.
      default: splits to look for, in this order, if the reference names none.

    Raises:
      InputError: there is no such folder or split, or it is no corpus.
    """
    split = open_split(reference, default=default)
    if split.info.get("kind") != "corpus":
        raise InputError(
            f"{split.path} holds {split.info.get('kind')}, not a corpus; build one with --dataset=corpus or synthetic"
        )
    records = split.open_records()
    if len(records) != split.rows:
        raise InputError(
            f"{split.path}: split '{split.split}' has {len(records)} documents, lingjax.json says {split.rows}; build "
            "it again"
        )
    return Corpus(split, records)


@dataclass(frozen=True)
class CorpusSample:
    """Some documents of one corpus.

    Attributes:
      weight: the share of a mixture's characters that was asked for; shares need not sum to 1.
      numbers: the chosen documents, ascending.
      characters: how many they have.
      available: characters of the whole corpus.
    """

    corpus: Corpus
    weight: float
    numbers: np.ndarray
    characters: int
    available: int


def draw_samples(
    corpora: Sequence[tuple[Corpus, float]], *, seed: int, most_per_weight: float = math.inf
) -> list[CorpusSample]:
    """Chooses documents so that each corpus has its share of characters, to within half a document.

    The mixture is as large as it can be without taking a document twice.

    Args:
      corpora: corpora with their weights, all above 0.
      seed: decides which documents are taken.
      most_per_weight: most characters of a corpus of weight 1.
    """
    lengths = [np.fromiter(map(len, corpus), np.int64, len(corpus)) for corpus, _ in corpora]
    # The corpus that is smallest for its share decides how large the mixture can be.
    unit = min(counts.sum() / weight for counts, (_, weight) in zip(lengths, corpora, strict=True))
    unit = min(unit, most_per_weight)
    samples = []
    for position, ((corpus, weight), counts) in enumerate(zip(corpora, lengths, strict=True)):
        order = np.random.default_rng([seed, position]).permutation(len(counts))
        characters = np.cumsum(counts[order])
        last = int(np.argmin(np.abs(characters - unit * weight)))
        samples.append(
            CorpusSample(corpus, weight, np.sort(order[: last + 1]), int(characters[last]), int(characters[-1]))
        )
    return samples
