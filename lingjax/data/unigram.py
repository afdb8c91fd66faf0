"""What a model that knows no context would lose: the yardstick of a pretraining run's losses."""

from collections.abc import Collection, Sequence

import numpy as np

from lingjax.data.packed import PackedSource, rows_in_equal_steps


def unigram_loss(
    training: Sequence[PackedSource],
    held_out: Sequence[PackedSource],
    *,
    vocab_size: int,
    never_asked: Collection[int] = (),
    most_rows: int = 10_000,
) -> float:
    """Returns the mean surprisal in nats of held-out tokens under the frequencies of the training tokens.

    Every token is counted once more than it occurs (Laplace), so that none is impossible. Padding is not counted.

    Args:
      training: the frequencies' sources, read in equal steps.
      held_out: the rows that are looked at.
      vocab_size: tokens there are; all ids lie below it.
      never_asked: tokens that no model has to predict, as the special ones of masked pretraining; they are not counted.
      most_rows: how many of a source are read.
    """
    asked = np.setdiff1d(np.arange(vocab_size), list(never_asked))
    counts = 1 + _count_tokens(training, vocab_size, most_rows)[asked]
    seen = _count_tokens(held_out, vocab_size, most_rows)[asked]
    return float(seen @ (np.log(counts.sum()) - np.log(counts)) / seen.sum())


def _count_tokens(sources: Sequence[PackedSource], vocab_size: int, most_rows: int) -> np.ndarray:
    counts = np.zeros(vocab_size, np.int64)
    for source in sources:
        for row in rows_in_equal_steps(source, most_rows=most_rows):
            counts += np.bincount(row.token_ids[row.document_ids > 0], minlength=vocab_size)
    return counts
