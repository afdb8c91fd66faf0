import itertools
import os
import pathlib
import pickle
import random
import resource
import shutil
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from etils import epath

from benchmarks.slow_bucket import stand_in
from lingjax import files
from lingjax.data import TFRecordSource, parse_example, shard_files, tfrecord, write_index
from lingjax.errors import InputError

_OVERHEAD = 16  # bytes of framing around a payload


@pytest.fixture
def payloads():
    rng = random.Random(5)
    return [rng.randbytes(rng.randint(0, 41)) for _ in range(23)]


@pytest.fixture
def shard(tmp_path, write_shard, payloads):
    return write_shard(tmp_path / "one.tfrecord", payloads)


def _flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def _start(payloads, record):
    return sum(len(payload) + _OVERHEAD for payload in payloads[:record])


@pytest.mark.parametrize("indexed", [True, False])
def test_records_come_back_in_order(shard, payloads, indexed):
    if indexed:
        assert write_index(shard) == epath.Path(f"{shard}.index")
    assert list(TFRecordSource([shard])) == payloads


def test_many_shards_are_one_sequence_and_empty_ones_hold_nothing(tmp_path, write_shard, payloads):
    edges = [0, 0, 3, 4, 11, 11, 23]
    paths = [
        write_shard(tmp_path / str(i), payloads[first:last])
        for i, (first, last) in enumerate(itertools.pairwise(edges))
    ]
    write_index(paths[2])
    source = TFRecordSource(paths)
    assert len(source) == 23
    order = random.Random(1).sample(range(23), 23)
    assert [source[np.int64(i)] for i in order] == [payloads[i] for i in order]
    assert source.locate(4) == f"{paths[3]}: record 0"


@pytest.mark.parametrize("read_bytes", [1, 50, 301, 10**6])
def test_iterating_gives_what_indexing_gives_however_much_is_read_at_a_time(
    tmp_path, write_shard, payloads, monkeypatch, read_bytes
):
    monkeypatch.setattr(tfrecord, "_READ_BYTES", read_bytes)
    parts = [payloads[:7], [], payloads[7:]]
    source = TFRecordSource([write_shard(tmp_path / str(i), part) for i, part in enumerate(parts)])
    assert list(source) == [source[i] for i in range(len(source))] == payloads


def test_no_shards_hold_no_records():
    assert len(TFRecordSource([])) == 0


@pytest.mark.parametrize("number", [-1, 23])
def test_a_number_outside_the_records_is_an_index_error(shard, number):
    with pytest.raises(IndexError, match=f"record {number} of 23"):
        TFRecordSource([shard])[number]


def test_reads_what_tensorflow_writes(tmp_path, payloads):
    tensorflow = pytest.importorskip("tensorflow")
    with tensorflow.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for payload in payloads:
            writer.write(payload)
    assert list(TFRecordSource([tmp_path / "theirs"])) == payloads


def test_pickles_after_reading(shard, payloads):
    source = TFRecordSource([shard])
    assert source[0] == payloads[0]
    assert list(pickle.loads(pickle.dumps(source))) == payloads


def test_threads_share_a_source(shard, payloads):
    source = TFRecordSource([shard])
    order = [random.Random(7).randrange(23) for _ in range(500)]
    with ThreadPoolExecutor(7) as pool:
        assert list(pool.map(source.__getitem__, order)) == [payloads[i] for i in order]


@pytest.mark.parametrize("indexed", [True, False])
def test_a_flipped_data_byte_names_file_record_and_offset(shard, payloads, indexed):
    record = next(i for i in range(5, 23) if payloads[i])
    if indexed:
        write_index(shard)
    modified = shard.stat().st_mtime_ns
    _flip(shard, _start(payloads, record) + 12)
    os.utime(shard, ns=(modified, modified))
    source = TFRecordSource([shard])
    place = f"{shard}: record {record} at byte {_start(payloads, record)}: the record's data do not match"
    with pytest.raises(InputError, match=place):
        source[record]
    assert source[record - 1] == payloads[record - 1]
    before = []
    with pytest.raises(InputError, match=place):
        before += iter(source)
    assert before == payloads[:record]


