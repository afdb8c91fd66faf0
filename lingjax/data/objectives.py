"""What a language model must predict in a packed row: the next token, or masked ones."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lingjax.data.batch import TokenBatch
from lingjax.data.masking import Masking, mask_tokens
from lingjax.data.packed import PackedRow


class Objective(Protocol):
    """Makes a batch of rows."""

    def __call__(self, rows: Sequence[PackedRow], *, domain_ids: Sequence[int], places: Sequence[int]) -> TokenBatch:
        """Returns the batch.

        Args:
          rows: all of one length.
          domain_ids: which domain of the mixture each row comes from.
          places: where each row stands in its stream; a random objective draws from seed and place alone, so a
            resumed stream, or one that is divided among hosts, draws the same.
        """


@dataclasses.dataclass(frozen=True)
class NextToken:
    """GPT-2's objective: every token of a document but its first is predicted from those before it.

    The last token of a document, and padding, predict nothing: they are not counted and their target is 0. A document
    that goes on in another row starts anew there, so its first token in that row is nobody's target.
    """

    def __call__(self, rows: Sequence[PackedRow], *, domain_ids: Sequence[int], places: Sequence[int]) -> TokenBatch:
        """Returns the batch; nothing about it is random."""
        del places
        token_ids, document_ids, positions = _stack(rows)
        counted = np.zeros(token_ids.shape, bool)
        counted[:, :-1] = (document_ids[:, 1:] == document_ids[:, :-1]) & (document_ids[:, 1:] > 0)
        target_ids = np.zeros_like(token_ids)
        target_ids[:, :-1] = np.where(counted[:, :-1], token_ids[:, 1:], 0)
        return TokenBatch(
            token_ids=token_ids,
            target_ids=target_ids,
            counted=counted,
            document_ids=document_ids,
            positions=positions,
            domain_ids=np.array(domain_ids, np.int32),
            row_ids=np.array([row.number for row in rows], np.int32),
        )


@dataclasses.dataclass(frozen=True)
class MaskedTokens:
    """BERT's objective: a share of the tokens is corrupted, anew whenever a row comes round, and predicted.

    Attributes:
      masking: the recipe.
      seed: with a row's place it decides what is masked.
    """

    masking: Masking
    seed: int

    def __call__(self, rows: Sequence[PackedRow], *, domain_ids: Sequence[int], places: Sequence[int]) -> TokenBatch:
        """Returns the batch: targets are what was written, counted where it is to be predicted."""
        target_ids, document_ids, positions = _stack(rows)
        masked = [
            mask_tokens(
                row.token_ids,
                is_text=row.document_ids > 0,
                masking=self.masking,
                rng=np.random.default_rng([self.seed, place]),
            )
            for row, place in zip(rows, places, strict=True)
        ]
        counted = np.stack([picked for _, picked in masked])
        return TokenBatch(
            token_ids=np.stack([corrupted for corrupted, _ in masked]),
            target_ids=np.where(counted, target_ids, 0),
            counted=counted,
            document_ids=document_ids,
            positions=positions,
            domain_ids=np.array(domain_ids, np.int32),
            row_ids=np.array([row.number for row in rows], np.int32),
        )


def _stack(rows: Sequence[PackedRow]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns token ids, document ids, and each token's index in its document within the row."""
    token_ids = np.stack([row.token_ids for row in rows])
    document_ids = np.stack([row.document_ids for row in rows])
    index = np.arange(token_ids.shape[1], dtype=np.int32)
    starts = np.zeros_like(token_ids)
    starts[:, 1:] = np.where(document_ids[:, 1:] == document_ids[:, :-1], 0, index[1:])
    return token_ids, document_ids, index - np.maximum.accumulate(starts, axis=1)
