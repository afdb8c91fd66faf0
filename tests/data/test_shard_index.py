"""Shards are held to what was said of them when they were written: content, order and number of their records."""

import os
import random
import shutil
import struct

import pytest
from etils import epath

from benchmarks.slow_bucket import stand_in
from lingjax.data import TFRecordSource, describe_shard, write_index
from lingjax.errors import InputError
from lingjax.sealed import read_sealed, write_sealed

SIZE = 13  # bytes of every payload, so that shards of as many records have the same size


@pytest.fixture(params=["indexed", "index gone", "index of an older version"])
def shards(request, tmp_path, write_shard):
    """Three shards, of which the first two have the same size, and what was said of them."""
    rng = random.Random(3)
    paths = []
    for number, count in enumerate((7, 7, 5)):
        paths.append(write_shard(tmp_path / f"{number}", [rng.randbytes(SIZE) for _ in range(count)]))
        write_index(paths[-1])
    written = [describe_shard(path) for path in paths]
    for path in paths:
        index = path.with_name(f"{path.name}.index")
        if request.param == "index gone":
            index.unlink()
        elif request.param != "indexed":
            index.write_bytes(b"lingjax-index-1\n" + index.read_bytes()[16:])
    return paths, written


def read(paths, written):
    return list(TFRecordSource(paths, written))


def test_sound_shards_are_read(shards):
    paths, written = shards
    assert len(read(paths, written)) == 19
    assert [each["rows"] for each in written] == [7, 7, 5]


def test_indexes_may_be_older_than_their_shards(shards):
    paths, written = shards
    for path in paths:
        os.utime(path)
    assert len(read(paths, written)) == 19


def refuses(paths, written, path):
    with pytest.raises(InputError, match=rf"{path}: .*copy it again or rebuild the dataset"):
        read(paths, written)


@pytest.mark.parametrize("with_index", [False, True])
def test_swapped_shards_are_noticed(shards, with_index):
    paths, written = shards
    (first, second, _), aside = paths, paths[0].with_name("aside")
    for ending in ("", ".index") if with_index else ("",):
        names = [path.with_name(path.name + ending) for path in (first, second)]
        if all(name.exists() for name in names):
            names[0].rename(aside)
            names[1].rename(names[0])
            aside.rename(names[1])
    refuses(paths, written, first)


@pytest.mark.parametrize("with_index", [False, True])
@pytest.mark.parametrize("other", [1, 2])
def test_a_doubled_shard_is_noticed(shards, with_index, other):
    paths, written = shards
    shutil.copy(paths[0], paths[other])
    if with_index and paths[0].with_name("0.index").exists():
        shutil.copy(paths[0].with_name("0.index"), paths[other].with_name(f"{other}.index"))
    refuses(paths, written, paths[other])


@pytest.mark.parametrize("rows", [0, 1, 6])
def test_a_shard_cut_between_records_is_noticed(shards, rows):
    paths, written = shards
    paths[1].write_bytes(paths[1].read_bytes()[: rows * (SIZE + 16)])
    refuses(paths, written, paths[1])


@pytest.mark.parametrize("record", range(7))
def test_a_whole_record_in_another_ones_place_is_noticed(shards, record):
    paths, written = shards
    frame = SIZE + 16
    content = bytearray(paths[0].read_bytes())
    other = (record + 1) % 7
    content[record * frame : (record + 1) * frame] = content[other * frame : (other + 1) * frame]
    paths[0].write_bytes(content)
    refuses(paths, written, paths[0])


def test_a_foreign_index_is_not_believed(shards):
    paths, written = shards
    shutil.copy(write_index(paths[2]), f"{paths[0]}.index")
    assert len(read(paths, written)) == 19


def test_a_flipped_byte_of_an_index_changes_nothing(shards, tmp_path):
    paths, written = shards
    whole = write_index(paths[0]).read_bytes()
    expected = read(paths, written)
    for place in range(len(whole)):
        epath.Path(f"{paths[0]}.index").write_bytes(
            whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
        )
        assert read(paths, written) == expected


def test_the_table_is_that_of_the_file(tmp_path, write_shard):
    path = write_shard(tmp_path / "one", [b"ab", b"", b"c"])
    described = describe_shard(path)
    assert (described["rows"], described["bytes"]) == (3, path.stat().st_size)
    content = write_index(path).read_bytes()
    assert content[:16] == b"lingjax-index-2\n"
    assert struct.unpack("<4q3I", content[20:])[:4] == (0, 18, 34, 51)
    ends = [path.read_bytes()[end - 4 : end] for end in (18, 34, 51)]
    assert content[-12:] == b"".join(ends)
    assert describe_shard(path) == described


def test_a_shard_in_a_bucket_is_noticed_when_it_is_read(tmp_path, write_shard):
    rng = random.Random(4)
    with stand_in():
        folder = epath.Path("gs://bucket/data")
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for number in range(2):
            path = write_shard(tmp_path / f"{number}", [rng.randbytes(SIZE) for _ in range(7)])
            written.append(describe_shard(path))
            (folder / f"{1 - number}").write_bytes(path.read_bytes())
            (folder / f"{number}.index").write_bytes(write_index(path).read_bytes())
        source = TFRecordSource([folder / "0", folder / "1"], written)
        with pytest.raises(InputError, match=r"data/0: record 3 .* is not the record that was written there"):
            source[3]


def test_a_seal_is_of_the_content_and_not_of_its_layout(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, {"b": (1, 2.5), "a": {"é": None}})
    assert read_sealed(path) == {"a": {"é": None}, "b": [1, 2.5]}
    path.write_text(path.read_text().replace("\n", "").replace("  ", ""))
    assert read_sealed(path)["b"] == [1, 2.5]