@pytest.mark.parametrize("byte", [0, 7, 8])
def test_a_flipped_length_byte_names_file_record_and_offset(shard, payloads, byte):
    _flip(shard, _start(payloads, 3) + byte)
    with pytest.raises(InputError, match=f"{shard}: record 3 at byte {_start(payloads, 3)}: the record's length"):
        TFRecordSource([shard])


def test_a_length_flipped_after_indexing_is_found_on_reading(shard, payloads):
    write_index(shard)
    source = TFRecordSource([shard])
    _flip(shard, _start(payloads, 3))
    with pytest.raises(InputError, match=r"record 3 at byte .* the record's length"):
        source[3]


@pytest.mark.parametrize("missing", [1, 5, 60])
def test_a_truncated_file_is_refused(shard, missing):
    shard.write_bytes(shard.read_bytes()[:-missing])
    with pytest.raises(InputError, match=r"one.tfrecord: record \d+ at byte \d+: the file ends inside a record"):
        TFRecordSource([shard])


def test_a_file_truncated_while_in_use_is_an_error(shard):
    source = TFRecordSource([shard])
    shard.write_bytes(shard.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"record 22 .* changed since it was indexed"):
        source[22]


def test_a_file_that_is_no_tfrecord_is_refused(tmp_path):
    (tmp_path / "text").write_text("sentence1,sentence2,label\n")
    with pytest.raises(InputError, match="text: record 0 at byte 0: the record's length does not match"):
        TFRecordSource([tmp_path / "text"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="absent: cannot be read: No such file"):
        TFRecordSource([tmp_path / "absent"])


def test_an_index_of_another_size_is_ignored(tmp_path, shard, write_shard, payloads):
    index = write_index(shard)
    write_shard(shard, payloads[:5])
    os.utime(index)
    assert list(TFRecordSource([shard])) == payloads[:5]


def test_an_index_older_than_its_shard_is_ignored(shard, write_shard, payloads):
    index = write_index(shard)
    write_shard(shard, payloads[::-1])
    os.utime(index, ns=(0, 0))
    assert list(TFRecordSource([shard])) == payloads[::-1]


def test_a_damaged_index_is_ignored(shard, payloads):
    index = write_index(shard)
    for offset in (0, 17, 40):
        _flip(index, offset)
        assert list(TFRecordSource([shard])) == payloads
    index.write_bytes(b"")
    assert list(TFRecordSource([shard])) == payloads


def test_an_index_is_used_in_place_of_a_scan(tmp_path, shard, write_shard, payloads):
    other = write_shard(tmp_path / "other", [b"", *payloads[1:]])
    padded = write_shard(tmp_path / "padded", [*payloads[1:], b""])
    shutil.copy(write_index(padded), f"{other}.index")
    with pytest.raises(InputError, match=r"record|index"):  # the wrong offsets are believed, and found out
        list(TFRecordSource([other]))


def test_an_index_that_disagrees_with_a_sound_shard_says_so(tmp_path, write_shard):
    shard = write_shard(tmp_path / "a", [b"x" * 16, b"y"])
    other = write_shard(tmp_path / "b", [b"x" * 33])
    assert shard.stat().st_size == other.stat().st_size
    shutil.copy(write_index(other), f"{shard}.index")
    with pytest.raises(InputError, match=r"changed since it was indexed; delete its .index file"):
        TFRecordSource([shard])[0]


@pytest.fixture
def bucket():
    with stand_in() as bucket:
        yield bucket


def _upload(shard, name="one.tfrecord"):
    path = epath.Path(f"gs://bucket/{name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(shard.read_bytes())
    return path


def test_buckets_are_read_through_their_file_system(shard, payloads, bucket):
    path = _upload(shard)
    assert list(TFRecordSource([path])) == payloads
    write_index(path)
    source = pickle.loads(pickle.dumps(TFRecordSource([path])))
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(source.__getitem__, range(23))) == payloads


def test_a_shard_of_a_bucket_is_fetched_once(shard, payloads, bucket):
    path = _upload(shard)
    write_index(path)
    source = TFRecordSource([path])
    bucket.requests.clear()
    assert [source[number] for number in [*range(22, -1, -1), *range(23)]] == [*payloads[::-1], *payloads]
    assert bucket.requests["cat_file"] == 1


def test_what_finds_no_room_is_read_by_many_requests_at_once(shard, payloads, bucket, monkeypatch):
    monkeypatch.setattr(shard_files, "_FREE_FRACTION", 1.0)
    path = _upload(shard)
    write_index(path)
    source = TFRecordSource([path])
    bucket.latency = 0.02
    with ThreadPoolExecutor(23) as pool:
        assert list(pool.map(source.__getitem__, range(23))) == payloads
    assert bucket.requests["cat_file"] >= 23
    assert bucket.most_at_once > 10


@pytest.mark.parametrize("error", [TimeoutError("timed out"), RuntimeError("503 Service Unavailable")])
def test_a_passing_failure_of_a_bucket_is_tried_again(shard, payloads, bucket, monkeypatch, error):
    path = _upload(shard)
    bucket.failures |= {"cat_file": [error, error], "info": [error]}
    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    assert list(TFRecordSource([path])) == payloads


@pytest.mark.parametrize("copied", [True, False])
def test_damage_in_a_bucket_is_found(shard, payloads, bucket, monkeypatch, copied):
    if not copied:
        monkeypatch.setattr(shard_files, "_FREE_FRACTION", 1.0)
    write_index(shard)
    _flip(shard, _start(payloads, 7) + 12)
    path, _ = _upload(shard), _upload(epath.Path(f"{shard}.index"), "one.tfrecord.index")
    source = TFRecordSource([path])
    assert source[6] == payloads[6]
    with pytest.raises(InputError, match=r"gs://bucket/one.tfrecord: record 7 at byte .*do not match their checksum"):
        source[7]


def test_more_shards_are_read_than_files_may_be_open(tmp_path, write_shard, payloads):
    paths = [write_shard(tmp_path / str(number), payloads[number % 23 :][:1]) for number in range(200)]
    source = TFRecordSource(paths)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(list(pathlib.Path("/dev/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + shard_files._MOST_OPEN + 10, hard))
    try:
        assert [source[number] for number in range(200)] == [payloads[number % 23] for number in range(200)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_example_parses_to_lists_by_kind(serialize):
    record = serialize({"pair_id": "7", "sentence1": "é" * 99, "label": 1})
    assert parse_example(record) == {"pair_id": [b"7"], "sentence1": ["é".encode() * 99], "label": [1]}


def test_parsing_agrees_with_tensorflow():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the packages that tensorflow imports
        tensorflow = pytest.importorskip("tensorflow")
    train = tensorflow.train
    rng = random.Random(3)
    features = {
        "bytes": train.Feature(bytes_list=train.BytesList(value=[b"", rng.randbytes(300)])),
        "floats": train.Feature(float_list=train.FloatList(value=[0.5, -1e30, float("inf")])),
        "integers": train.Feature(int64_list=train.Int64List(value=[0, -1, 2**62])),
        "empty": train.Feature(bytes_list=train.BytesList()),
        "unset": train.Feature(),
    }
    example = train.Example(features=train.Features(feature=features))
    expected = {
        "bytes": list(features["bytes"].bytes_list.value),
        "floats": [struct.unpack("f", struct.pack("f", value))[0] for value in (0.5, -1e30, float("inf"))],
        "integers": [0, -1, 2**62],
        "empty": [],
        "unset": [],
    }
    assert parse_example(example.SerializeToString()) == expected


def test_what_is_no_example_is_refused():
    with pytest.raises(InputError, match=r"not a tf.train.Example"):
        parse_example(b"\xff\xff\xff")
