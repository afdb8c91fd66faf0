"""Writes records as TFRecord shards without tensorflow."""

import contextlib
import dataclasses
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import google_crc32c

from lingjax.data import write_index

SHARD_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class Shard:
    """A finished shard; `payload_bytes` counts its records without their frames, as TFDS does."""

    path: Path
    rows: int
    payload_bytes: int


def write_shards(folder: Path, payloads: Iterable[tuple[str, bytes]], *, shard_bytes: int) -> dict[str, list[Shard]]:
    """Writes records as `SPLIT-0`, `SPLIT-1` and so on, and returns the shards of each split that has records.

    Args:
      folder: where the shards go.
      payloads: records with their splits; written as they come, so that they need not fit in memory.
      shard_bytes: a shard that has reached this size is closed.
    """
    writers: dict[str, _ShardWriter] = {}
    with contextlib.ExitStack() as stack:
        for split, payload in payloads:
            if split not in writers:
                writer = _ShardWriter(folder / split, shard_bytes=shard_bytes)
                writers[split] = stack.enter_context(contextlib.closing(writer))
            writers[split].write(payload)
    return {split: writer.shards for split, writer in writers.items()}


class _ShardWriter:
    """Writes the records of one split; `shards` are those that are finished."""

    def __init__(self, prefix: Path, *, shard_bytes: int):
        self.shards: list[Shard] = []
        self._prefix, self._shard_bytes = prefix, shard_bytes
        self._file = None
        self._rows = self._payload_bytes = 0

    def write(self, payload: bytes) -> None:
        if self._file is None:
            self._file = self._prefix.with_name(f"{self._prefix.name}-{len(self.shards)}").open("wb")
        self._file.write(_frame(payload))
        self._rows += 1
        self._payload_bytes += len(payload)
        if self._payload_bytes >= self._shard_bytes:
            self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self.shards.append(Shard(Path(self._file.name), self._rows, self._payload_bytes))
            self._file, self._rows, self._payload_bytes = None, 0, 0


def name_shards(folder: Path, prefix: str, shards: Sequence[Shard]) -> list[Shard]:
    """Renames shards to `FOLDER/PREFIX.tfrecord-00000-of-00003` and so on, and writes the index of each beside it.

    Args:
      folder: where they go; on the file system where they are.
      prefix: `NAME-SPLIT`.
      shards: all shards of a split, in order: a name says how many there are.
    """
    named = []
    for number, shard in enumerate(shards):
        path = shard.path.rename(folder / f"{prefix}.tfrecord-{number:05d}-of-{len(shards):05d}")
        write_index(path)
        named.append(dataclasses.replace(shard, path=path))
    return named


def _frame(payload: bytes) -> bytes:
    """Wraps one record: its length and it, each followed by a checksum.

    Source: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
    """
    length = struct.pack("<Q", len(payload))
    return length + _masked_checksum(length) + payload + _masked_checksum(payload)


def _masked_checksum(data: bytes) -> bytes:
    checksum = google_crc32c.value(data)
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)
