"""TFRecord shards as one checked, random-access sequence of records, read without tensorflow.

A shard is a run of frames: length (uint64), masked CRC-32C of the length, payload, masked CRC-32C of the payload, all
little-endian (https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details). The format has no
table of contents, so the offsets of its frames are kept beside it in `SHARD.index`, or found by one pass over the
frame headers where there is no fresh index (`lingjax.data.shard_index`).
"""

import bisect
import concurrent.futures
import functools
import itertools
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, SupportsIndex

import numpy as np
from etils import epath
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from lingjax.data.shard_files import REQUESTS_AT_ONCE, LocalCopies, ShardFile
from lingjax.data.shard_index import (
    FOOTER,
    HEADER,
    REWRITE,
    check_record,
    find_table,
    masked_crc,
    payload_bytes,
    problem,
)
from lingjax.errors import InputError

_CHANGED = "the file has changed since it was indexed; delete its .index file"
_READ_BYTES = 2**18


class TFRecordSource(Sequence[bytes]):
    """The records of several shards, in the order of the shards, as a sequence that grain can read at random.

    Every read checks both CRCs. Instances pickle (workers reopen the files) and may be shared by threads. Shards in a
    bucket are copied to this machine's disk as they are read (`lingjax.data.shard_files`).

    Args:
      paths: the shards, local or in a bucket (`gs://`).
      written: what `describe_shard` said of each when it was written; every record read is then held to it. None if
        that is not known.

    Raises:
      InputError: a shard cannot be read or its framing is damaged; also from reading a damaged record. The message
        names file, record number and byte offset.
    """

    def __init__(self, paths: Sequence[epath.PathLike], written: Sequence[Mapping[str, Any]] | None = None):
        copies = LocalCopies()
        self._shards = [ShardFile(path, copies) for path in paths]
        with concurrent.futures.ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            find = pool.map if self.is_remote else map
            self._tables = list(find(find_table, self._shards, written or [None] * len(self._shards)))
        self._offsets = [table.offsets for table in self._tables]
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
            raise problem(shard.path, record, start, f"cannot be read: {error.strerror or error}") from error
        if len(frames) != end - start:
            raise problem(shard.path, record, start, _CHANGED)
        return frames

    def _payload(self, frame: bytes, which: int, record: int, start: int) -> bytes:
        """Returns what a frame holds, both checksums checked."""
        shard = self._shards[which]
        length = payload_bytes(shard, frame[: HEADER.size], record=record, offset=start)
        if length != len(frame) - HEADER.size - FOOTER.size:
            raise problem(shard.path, record, start, _CHANGED)
        payload = frame[HEADER.size : -FOOTER.size]
        (checksum,) = FOOTER.unpack(frame[-FOOTER.size :])
        if masked_crc(payload) != checksum:
            raise problem(shard.path, record, start, f"the record's data do not match their checksum; {REWRITE}")
        check_record(shard, self._tables[which], record=record, offset=start, checksum=checksum)
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
