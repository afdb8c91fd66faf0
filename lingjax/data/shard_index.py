"""What is known of a shard without reading it whole: where its records lie, and the checksum of each.

Kept beside the shard in `SHARD.index`, or found by one pass over its frames. `lingjax.json` holds the digest of every
shard's table, so that a shard that was swapped, doubled, cut or written anew is noticed when it is opened or read.
"""

import dataclasses
import hashlib
import struct
from collections.abc import Mapping
from typing import Any

import google_crc32c
import numpy as np
from etils import epath
from jaxtyping import Int64, UInt32

from lingjax.data.shard_files import ShardFile
from lingjax.errors import InputError

HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")
REWRITE = "the file is damaged: copy it again or rebuild the dataset"
_MAGIC = b"lingjax-index-2\n"
_MAGIC_WITHOUT_CHECKSUMS = b"lingjax-index-1\n"
_OTHER = "the file has been cut, or replaced by another shard or version: copy it again or rebuild the dataset"


def masked_crc(data: bytes) -> int:
    """Returns the checksum that frames hold, of their length and of their payload."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def problem(path: epath.Path, record: int, offset: int, what: str) -> InputError:
    """Returns an error that names file, record and byte."""
    return InputError(f"{path}: record {record} at byte {offset}: {what}")


def payload_bytes(shard: ShardFile, header: bytes, *, record: int, offset: int) -> int:
    """Returns the payload's length, checked against its checksum."""
    if len(header) < HEADER.size:
        raise problem(shard.path, record, offset, f"the file ends inside a record; {REWRITE}")
    length, crc = HEADER.unpack(header)
    if masked_crc(header[:8]) != crc:
        raise problem(shard.path, record, offset, f"the record's length does not match its checksum; {REWRITE}")
    return length


@dataclasses.dataclass(frozen=True)
class ShardTable:
    """The records of one shard.

    Attributes:
      offsets: where each frame starts, and the file's size after the last.
      checksums: what the frames hold of their payloads; None where they are not known, or not confirmed.
    """

    offsets: Int64[np.ndarray, " rows+1"]
    checksums: UInt32[np.ndarray, " rows"] | None

    def describe(self) -> dict[str, Any]:
        """Returns what `lingjax.json` says of the shard."""
        content = self.offsets.astype("<i8").tobytes() + self.checksums.astype("<u4").tobytes()
        digest = hashlib.sha256(content).hexdigest()
        return {"rows": len(self.offsets) - 1, "bytes": int(self.offsets[-1]), "records_sha256": digest}

    def as_bytes(self) -> bytes:
        """Returns the content of `SHARD.index`."""
        content = self.offsets.astype("<i8").tobytes() + self.checksums.astype("<u4").tobytes()
        return _MAGIC + FOOTER.pack(masked_crc(content)) + content


def index_path(path: epath.Path) -> epath.Path:
    """Returns where the index of a shard is kept."""
    return path.parent / f"{path.name}.index"


def write_index(path: epath.PathLike) -> epath.Path:
    """Writes `SHARD.index` beside a finished shard, so that readers need not scan it, and returns its path.

    Raises:
      InputError: the shard's framing is damaged.
    """
    shard = ShardFile(path)
    target = index_path(shard.path)
    partial = target.parent / f"{target.name}.partial"
    partial.write_bytes(scan(shard, shard.size_and_modified()[0]).as_bytes())
    return partial.replace(target)


def describe_shard(path: epath.PathLike) -> dict[str, Any]:
    """Returns what `lingjax.json` is to say of a finished shard, by which it is known again.

    Raises:
      InputError: the shard's framing is damaged.
    """
    shard = ShardFile(path)
    size, modified = shard.size_and_modified()
    table = _read_index(shard, size, modified, None)
    return (scan(shard, size) if table is None or table.checksums is None else table).describe()


