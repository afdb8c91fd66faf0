"""Builds every simulated dataset: a corpus for each domain and pairs for each task.

They show that the whole chain works and give tests a known truth; figures measured on them say nothing about nature.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from data_prep.builders.dataset import Dataset, as_function, flag
from data_prep.synthetic.coding import draw_dna_protein_pair
from data_prep.synthetic.dna import draw_dna_pair
from data_prep.synthetic.english import draw_english_document, draw_english_pair, draw_restatement_pair
from data_prep.synthetic.genome import draw_dna_document
from data_prep.synthetic.pairs import SimulatedPair, draw_splits
from data_prep.synthetic.protein import draw_protein_document, draw_protein_pair
from data_prep.writer import write_dataset
from lingjax.errors import InputError

_NOTICE = "Synthetic: made by a simulator, not observed."


@dataclasses.dataclass(frozen=True)
class _Corpus:
    domain: str
    draw_document: Callable[[np.random.Generator], str]
    documents: Mapping[str, int]
    description: str


@dataclasses.dataclass(frozen=True)
class _PairSimulator:
    draw_pair: Callable[[np.random.Generator, int], SimulatedPair]
    rows: Mapping[str, int]
    description: str
    has_identity: bool = False


_TRANSFER_ROWS = {"train": 2000, "validation": 500, "test": 500}
# Documents are counted so that each corpus holds about 300 kB of text.
_CORPORA = {
    "synthetic_english": _Corpus(
        "english", draw_english_document, {"train": 600, "validation": 60}, "Paragraphs from a small grammar."
    ),
    "synthetic_dna": _Corpus(
        "dna", draw_dna_document, {"train": 300, "validation": 30}, "Genome pieces with genes and duplicated segments."
    ),
    "synthetic_protein": _Corpus(
        "protein",
        draw_protein_document,
        {"train": 900, "validation": 90},
        "Proteins of several, partly homologous domains.",
    ),
}
_PAIR_TASKS = {
    "synthetic_english_pairs": _PairSimulator(
        draw_english_pair,
        {"train": 3000, "validation": 1000, "test": 500},
        "Sentence pairs: paraphrases against the same words exchanged.",
    ),
    "synthetic_restatement_pairs": _PairSimulator(
        draw_restatement_pair,
        {"train": 800, "validation": 500, "test": 500},
        "Sentence pairs: a statement in other words against another statement with the same frame and lengths.",
    ),
    "synthetic_dna_pairs": _PairSimulator(
        draw_dna_pair, _TRANSFER_ROWS, "DNA pairs: descendants of one ancestor or of two.", has_identity=True
    ),
    "synthetic_protein_pairs": _PairSimulator(
        draw_protein_pair, _TRANSFER_ROWS, "Protein pairs: descendants of one ancestor or of two.", has_identity=True
    ),
    "synthetic_dna_protein_pairs": _PairSimulator(
        draw_dna_protein_pair, _TRANSFER_ROWS, "DNA with a gene, and the protein it codes for or another one."
    ),
}


@dataclasses.dataclass(frozen=True)
class Synthetic(Dataset):
    """Simulated corpora and pairs of all three domains; each draws from its own random numbers."""

    dataset = "synthetic"

    seed: int = flag("a whole number >= 0; equal seeds give equal bytes", 0)
    scale: float = flag(
        "multiplies all numbers of documents and rows; 1 gives corpora of 300 kB and 2,000 to 3,000 training pairs", 1.0
    )

    def build(self) -> list[Path]:
        """Builds all simulated datasets; as `Dataset.build`."""
        if self.seed < 0:
            raise InputError(f"--seed={self.seed}: expected a whole number >= 0")
        if not 0 < self.scale < float("inf"):
            raise InputError(f"--scale={self.scale}: expected a number above 0, for example 0.1 or 10")
        request = {"dataset": self.dataset, "seed": self.seed, "scale": self.scale, "sources": []}
        # Every conflict with an existing folder shows before the first dataset is written.
        built = {name: self.find_built(name, request) for name in (*_CORPORA, *_PAIR_TASKS)}
        folders = []
        for name, folder in built.items():
            if folder is None:
                rng = np.random.default_rng([self.seed, _stable_number(name)])
                write = _write_corpus if name in _CORPORA else _write_pairs
                settings = {"data_dir": self.data_dir, "request": request, "overwrite": self.overwrite}
                folder = write(name, rng, self.scale, **settings)
            folders.append(folder)
        return folders


build = as_function(Synthetic)


def _stable_number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def _scale(counts: Mapping[str, int], scale: float) -> dict[str, int]:
    # Two rows at least, one of each label.
    return {split: max(2, round(count * scale)) for split, count in counts.items()}


def _write_corpus(name: str, rng: np.random.Generator, scale: float, **arguments) -> Path:
    corpus = _CORPORA[name]

    def draw_documents(split: str, count: int) -> Iterator[dict[str, str]]:
        for number in range(count):
            yield {"document_id": f"{name}-{split}-{number:06d}", "text": corpus.draw_document(rng)}

    return write_dataset(
        splits={split: draw_documents(split, count) for split, count in _scale(corpus.documents, scale).items()},
        name=name,
        kind="corpus",
        description=f"{corpus.description} {_NOTICE}",
        info={"domain": corpus.domain, "synthetic": True},
        **arguments,
    )


def _write_pairs(name: str, rng: np.random.Generator, scale: float, **arguments) -> Path:
    task = _PAIR_TASKS[name]

    def describe(split: str, number: int, pair: SimulatedPair) -> dict[str, object]:
        row = {
            "pair_id": f"{name}-{split}-{number:06d}",
            "sentence1": pair.sentence1,
            "sentence2": pair.sentence2,
            "label": pair.label,
        }
        return {**row, "identity": pair.identity} if task.has_identity else row

    pairs = draw_splits(task.draw_pair, _scale(task.rows, scale), rng)
    return write_dataset(
        splits={
            split: (describe(split, number, pair) for number, pair in enumerate(drawn))
            for split, drawn in pairs.items()
        },
        name=name,
        kind="pairs",
        description=f"{task.description} {_NOTICE}",
        info={"synthetic": True},
        optional=("identity",) if task.has_identity else (),
        **arguments,
    )
