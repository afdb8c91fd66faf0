"""TFRecord shards as one checked, random-access sequence of records, read without tensorflow.

A shard is a run of frames: length (uint64), masked CRC-32C of the length, payload, masked CRC-32C of the payload, all
little-endian (https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details). The format has no
table of contents, so the offsets of its frames are kept beside it in `SHARD.index`, or found by one pass over the
frame headers where there is no fresh index.
"""

import bisect
import concurrent.futures
import functools
import itertools
import operator
import struct
from collections.abc import Iterator, Sequence
from typing import SupportsIndex

import google_crc32c
import numpy as np
from etils import epath
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from lingjax.data.shard_files import REQUESTS_AT_ONCE, LocalCopies, ShardFile
from lingjax.errors import InputError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_INDEX_MAGIC = b"lingjax-index-1\n"
_REWRITE = "the file is damaged: copy it again or rebuild the dataset"
_CHANGED = "the file has changed since it was indexed; delete its .index file"
_READ_BYTES = 2**18


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _problem(path: epath.Path, record: int, offset: int, what: str) -> InputError:
    return InputError(f"{path}: record {record} at byte {offset}: {what}")


def _payload_bytes(shard: ShardFile, header: bytes, *, record: int, offset: int) -> int:
    """Returns the payload's length, checked against its CRC."""
    if len(header) < _HEADER.size:
        raise _problem(shard.path, record, offset, f"the file ends inside a record; {_REWRITE}")
    length, crc = _HEADER.unpack(header)
    if _masked_crc(header[:8]) != crc:
        raise _problem(shard.path, record, offset, f"the record's length does not match its checksum; {_REWRITE}")
    return length


def _scan(shard: ShardFile, size: int) -> np.ndarray:
    """Returns where each frame starts, and the file's size after the last."""
    offsets, offset = [], 0
    while offset < size:
        header = shard.read(offset, _HEADER.size)
        length = _payload_bytes(shard, header, record=len(offsets), offset=offset)
        end = offset + _HEADER.size + length + _FOOTER.size
        if end > size:
            raise _problem(shard.path, len(offsets), offset, f"the file ends inside a record; {_REWRITE}")
        offsets.append(offset)
        offset = end
    return np.array([*offsets, size], np.int64)


def _index_path(path: epath.Path) -> epath.Path:
    return path.parent / f"{path.name}.index"


def write_index(path: epath.PathLike) -> epath.Path:
    """Writes `SHARD.index` beside a finished shard, so that readers need not scan it, and returns its path.

    Raises:
      InputError: the shard's framing is damaged.
    """
    shard = ShardFile(path)
    size, _ = shard.size_and_modified()
    offsets = _scan(shard, size).astype("<i8").tobytes()
    target = _index_path(shard.path)
    partial = target.parent / f"{target.name}.partial"
    partial.write_bytes(_INDEX_MAGIC + _FOOTER.pack(_masked_crc(offsets)) + offsets)
    return partial.replace(target)


def _read_fresh_index(shard: ShardFile, size: int, modified: float) -> np.ndarray | None:
    """Returns the offsets kept beside the shard, or None if they are absent, older than the shard, or not about it."""
    index = ShardFile(_index_path(shard.path))
    try:
        if index.size_and_modified()[1] < modified:
            return None
        content = index.read_whole()
    except FileNotFoundError:
        return None
    start = len(_INDEX_MAGIC) + _FOOTER.size
    offsets = content[start:]
    if content[:start] != _INDEX_MAGIC + _FOOTER.pack(_masked_crc(offsets)):
        return None
    offsets = np.frombuffer(offsets, "<i8")
    return offsets if offsets[-1] == size else None


def _find_offsets(shard: ShardFile) -> np.ndarray:
    try:
        size, modified = shard.size_and_modified()
        index = _read_fresh_index(shard, size, modified)
        return _scan(shard, size) if index is None else index
    except OSError as error:
        raise InputError(f"{shard.path}: cannot be read: {error.strerror or error}") from error