def scan(shard: ShardFile, size: int) -> ShardTable:
    """Finds a shard's records by a pass over its frames' ends, without reading the payloads."""
    offsets, checksums, offset = [], [], 0
    header = shard.read(0, HEADER.size)
    while offset < size:
        length = payload_bytes(shard, header, record=len(offsets), offset=offset)
        end = offset + HEADER.size + length + FOOTER.size
        if end > size:
            raise problem(shard.path, len(offsets), offset, f"the file ends inside a record; {REWRITE}")
        between = shard.read(end - FOOTER.size, FOOTER.size + HEADER.size)
        offsets.append(offset)
        checksums.append(*FOOTER.unpack(between[: FOOTER.size]))
        offset, header = end, between[FOOTER.size :]
    return ShardTable(np.array([*offsets, size], np.int64), np.array(checksums, np.uint32))


def find_table(shard: ShardFile, written: Mapping[str, Any] | None = None) -> ShardTable:
    """Returns the table kept beside a shard, or else found in it.

    Args:
      shard: the file.
      written: what `describe` said when it was written; None if that is not known.

    Raises:
      InputError: the shard cannot be read, its framing is damaged, or it is not what was written.
    """
    try:
        size, modified = shard.size_and_modified()
        if written is not None and size != written["bytes"]:
            raise InputError(f"{shard.path}: has {size} bytes and was written with {written['bytes']}; {_OTHER}")
        table = _read_index(shard, size, modified, written)
        if table is None:
            table = scan(shard, size)
            if written is not None and table.describe() != dict(written):
                raise InputError(f"{shard.path}: its records are not those that were written; {_OTHER}")
        elif written is not None and not shard.is_remote and len(table.checksums):
            _check_ends(shard, table)
    except OSError as error:
        raise InputError(f"{shard.path}: cannot be read: {error.strerror or error}") from error
    return table if written is not None else dataclasses.replace(table, checksums=None)


def _read_index(shard: ShardFile, size: int, modified: float, written: Mapping[str, Any] | None) -> ShardTable | None:
    """Returns the table kept beside the shard, or None if it is absent, older than the shard, or not about it."""
    index = ShardFile(index_path(shard.path))
    try:
        index_modified = index.size_and_modified()[1]
        content = index.read_whole()
    except FileNotFoundError:
        return None
    start = len(_MAGIC) + FOOTER.size
    head, content = content[:start], content[start:]
    if len(head) < start or head[len(_MAGIC) :] != FOOTER.pack(masked_crc(content)):
        return None
    if head.startswith(_MAGIC_WITHOUT_CHECKSUMS) and not len(content) % 8 and written is None:
        table = ShardTable(np.frombuffer(content, "<i8"), None)
    elif head.startswith(_MAGIC) and len(content) % 12 == 8:
        rows = len(content) // 12
        checksums = np.frombuffer(content, "<u4", offset=8 * (rows + 1))
        table = ShardTable(np.frombuffer(content, "<i8", count=rows + 1), checksums)
    else:
        return None
    if written is None:
        return table if index_modified >= modified and table.offsets[-1] == size else None
    # What the dataset's card confirms is right, whenever it was copied.
    return table if table.describe() == dict(written) else None


def _check_ends(shard: ShardFile, table: ShardTable) -> None:
    """Compares the first and the last record's checksums: another shard of the same size is found before it is used."""
    for record in {0, len(table.checksums) - 1}:
        end = int(table.offsets[record + 1])
        if shard.read(end - FOOTER.size, FOOTER.size) != FOOTER.pack(int(table.checksums[record])):
            offset = int(table.offsets[record])
            raise problem(shard.path, record, offset, f"is not the record that was written there; {_OTHER}")


def check_record(shard: ShardFile, table: ShardTable, *, record: int, offset: int, checksum: int) -> None:
    """Refuses a whole record that is not the one that the table names.

    Raises:
      InputError: names file, record and byte.
    """
    if table.checksums is not None and int(table.checksums[record]) != checksum:
        raise problem(shard.path, record, offset, f"is not the record that was written there; {_OTHER}")
