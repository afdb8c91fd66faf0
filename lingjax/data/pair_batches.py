"""Encoded pairs to batches: several pairs a row or one, in few shapes, none lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lingjax.data.batch import PairBatch
from lingjax.data.dataset import PairRecord
from lingjax.data.encoded_pairs import EncodedPairs, encode_pairs
from lingjax.data.pairs import EncodedPair, PairEncoder
from lingjax.errors import InputError, raise_problems, range_problems

if TYPE_CHECKING:
    import grain


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _place(lengths: Sequence[int], *, row_length: int, slots: int) -> list[list[int]]:
    """Returns which pairs go into each row, longest pair first, each into the first row with room for it."""
    rows, room = [], []
    for pair in sorted(range(len(lengths)), key=lambda pair: -lengths[pair]):
        if lengths[pair] > row_length:
            raise ValueError(f"a pair of {lengths[pair]} tokens does not fit in row_length={row_length}")
        fitting = (i for i, space in enumerate(room) if space >= lengths[pair] and len(rows[i]) < slots)
        row = next(fitting, None) if slots > 1 else None
        if row is None:
            rows.append([pair])
            room.append(row_length - lengths[pair])
        else:
            rows[row].append(pair)
            room[row] -= lengths[pair]
    return rows


def pack_pairs(encoded: Sequence[EncodedPair], *, row_length: int, num_rows: int, slots: int, pad_id: int) -> PairBatch:
    """Packs pairs into rows: longest first, each into the first row with room for it.

    Args:
      row_length: tokens of a row.
      num_rows: rows of the batch; those not needed are padding.
      slots: most pairs of a row.
      pad_id: the token that fills unused positions.

    Raises:
      ValueError: the pairs do not fit.
    """
    rows = _place([len(pair.token_ids) for pair in encoded], row_length=row_length, slots=slots)
    if len(rows) > num_rows:
        raise ValueError(f"{len(encoded)} pairs need {len(rows)} rows of {row_length} tokens, num_rows={num_rows}")
    token_ids = np.full((num_rows, row_length), pad_id, np.int32)
    segment_ids, document_ids, positions = np.zeros((3, num_rows, row_length), np.int32)
    pool_positions, labels = np.zeros((2, num_rows, slots), np.int32)
    row_ids = np.full((num_rows, slots), -1, np.int32)
    for row, members in enumerate(rows):
        start = 0
        for slot, member in enumerate(members):
            pair = encoded[member]
            end = start + len(pair.token_ids)
            token_ids[row, start:end] = pair.token_ids
            segment_ids[row, start:end] = pair.segment_ids
            document_ids[row, start:end] = slot + 1
            positions[row, start:end] = np.arange(end - start)
            pool_positions[row, slot] = start + pair.pool_position
            labels[row, slot] = pair.label
            row_ids[row, slot] = pair.row_id
            start = end
    return PairBatch(
        token_ids=token_ids,
        segment_ids=segment_ids,
        document_ids=document_ids,
        positions=positions,
        pool_positions=pool_positions,
        labels=labels,
        is_real=row_ids >= 0,
        row_ids=row_ids,
    )


class _Batcher:
    """Makes batches in few distinct shapes, because XLA compiles the step once for each.

    One pair a row: always enough rows for a whole batch, as long as its longest pair, rounded up to `bucket`. Several
    pairs a row: rows of the encoder's maximum length, as many as needed, rounded up to `rows_multiple`.
    """

    def __init__(
        self, encoder: PairEncoder, *, batch_size: int, max_pairs_per_row: int, rows_multiple: int, bucket: int
    ):
        sizes = {
            "batch_size": batch_size,
            "max_pairs_per_row": max_pairs_per_row,
            "rows_multiple": rows_multiple,
            "bucket": bucket,
        }
        raise_problems("batches of pairs", range_problems(sizes, at_least_1=sizes))
        self._encoder = encoder
        self._batch_size = batch_size
        self._slots = max_pairs_per_row
        self._rows_multiple = rows_multiple
        self._bucket = bucket

    def __call__(self, encoded: Sequence[EncodedPair]) -> PairBatch:
        lengths = [len(pair.token_ids) for pair in encoded]
        if self._slots == 1:
            row_length = _round_up(max(lengths), self._bucket)
            rows = self._batch_size
        else:
            row_length = _round_up(self._encoder.max_length, self._bucket)
            rows = len(_place(lengths, row_length=row_length, slots=self._slots))
        return pack_pairs(
            encoded,
            row_length=row_length,
            num_rows=_round_up(rows, self._rows_multiple),
            slots=self._slots,
            pad_id=self._encoder.tokenizer.pad_id,
        )


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Returns how many batches `training_batches` makes of an epoch, the last and smaller one included.

    >>> steps_per_epoch(21, batch_size=5)
    5
    """
    return -(-rows // batch_size)


def training_batches(
    source: Sequence[PairRecord] | EncodedPairs,
    encoder: PairEncoder,
    *,
    batch_size: int,
    seed: int,
    epochs: int,
    max_pairs_per_row: int = 1,
    rows_multiple: int = 1,
    bucket: int = 16,
) -> grain.DatasetIterator[PairBatch]:
    """Returns an iterator over batches of pairs, in an order shuffled anew for each epoch.

    The order follows from the seed alone. Each epoch holds every pair once; its last batch may hold fewer, and
    the slots they leave are not real. `get_state()` and `set_state()` save and resume exactly between two batches.

    Args:
      source: pairs; records are encoded when their batch is due, each epoch anew.
      encoder: how the pairs are read, or were.
      batch_size: pairs of a batch.
      epochs: how often the source is read.
      max_pairs_per_row: 1 pads each pair to the batch's longest; more packs short pairs together.
      rows_multiple: the number of rows is a multiple of it: what the devices of a mesh divide among them.
      bucket: row lengths are multiples of it.

    Raises:
      InputError: a size is below 1 or the source is empty; while iterating, a record is damaged or has no token.
    """
    import grain  # here, because it imports jax, and evaluation and data preparation need neither

    batcher = _Batcher(
        encoder,
        batch_size=batch_size,
        max_pairs_per_row=max_pairs_per_row,
        rows_multiple=rows_multiple,
        bucket=bucket,
    )
    if not len(source):
        raise InputError("a dataset without rows cannot be trained on")
    if epochs < 1:
        raise InputError(f"epochs={epochs} must be at least 1")

    def read(row_ids: list[int]) -> PairBatch:
        pairs = [source[row_id] for row_id in row_ids]
        return batcher(pairs if isinstance(source, EncodedPairs) else encoder.encode(pairs, row_ids=row_ids))

    # Grain shuffles epoch e with seed + e: without hashing, seed 1 would repeat the orders of seed 0 one epoch later.
    shuffle_seed = int(np.random.SeedSequence(seed).generate_state(1)[0])
    batches = (
        grain.MapDataset.range(len(source))
        .shuffle(seed=shuffle_seed)
        .batch(batch_size, drop_remainder=False, batch_fn=list)
        .repeat(epochs)
        .map(read)
    )
    # One thread runs ahead of the training step; tokenizing has threads of its own.
    return iter(batches.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)))


def evaluation_batches(
    source: Sequence[PairRecord] | EncodedPairs,
    encoder: PairEncoder,
    *,
    batch_size: int,
    max_pairs_per_row: int = 1,
    rows_multiple: int = 1,
    bucket: int = 16,
) -> Iterator[PairBatch]:
    """Yields every pair of a source once, longest first, so that a batch holds little padding.

    `row_ids` are indices in the source. Arguments and errors are those of `training_batches`.
    """
    batcher = _Batcher(
        encoder,
        batch_size=batch_size,
        max_pairs_per_row=max_pairs_per_row,
        rows_multiple=rows_multiple,
        bucket=bucket,
    )
    encoded = source if isinstance(source, EncodedPairs) else encode_pairs(source, encoder)
    longest_first = np.argsort(-encoded.lengths, kind="stable").tolist()
    for start in range(0, len(encoded), batch_size):
        yield batcher([encoded[row] for row in longest_first[start : start + batch_size]])
