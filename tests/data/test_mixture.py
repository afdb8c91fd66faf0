import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.slow_bucket import stand_in
from lingjax.data import shard_files
from lingjax.data.mixture import held_out_batches, mixture_batches, parse_mixture
from lingjax.data.objectives import NextToken
from lingjax.data.packed import PackedRow, PackedSource, choose_in_equal_steps
from lingjax.data.shard_index import write_index
from lingjax.data.tfrecord import TFRecordSource
from lingjax.errors import InputError
from lingjax.files import copy_folder


class Rows:
    """A packed source in memory whose tokens tell their row: token t of row r is `first + 10 r + t`."""

    def __init__(self, count, *, first=0, length=5, name="rows"):
        self.count, self.first, self.length = count, first, length
        self.split = SimpleNamespace(name=name)

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        tokens = self.first + 10 * number + np.arange(self.length, dtype=np.int32)
        return PackedRow(tokens, np.ones(self.length, np.int32), number)


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def first_tokens(batches):
    return np.concatenate([batch.token_ids[:, 0] for batch in batches]).tolist()


def equal(first, second):
    return all(np.array_equal(getattr(first, f.name), getattr(second, f.name)) for f in dataclasses.fields(first))


def test_dtypes_are_those_of_the_batch_type():
    batch = next(mixture_batches([(Rows(3), 1.0)], objective=NextToken(), batch_size=2, seed=0))
    for field in dataclasses.fields(batch):
        assert getattr(batch, field.name).dtype == (bool if field.name == "counted" else np.int32)


@pytest.mark.parametrize("weights", [(0.5, 0.3, 0.2), (7.0, 2.0, 1.0), (1.0, 1.0, 1.0), (0.003, 0.0, 0.997)])
def test_shares_are_exact_at_every_moment(weights):
    # Grain shuffles a handful of rows slowly, hence hundreds.
    parts = list(zip((Rows(307), Rows(211), Rows(401)), weights, strict=True))
    batches = take(mixture_batches(parts, objective=NextToken(), batch_size=29, seed=1), 30)
    domains = np.concatenate([batch.domain_ids for batch in batches])
    for domain, weight in enumerate(weights):
        seen = np.cumsum(domains == domain)
        wanted = np.arange(1, len(domains) + 1) * weight / sum(weights)
        assert np.abs(seen - wanted).max() < 2


