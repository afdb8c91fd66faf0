"""Packed folders -> weighted mixture -> `TokenBatch`, one deterministic stream whose state can be saved.

Every row of every part has the same length, so the share of rows is the share of tokens, and another mixture needs no
new data. Documents are packed within a domain; domains meet only in a batch.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lingjax.data.batch import TokenBatch
from lingjax.data.objectives import Objective
from lingjax.data.packed import PackedRow, PackedSource, is_remote, read_rows
from lingjax.data.shard_files import REQUESTS_AT_ONCE
from lingjax.errors import InputError

if TYPE_CHECKING:
    import grain

# Rows are only parsed and stacked, which two threads do faster than any step; batches wait in a short queue. Where
# reading waits for a bucket, more batches are begun at a time, so that small ones too keep it busy.
_READER_THREADS = 2
_MOST_READER_THREADS = 16
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


_Place = tuple[PackedSource, int]
"""A source and the number of a row in it, which is read when its batch is made."""


class _Mixture:
    """Endless random access to (place of a row, domain id, place in the stream), interleaved by weight.

    Grain's own mix rounds weights to about 1 %.
    """

    def __init__(
        self, sources: Sequence[PackedSource], orders: "Sequence[grain.MapDataset[int]]", weights: Sequence[float]
    ):
        self._sources, self._orders = sources, orders
        # Whole numbers, so that positions are exact however far the stream goes.
        self._weights = [round(weight / sum(weights) * 2**40) for weight in weights]

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, position: int) -> tuple[_Place, int, int]:
        # Each part takes its share of the positions that the parts before it leave; what is left before this position
        # and before the next tells whose this one is.
        left, left_after, weight_left = position, position + 1, sum(self._weights)
        for domain_id, (order, weight) in enumerate(zip(self._orders, self._weights, strict=True)):
            rest = left * (weight_left - weight) // weight_left
            rest_after = left_after * (weight_left - weight) // weight_left
            if left_after - rest_after > left - rest:
                return (self._sources[domain_id], order[left - rest]), domain_id, position
            left, left_after, weight_left = rest, rest_after, weight_left - weight
        raise AssertionError("the last part takes all positions that are left")


class _Share:
    """Some of the rows of every batch, one after another: what one host loads of a stream that all hosts share."""

    def __init__(self, mixture: _Mixture, *, batch_size: int, rows: Sequence[int]):
        self._mixture, self._batch_size, self._rows = mixture, batch_size, rows

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, position: int) -> tuple[_Place, int, int]:
        batch, row = divmod(position, len(self._rows))
        return self._mixture[batch * self._batch_size + self._rows[row]]


def mixture_batches(
    parts: Sequence[tuple[PackedSource, float]],
    *,
    objective: Objective,
    batch_size: int,
    seed: int,
    rows: Sequence[int] | None = None,
) -> "grain.DatasetIterator[TokenBatch]":
    """Returns an endless stream of batches; `get_state()` and `set_state(state)` make it resume exactly.

    Rows follow the weights in a fixed pattern, so shares are exact to within one row at every moment. Each part is
    repeated for ever, shuffled anew every time; parts of weight 0 are left out.

    Args:
      parts: sources with their shares of tokens; weights need not sum to 1. `domain_ids` are indices into it.
      objective: makes a batch of rows.
      batch_size: rows of a batch, over all hosts.
      seed: decides every shuffle.
      rows: which rows of each batch this host loads, all by default; only these are read.

    Raises:
      InputError: a weight is negative, all are zero, or rows of two parts differ in length.
    """
    import grain

    _check_weights(parts)
    lengths = {source.length for source, _ in parts}
    if len(lengths) > 1:
        listed = ", ".join(f"{source.split.name} {source.length}" for source, _ in parts)
        raise InputError(f"parts of a mixture must be packed to one length, got {listed}")
    orders = []
    for domain_id, (source, _) in enumerate(parts):
        # Grain shuffles epoch e with seed + e; hashing keeps parts and neighbouring seeds from sharing an order.
        shuffle_seed = int(np.random.SeedSequence([seed, domain_id]).generate_state(1)[0])
        orders.append(grain.MapDataset.range(len(source)).shuffle(seed=shuffle_seed).repeat())
    rows = range(batch_size) if rows is None else rows
    mixture = _Mixture([source for source, _ in parts], orders, [weight for _, weight in parts])

    def make(labelled: Sequence[tuple[_Place, int, int]]) -> TokenBatch:
        wanted, domain_ids, places = zip(*labelled, strict=True)
        return objective(list(read_rows(wanted)), domain_ids=domain_ids, places=places)

    share = grain.MapDataset.source(_Share(mixture, batch_size=batch_size, rows=rows))
    threads = _READER_THREADS
    if any(is_remote(source) for source, _ in parts):
        threads = min(max(threads, REQUESTS_AT_ONCE // len(rows)), _MOST_READER_THREADS)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(threads, _PREFETCHED_BATCHES))
    return iter(share.batch(len(rows), batch_fn=make).to_iter_dataset(options))


def held_out_batches(
    source: PackedSource,
    *,
    objective: Objective,
    batch_size: int,
    domain_id: int = 0,
    rows: Sequence[int] | None = None,
) -> Iterator[TokenBatch]:
    """Yields every row of a source once, in order; the last batch is filled up with rows that are not counted.

    Arguments as in `mixture_batches`. A row's place is its number, so a random objective asks the same every time.
    """
    count = len(source)
    filler = PackedRow(np.zeros(source.length, np.int32), np.zeros(source.length, np.int32), number=-1)
    wanted = range(batch_size) if rows is None else rows
    for start in range(0, count, batch_size):
        places = [start + row for row in wanted]
        read = read_rows((source, place) for place in places if place < count)
        packed = [next(read) if place < count else filler for place in places]
        places = [place if row is filler else row.number for place, row in zip(places, packed, strict=True)]
        yield objective(packed, domain_ids=[domain_id] * len(places), places=places)
