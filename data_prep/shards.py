"""Writes records as TFRecord shards without tensorflow."""

import dataclasses
import struct
from collections.abc import Iterable
from pathlib import Path

import google_crc32c

from lingjax.data import write_index


@dataclasses.dataclass(frozen=True)
class Shard:
    """A finished shard; `payload_bytes` counts its records without their frames, as TFDS does."""

    path: Path
    rows: int
    payload_bytes: int


def write_shards(folder: Path, prefix: str, payloads: Iterable[bytes], *, shard_bytes: int) -> list[Shard]:
    """Writes `PREFIX.tfrecord-00000-of-00003` and so on, each with its index beside it; no shard if there is no record.

    Args:
      folder: where the shards go.
      prefix: `NAME-SPLIT`.
      payloads: the records; written as they come, so that they need not fit in memory.
      shard_bytes: a shard that has reached this size is closed.
    """
    unnumbered = []
    remaining = iter(payloads)
    while (first := next(remaining, None)) is not None:
        path = folder / f"{prefix}-{len(unnumbered)}"
        rows = size = 0
        with path.open("wb") as file:
            payload = first
            while payload is not None:
                file.write(_frame(payload))
                rows, size = rows + 1, size + len(payload)
                payload = next(remaining, None) if size < shard_bytes else None
        unnumbered.append(Shard(path, rows, size))
    shards = []
    for number, shard in enumerate(unnumbered):  # how many there are is known only now
        path = shard.path.rename(folder / f"{prefix}.tfrecord-{number:05d}-of-{len(unnumbered):05d}")
        write_index(path)
        shards.append(dataclasses.replace(shard, path=path))
    return shards


def _frame(payload: bytes) -> bytes:
    """Wraps one record: its length and it, each followed by a checksum.

    Source: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
    """
    length = struct.pack("<Q", len(payload))
    return length + _masked_checksum(length) + payload + _masked_checksum(payload)


def _masked_checksum(data: bytes) -> bytes:
    checksum = google_crc32c.value(data)
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)