def test_each_part_is_seen_whole_before_it_repeats_in_another_order():
    rows = first_tokens(take(mixture_batches([(Rows(14), 1.0)], objective=NextToken(), batch_size=7, seed=2), 6))
    epochs = [rows[:14], rows[14:28], rows[28:]]
    assert all(sorted(epoch) == [10 * number for number in range(14)] for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_domain_ids_are_indices_of_parts_and_zero_weights_are_dropped():
    parts = [(Rows(3), 1.0), (Rows(3, first=1000), 0.0), (Rows(3, first=2000), 1.0)]
    for batch in take(mixture_batches(parts, objective=NextToken(), batch_size=4, seed=3), 10):
        assert np.array_equal(batch.token_ids[:, 0] // 1000, batch.domain_ids)
        assert set(batch.domain_ids) == {0, 2}


def test_parts_of_one_size_do_not_share_their_order():
    batch = next(mixture_batches([(Rows(50), 1.0), (Rows(50), 1.0)], objective=NextToken(), batch_size=100, seed=4))
    assert batch.token_ids[batch.domain_ids == 0].tolist() != batch.token_ids[batch.domain_ids == 1].tolist()


def test_the_seed_decides_the_stream():
    parts = [(Rows(9), 2.0), (Rows(8, first=500), 1.0)]
    streams = [
        first_tokens(take(mixture_batches(parts, objective=NextToken(), batch_size=3, seed=seed), 5))
        for seed in (5, 5, 6)
    ]
    assert streams[0] == streams[1] != streams[2]


@pytest.mark.parametrize("consumed", [0, 1, 13])
def test_a_restored_state_gives_exactly_the_batches_that_would_have_come(consumed):
    def start():
        return mixture_batches([(Rows(9), 2.0), (Rows(8, first=500), 1.0)], objective=NextToken(), batch_size=3, seed=7)

    iterator = start()
    take(iterator, consumed)
    state = iterator.get_state()
    expected = take(iterator, 6)
    resumed = start()
    resumed.set_state(state)
    assert all(map(equal, take(resumed, 6), expected))


def test_hosts_that_share_a_batch_read_what_one_host_would():
    parts = [(Rows(9), 2.0), (Rows(8, first=500), 1.0)]

    def stream(rows):
        return take(mixture_batches(parts, objective=NextToken(), batch_size=5, seed=7, rows=rows), 4)

    whole, first, second = stream(None), stream([0, 1, 3]), stream([2, 4])
    for batch, one, other in zip(whole, first, second, strict=True):
        assert one.token_ids.tolist() == batch.token_ids[[0, 1, 3]].tolist()
        assert other.token_ids.tolist() == batch.token_ids[[2, 4]].tolist()


def test_hosts_that_share_held_out_rows_count_each_once():
    shares = [
        list(held_out_batches(Rows(7), objective=NextToken(), batch_size=4, rows=rows)) for rows in ([0, 1], [2, 3])
    ]
    seen = [
        int(row) for batches in shares for batch in batches for row in batch.token_ids[batch.document_ids.any(1), 0]
    ]
    assert sorted(seen) == [10 * number for number in range(7)]


def test_held_out_rows_come_once_and_fillers_are_not_counted():
    batches = list(held_out_batches(Rows(7), objective=NextToken(), batch_size=3, domain_id=2))
    assert [batch.token_ids.shape for batch in batches] == [(3, 5)] * 3
    real = [batch.document_ids.any(axis=1) for batch in batches]
    rows = np.concatenate([batch.token_ids[is_real, 0] for batch, is_real in zip(batches, real, strict=True)])
    assert rows.tolist() == [10 * number for number in range(7)]
    assert sum(int(batch.counted.sum()) for batch in batches) == 7 * 4
    assert all((batch.domain_ids == 2).all() for batch in batches)


def test_a_mixture_is_read_from_text():
    text = "gs://bucket/english:0.5, data/dna@train:2,/data/protein"
    assert parse_mixture(text) == [("gs://bucket/english", 0.5), ("data/dna@train", 2.0), ("/data/protein", 1.0)]
    assert parse_mixture("gs://bucket/english") == [("gs://bucket/english", 1.0)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected PATH:WEIGHT"),
        ("a:1,,b:1", "expected PATH:WEIGHT"),
        (":1", "expected PATH:WEIGHT"),
        ("a:half", "weight 'half' of 'a' is not a number"),
        ("a:-1,b:2", "weight -1 of 'a'.*0 or more"),
        ("a:nan", "weight nan of 'a'"),
        ("a:inf,b:1", "weight inf of 'a'"),
        ("a:0,b:0", "mixture is empty"),
        ("a:1,a:2", "names 'a' twice"),
    ],
)
def test_a_wrong_mixture_is_named(text, expected):
    with pytest.raises(InputError, match=expected):
        parse_mixture(text)


def test_parts_of_different_length_are_refused():
    parts = [(Rows(3, name="short"), 1.0), (Rows(3, length=6, name="long"), 1.0)]
    with pytest.raises(InputError, match="one length, got short 5, long 6"):
        mixture_batches(parts, objective=NextToken(), batch_size=2, seed=0)


def test_a_negative_weight_is_refused():
    with pytest.raises(InputError, match="weight -1"):
        mixture_batches([(Rows(3), -1.0), (Rows(3), 2.0)], objective=NextToken(), batch_size=2, seed=0)


@pytest.fixture
def packed_shards(tmp_path, write_shard, serialize):
    """Three shards of 41 rows of 5 tokens, each with its index, and the tokens of every row."""
    tokens = np.arange(123 * 5, dtype="<i4").reshape(123, 5)
    features = [{"token_ids": row.tobytes(), "document_ids": np.ones(5, "<i4").tobytes()} for row in tokens]
    records = [serialize(each) for each in features]
    paths = [write_shard(tmp_path / f"{shard}", records[41 * shard :][:41]) for shard in range(3)]
    for path in paths:
        write_index(path)
    return paths


def _source(paths):
    split = SimpleNamespace(name="packed")
    return PackedSource(split, TFRecordSource(paths), length=5, domain="dna", vocab_size=615)


@pytest.mark.parametrize("copied", [True, False])
def test_a_bucket_gives_the_batches_of_a_disk_by_many_requests_at_once(packed_shards, tmp_path, monkeypatch, copied):
    if not copied:
        monkeypatch.setattr(shard_files, "_FREE_FRACTION", 1.0)

    def read(paths):
        return take(mixture_batches([(_source(paths), 1.0)], objective=NextToken(), batch_size=13, seed=3), 20)

    with stand_in() as bucket:
        copy_folder(tmp_path, "gs://bucket/packed")
        bucket.requests.clear()
        bucket.latency = 0.01
        there = read([f"gs://bucket/packed/{shard}" for shard in range(3)])
        requests, most_at_once = bucket.requests["cat_file"], bucket.most_at_once
    assert all(map(equal, there, read(packed_shards)))
    if copied:
        assert requests == 3  # of 260 rows and more
    else:
        assert requests >= 260
        assert most_at_once > 12


def test_held_out_rows_of_a_bucket_are_those_of_a_disk(packed_shards, tmp_path):
    def read(paths):
        source = choose_in_equal_steps(_source(paths), most_rows=10)
        return list(held_out_batches(source, objective=NextToken(), batch_size=4))

    with stand_in():
        copy_folder(tmp_path, "gs://bucket/packed")
        there = read([f"gs://bucket/packed/{shard}" for shard in range(3)])
    here = read(packed_shards)
    assert all(map(equal, there, here))
    # 10 of 123 rows, the first and the last among them.
    assert np.concatenate([batch.row_ids for batch in here]).tolist() == [
        *[0, 13, 27, 40, 54, 67, 81, 94, 108, 122],
        *[-1, -1],
    ]
