"""Packed folders -> weighted mixture -> `TokenBatch`, one deterministic stream whose state can be saved.

Every row of every part has the same length, so the share of rows is the share of tokens, and another mixture needs no
new data. Documents are packed within a domain; domains meet only in a batch.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lingjax.data.batch import TokenBatch
from lingjax.data.packed import PackedRow, PackedSource
from lingjax.errors import InputError

if TYPE_CHECKING:
    import grain

# Rows are only parsed and stacked, which two threads do faster than any step; batches wait in a short queue.
_READER_THREADS = 2
_PREFETCHED_BATCHES = 8


def parse_mixture(text: str) -> list[tuple[str, float]]:
    """Reads a mixture as it is written in a flag; a missing weight is 1.

    >>> parse_mixture("data/english:0.5,data/dna@train:0.5")
    [('data/english', 0.5), ('data/dna@train', 0.5)]

    Raises:
      InputError: a part is empty or named twice, a weight is no number or negative, or all weights are zero.
    """
    parts: list[tuple[str, float]] = []
    for part in text.split(","):
        reference, colon, weight_text = part.strip().rpartition(":")
        if not colon or "/" in weight_text:  # the colon of gs:// is none of ours
            reference, weight_text = part.strip(), "1"
        try:
            weight = float(weight_text)
        except ValueError:
            raise InputError(f"mixture '{text}': weight '{weight_text}' of '{reference}' is not a number") from None
        if not reference:
            raise InputError(f"mixture '{text}': expected PATH:WEIGHT,PATH:WEIGHT, got the part '{part}'")
        if reference in dict(parts):
            raise InputError(f"mixture '{text}' names '{reference}' twice")
        parts.append((reference, weight))
    _check_weights(parts)
    return parts


def _check_weights(parts: Sequence[tuple[object, float]]) -> None:
    for part, weight in parts:
        if not 0 <= weight < float("inf"):
            name = part.split.name if isinstance(part, PackedSource) else part
            raise InputError(f"weight {weight:g} of '{name}' in the mixture must be 0 or more, and finite")
    if not sum(weight for _, weight in parts) > 0:
        raise InputError("the mixture is empty: give at least one part a weight above 0")


class _Mixture:
    """Endless random access to (row, domain id), interleaved by weight; grain's own mix rounds weights to about 1 %."""

    def __init__(self, datasets: "Sequence[grain.MapDataset[PackedRow]]", weights: Sequence[float]):
        self._datasets = datasets
        # Whole numbers, so that positions are exact however far the stream goes.
        self._weights = [round(weight / sum(weights) * 2**40) for weight in weights]

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, position: int) -> tuple[PackedRow, int]:
        # Each part takes its share of the positions that the parts before it leave; what is left before this position
        # and before the next tells whose this one is.
        left, left_after, weight_left = position, position + 1, sum(self._weights)
        for domain_id, (dataset, weight) in enumerate(zip(self._datasets, self._weights, strict=True)):
            rest = left * (weight_left - weight) // weight_left
            rest_after = left_after * (weight_left - weight) // weight_left
            if left_after - rest_after > left - rest:
                return dataset[left - rest], domain_id
            left, left_after, weight_left = rest, rest_after, weight_left - weight
        raise AssertionError("the last part takes all positions that are left")


def mixture_batches(
    parts: Sequence[tuple[PackedSource, float]], *, batch_size: int, seed: int
) -> "grain.DatasetIterator[TokenBatch]":
    """Returns an endless stream of next-token batches; `get_state()` and `set_state(state)` make it resume exactly.

    Rows follow the weights in a fixed pattern, so shares are exact to within one row at every moment. Each part is
    repeated for ever, shuffled anew every time; parts of weight 0 are left out.

    Args:
      parts: sources with their shares of tokens; weights need not sum to 1. `domain_ids` are indices into it.
      batch_size: rows of a batch.
      seed: decides every shuffle.

    Raises:
      InputError: a weight is negative, all are zero, or rows of two parts differ in length.
    """
    import grain

    _check_weights(parts)
    lengths = {source.length for source, _ in parts}
    if len(lengths) > 1:
        listed = ", ".join(f"{source.split.name} {source.length}" for source, _ in parts)
        raise InputError(f"parts of a mixture must be packed to one length, got {listed}")
    datasets = []
    for domain_id, (source, _) in enumerate(parts):
        # Grain shuffles epoch e with seed + e; hashing keeps parts and neighbouring seeds from sharing an order.
        shuffle_seed = int(np.random.SeedSequence([seed, domain_id]).generate_state(1)[0])
        datasets.append(grain.MapDataset.source(source).shuffle(seed=shuffle_seed).repeat())
    mixture = _Mixture(datasets, [weight for _, weight in parts])
    batches = grain.MapDataset.source(mixture).batch(
        batch_size, batch_fn=lambda labelled: next_token_batch(*zip(*labelled, strict=True))
    )
    options = grain.ReadOptions(num_threads=_READER_THREADS, prefetch_buffer_size=_PREFETCHED_BATCHES)
    return iter(batches.to_iter_dataset(options))


def held_out_batches(source: PackedSource, *, batch_size: int, domain_id: int = 0) -> Iterator[TokenBatch]:
    """Yields every row of a source once, in order; the last batch is filled up with rows that are not counted."""
    filler = PackedRow(np.zeros(source.length, np.int32), np.zeros(source.length, np.int32))
    for start in range(0, len(source), batch_size):
        rows = [source[number] for number in range(start, min(start + batch_size, len(source)))]
        rows += [filler] * (batch_size - len(rows))
        yield next_token_batch(rows, [domain_id] * batch_size)


def next_token_batch(rows: Sequence[PackedRow], domain_ids: Sequence[int]) -> TokenBatch:
    """Returns rows with the next token of the same document as each position's target.

    The last token of a document, and padding, predict nothing: they are not counted and their target is 0. A document
    that goes on in another row starts anew there, so its first token in that row is nobody's target.
    """
    token_ids = np.stack([row.token_ids for row in rows])
    document_ids = np.stack([row.document_ids for row in rows])
    same_document = document_ids[:, 1:] == document_ids[:, :-1]
    counted = np.zeros(token_ids.shape, bool)
    counted[:, :-1] = same_document & (document_ids[:, 1:] > 0)
    target_ids = np.zeros_like(token_ids)
    target_ids[:, :-1] = np.where(counted[:, :-1], token_ids[:, 1:], 0)
    index = np.arange(token_ids.shape[1], dtype=np.int32)
    starts = np.zeros_like(token_ids)
    starts[:, 1:] = np.where(same_document, 0, index[1:])
    return TokenBatch(
        token_ids=token_ids,
        target_ids=target_ids,
        counted=counted,
        document_ids=document_ids,
        positions=index - np.maximum.accumulate(starts, axis=1),
        domain_ids=np.array(domain_ids, np.int32),
    )
