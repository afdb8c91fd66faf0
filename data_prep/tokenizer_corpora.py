"""The texts that a tokenizer is made from and measured on."""

from collections.abc import Iterator, Sequence
from typing import Any

from data_prep.corpora import Corpus, CorpusSample, open_corpus
from lingjax.errors import InputError


def open_mixture(corpora: Sequence[tuple[str, float]]) -> list[tuple[Corpus, float]]:
    """Opens the corpora that have a weight above 0, their training splits unless a reference names another.

    Raises:
      InputError: there is none, or one is no corpus.
    """
    opened = [(open_corpus(reference, default=["train"]), weight) for reference, weight in corpora if weight > 0]
    if not opened:
        raise InputError("--corpora: give at least one corpus a weight above 0")
    return opened


def identify(corpus: Corpus) -> dict[str, Any]:
    """Returns what tells this corpus from any other."""
    return {"name": corpus.split.name, "fingerprint": corpus.split.fingerprint}


def read_documents(samples: Sequence[CorpusSample]) -> Iterator[str]:
    """Yields the texts of all samples, in order."""
    return (sample.corpus[number] for sample in samples for number in sample.numbers)


def open_held_out(corpus: Corpus) -> Corpus:
    """Returns the split on which a tokenizer is measured: validation, or test, or else the only one there is."""
    return open_corpus(str(corpus.split.path), default=["validation", "test", "train"])
