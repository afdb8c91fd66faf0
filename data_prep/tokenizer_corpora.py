"""The texts that a tokenizer is made from and measured on."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from data_prep.corpora import Corpus, CorpusSample, draw_samples, open_corpus
from lingjax.errors import InputError

# A sequence of DNA or protein is one word and occurs once, and training holds each word with some 70 bytes a letter
# (measured with tokenizers 0.22: 1.7 GB for this default). English has few words that differ, however long it is.
MOST_SEQUENCE_CHARACTERS = 24_000_000
_DOMAINS_WITHOUT_WORDS = ("dna", "protein")


def open_mixture(corpora: Sequence[tuple[str, float]]) -> list[tuple[Corpus, float]]:
    """Opens the corpora that have a weight above 0, their training splits unless a reference names another.

    Raises:
      InputError: there is none, or one is no corpus.
    """
    opened = [(open_corpus(reference, default=["train"]), weight) for reference, weight in corpora if weight > 0]
    if not opened:
        raise InputError("--corpora: give at least one corpus a weight above 0")
    return opened


def draw_mixture(
    opened: Sequence[tuple[Corpus, float]], *, seed: int, max_characters: int | None
) -> tuple[list[CorpusSample], int | None]:
    """Chooses the documents to learn from: the largest mixture in the wanted shares that memory has room for.

    Returns:
      The documents of each corpus, and the limit on characters, None if there was no more to take.

    Args:
      opened: as `open_mixture` returns them.
      seed: decides which documents are taken.
      max_characters: most characters of all corpora together; None limits those of DNA and protein together to
        `MOST_SEQUENCE_CHARACTERS`.

    Raises:
      InputError: `max_characters` is below 1.
    """
    if max_characters is not None and max_characters < 1:
        raise InputError(f"--max_characters={max_characters}: expected 1 or more")
    limited = [
        weight for corpus, weight in opened if max_characters is not None or corpus.domain in _DOMAINS_WITHOUT_WORDS
    ]
    most = MOST_SEQUENCE_CHARACTERS if max_characters is None else max_characters
    most_per_weight = most / sum(limited) if limited else math.inf
    samples = draw_samples(opened, seed=seed, most_per_weight=most_per_weight)
    has_more = min(sample.available / sample.weight for sample in samples) > most_per_weight
    return samples, most if has_more else None


def identify(corpus: Corpus) -> dict[str, Any]:
    """Returns what tells this corpus from any other."""
    return {"name": corpus.split.name, "fingerprint": corpus.split.fingerprint}


def read_documents(samples: Sequence[CorpusSample]) -> Iterator[str]:
    """Yields the texts of all samples, in order."""
    return (sample.corpus[number] for sample in samples for number in sample.numbers)


def open_held_out(corpus: Corpus) -> Corpus:
    """Returns the split on which a tokenizer is measured: validation, or test, or else the only one there is."""
    return open_corpus(str(corpus.split.path), default=["validation", "test", "train"])