class TFRecordSource(Sequence[bytes]):
    """The records of several shards, in the order of the shards, as a sequence that grain can read at random.

    Every read checks both CRCs. Instances pickle (workers reopen the files) and may be shared by threads. Shards in a
    bucket are copied to this machine's disk as they are read (`lingjax.data.shard_files`).

    Args:
      paths: the shards, local or in a bucket (`gs://`).

    Raises:
      InputError: a shard cannot be read or its framing is damaged; also from reading a damaged record. The message
        names file, record number and byte offset.
    """

    def __init__(self, paths: Sequence[epath.PathLike]):
        copies = LocalCopies()
        self._shards = [ShardFile(path, copies) for path in paths]
        with concurrent.futures.ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            find = pool.map if self.is_remote else map
            self._offsets = list(find(_find_offsets, self._shards))
        self._ends = list(itertools.accumulate(len(offsets) - 1 for offsets in self._offsets))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def is_remote(self) -> bool:
        """Whether a read may wait for a bucket, so that many should be under way at a time."""
        return any(shard.is_remote for shard in self._shards)

    def _find(self, number: SupportsIndex) -> tuple[int, int]:
        """Returns which shard holds a record, and the record's number in that shard."""
        number = operator.index(number)
        if not 0 <= number < len(self):
            raise IndexError(f"record {number} of {len(self)}")
        shard = bisect.bisect_right(self._ends, number)
        return shard, number - (self._ends[shard - 1] if shard else 0)

    def locate(self, number: SupportsIndex) -> str:
        """Returns the file and the number within it of a record, for messages."""
        shard, record = self._find(number)
        return f"{self._shards[shard].path}: record {record}"

    def __getitem__(self, number: SupportsIndex) -> bytes:
        which, record = self._find(number)
        start, end = self._offsets[which][record : record + 2].tolist()
        return self._payload(self._read(which, record, start, end), which, record, start)

    def __iter__(self) -> Iterator[bytes]:
        """Yields all records in order, each checked; many are read at a time."""
        for which, offsets in enumerate(self._offsets):
            first = 0
            while first < len(offsets) - 1:
                within = np.searchsorted(offsets, offsets[first] + _READ_BYTES, side="right")
                bounds = offsets[first : max(within, first + 2)].tolist()
                frames = self._read(which, first, bounds[0], bounds[-1])
                for record, (start, end) in enumerate(itertools.pairwise(bounds), start=first):
                    yield self._payload(frames[start - bounds[0] : end - bounds[0]], which, record, start)
                first += len(bounds) - 1

    def _read(self, which: int, record: int, start: int, end: int) -> bytes:
        """Returns the bytes of a shard from its frame `record` at `start` on."""
        shard = self._shards[which]
        try:
            frames = shard.read(start, end - start)
        except OSError as error:
            raise _problem(shard.path, record, start, f"cannot be read: {error.strerror or error}") from error
        if len(frames) != end - start:
            raise _problem(shard.path, record, start, _CHANGED)
        return frames

    def _payload(self, frame: bytes, which: int, record: int, start: int) -> bytes:
        """Returns what a frame holds, both checksums checked."""
        path = self._shards[which].path
        length = _payload_bytes(self._shards[which], frame[: _HEADER.size], record=record, offset=start)
        if length != len(frame) - _HEADER.size - _FOOTER.size:
            raise _problem(path, record, start, _CHANGED)
        payload = frame[_HEADER.size : -_FOOTER.size]
        if _masked_crc(payload) != _FOOTER.unpack(frame[-_FOOTER.size :])[0]:
            raise _problem(path, record, start, f"the record's data do not match their checksum; {_REWRITE}")
        return payload


@functools.cache
def _example_class() -> type[message.Message]:
    """Returns a message class that reads what `tf.train.Example` writes.

    Built here, in a pool and a package of its own, because tensorflow's is not installed with lingjax and registering
    the same name twice fails where it is. Field numbers: tensorflow/core/example/{example,feature}.proto.
    """
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="lingjax/example.proto", package="lingjax", syntax="proto3")

    def add(
        parent, name: str, number: SupportsIndex, *, kind: int, repeated: bool = False, refers_to: str | None = None
    ):
        label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        return parent.field.add(name=name, number=number, type=kind, label=label, type_name=refers_to)

    kinds = {"bytes_list": field.TYPE_BYTES, "float_list": field.TYPE_FLOAT, "int64_list": field.TYPE_INT64}
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (kind, value_type) in enumerate(kinds.items(), start=1):
        values = file.message_type.add(name=f"{kind}_values")
        add(values, "value", 1, kind=value_type, repeated=True)
        add(feature, kind, number, kind=field.TYPE_MESSAGE, refers_to=f".lingjax.{kind}_values").oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry", options=descriptor_pb2.MessageOptions(map_entry=True))
    add(entry, "key", 1, kind=field.TYPE_STRING)
    add(entry, "value", 2, kind=field.TYPE_MESSAGE, refers_to=".lingjax.Feature")
    entry_name = ".lingjax.Features.FeatureEntry"
    add(features, "feature", 1, kind=field.TYPE_MESSAGE, repeated=True, refers_to=entry_name)
    example = file.message_type.add(name="Example")
    add(example, "features", 1, kind=field.TYPE_MESSAGE, refers_to=".lingjax.Features")

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("lingjax.Example"))


def parse_example(record: bytes) -> dict[str, list]:
    """Returns the features of a serialized `tf.train.Example`: lists of bytes, float or int.

    Raises:
      InputError: the record is no `tf.train.Example`.
    """
    try:
        example = _example_class().FromString(record)
    except message.DecodeError as error:
        raise InputError("not a tf.train.Example") from error
    return {
        name: list(getattr(feature, kind).value) if (kind := feature.WhichOneof("kind")) else []
        for name, feature in example.features.feature.items()
    }
