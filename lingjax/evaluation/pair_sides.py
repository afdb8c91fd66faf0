"""The two texts of every pair side by side, whole, as characters and as tokens: what simple controls look at."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from lingjax.data import EncodedPairs, PairRecord, Tokenizer
from lingjax.evaluation.metrics import Labels
from lingjax.evaluation.text_groups import TextGroups, text_groups


@dataclasses.dataclass(frozen=True)
class PairSides:
    """Columns of a dataset of pairs, row by row.

    Texts are case-folded and their white space is collapsed, so that soft-masked sequences and line breaks mean
    nothing; token ids are those of the text as it stands, without special tokens and without any limit of length.
    `named_groups` are the groups that the dataset names, empty where it names none.
    """

    first: Sequence[str]
    second: Sequence[str]
    first_tokens: Sequence[Int[np.ndarray, " _"]]
    second_tokens: Sequence[Int[np.ndarray, " _"]]
    labels: Labels
    named_groups: Sequence[str] = ()

    @functools.cached_property
    def groups(self) -> TextGroups:
        """Which rows hang together."""
        return text_groups(self.first, self.second, named=self.named_groups)

    def __len__(self) -> int:
        return len(self.first)

    @staticmethod
    def of(
        records: Sequence[PairRecord],
        tokenizer: Tokenizer,
        *,
        most: int | None = None,
        seed: int = 0,
        encoded: EncodedPairs | None = None,
    ) -> "PairSides":
        """Reads and tokenizes every record, or `most` of them drawn by the seed.

        Args:
          records: the pairs.
          tokenizer: the model's.
          most: rows to draw; None takes all.
          seed: decides the draw.
          encoded: the same pairs by the same tokenizer; texts that it holds whole are not tokenized again.
        """
        numbers = sampled_rows(len(records), most=len(records) if most is None else most, seed=seed)
        rows = [records[int(number)] for number in numbers]
        held = [None if encoded is None else encoded.sentences(int(number)) for number in numbers]
        missing = [place for place, tokens in enumerate(held) if tokens is None]
        sides = [
            tokenizer.encode([getattr(rows[place], name) for place in missing]) for name in ("sentence1", "sentence2")
        ]
        for place, *tokens in zip(missing, *sides, strict=True):
            held[place] = tuple(tokens)
        return PairSides(
            first=[folded(record.sentence1) for record in rows],
            second=[folded(record.sentence2) for record in rows],
            first_tokens=[first for first, _ in held],
            second_tokens=[second for _, second in held],
            labels=np.array([record.label for record in rows], np.int32),
            named_groups=[record.group for record in rows],
        )

    def take(self, rows: Int[np.ndarray, " rows"]) -> "PairSides":
        """Returns some rows, in the order given."""
        return PairSides(
            first=[self.first[row] for row in rows],
            second=[self.second[row] for row in rows],
            first_tokens=[self.first_tokens[row] for row in rows],
            second_tokens=[self.second_tokens[row] for row in rows],
            labels=self.labels[rows],
            named_groups=[self.named_groups[row] for row in rows] if self.named_groups else (),
        )


def folded(text: str) -> str:
    """Returns the text in one case and with single spaces.

    >>> folded("ACGT\\n acgt ")
    'acgt acgt'
    """
    return " ".join(text.casefold().split())


def sampled_rows(count: int, *, most: int, seed: int) -> Int[np.ndarray, " rows"]:
    """Returns the numbers of all rows, or of `most` of them drawn by the seed, in increasing order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))
