import dataclasses
import json
import os

import pytest

from data_prep.engines import LocalEngine
from data_prep.parts import write_in_parts
from lingjax.data import TFRecordSource, fingerprint_records, open_split, parse_example
from lingjax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Job:
    """Parts are lists of (split, text); a text "bad" is a problem and "worse" ends the part."""

    kind: str = "corpus"

    def records(self, part, tally, advance):
        for split, text in part:
            advance(1)
            tally.add(split, "documents")
            if text == "bad":
                tally.add_problem("bad text")
            if text == "worse":
                raise InputError("worse text")
            yield split, {"document_id": text, "text": text}


class BackwardsEngine:
    """Does every part twice, the last one first, and keeps the second attempt, as Beam may."""

    def map(self, work, items, *, total, unit):
        results = {}
        for item in [*reversed(items), *reversed(items)]:
            results[item[0]] = work(item, lambda _: None)
        return [results[number] for number, _ in items]


PARTS = [
    [("train", "a"), ("test", "b"), ("train", "c")],
    [],
    [("train", "d"), ("train", "e")],
    [("test", "f"), ("train", "g")],
]


def write(data_dir, parts=PARTS, *, engine=None, finish=lambda tally: {"counts": tally.group("train")}, **arguments):
    return write_in_parts(
        data_dir,
        "small",
        Job(),
        parts,
        engine=engine or LocalEngine(),
        total=7,
        unit=" texts",
        splits=["train", "test"],
        finish=finish,
        description="A test.",
        request={"dataset": "test"},
        **arguments,
    )


def texts(folder, split):
    source = TFRecordSource(open_split(f"{folder}@{split}", default=()).shard_paths())
    return [parse_example(record)["text"][0].decode() for record in source]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_records_follow_the_order_of_parts(tmp_path):
    folder = write(tmp_path)
    assert (texts(folder, "train"), texts(folder, "test")) == (["a", "c", "d", "e", "g"], ["b", "f"])
    assert json.loads((folder / "lingjax.json").read_text())["counts"] == {"documents": 5}
    train = open_split(f"{folder}@train", default=())
    assert train.fingerprint == fingerprint_records(TFRecordSource(train.shard_paths()))


def test_a_shard_belongs_to_one_part_and_closes_at_its_size(tmp_path):
    def rows(folder):
        return [len(TFRecordSource([path])) for path in open_split(f"{folder}@train", default=()).shard_paths()]

    assert rows(write(tmp_path)) == [2, 2, 1]
    assert rows(write(tmp_path, shard_bytes=1, overwrite=True)) == [1, 1, 1, 1, 1]


def test_neither_the_order_of_work_nor_a_second_attempt_changes_a_byte(tmp_path):
    folders = [write(tmp_path / "a"), write(tmp_path / "b", engine=BackwardsEngine())]
    assert contents(folders[0]) == contents(folders[1])
    assert sorted(os.listdir(tmp_path / "b")) == ["small"]  # noqa: PTH208 - hidden ones too


def test_problems_of_all_parts_are_reported_together_and_nothing_is_written(tmp_path):
    parts = [[("train", "bad")], [("train", "worse")], [("train", "bad")], [("test", "fine")]]
    with pytest.raises(InputError) as caught:
        write(tmp_path, parts)
    assert str(caught.value) == "small cannot be built: bad text; worse text; bad text"
    assert list(tmp_path.iterdir()) == []


def test_what_the_counts_forbid_is_not_written(tmp_path):
    def refuse(tally):
        raise InputError(f"too many: {tally.group('test')['documents']}")

    with pytest.raises(InputError, match="too many: 2"):
        write(tmp_path, finish=refuse)
    assert list(tmp_path.iterdir()) == []
