import math
import os

import pytest
from etils import epath

from lingjax.errors import InputError
from lingjax.files import are_newer, find_paths, read_json, write_json, write_text


def test_json_comes_back_as_it_was_written(tmp_path):
    value = {"b": [1, 2.5, None], "a": {"ä": "蛋白质"}}
    write_json(tmp_path / "new" / "folder" / "x.json", value)
    assert read_json(tmp_path / "new" / "folder" / "x.json") == value


def test_json_is_sorted_and_ends_with_a_newline(tmp_path):
    write_json(tmp_path / "x.json", {"b": 1, "a": "ä"})
    assert (tmp_path / "x.json").read_bytes() == '{\n  "a": "ä",\n  "b": 1\n}\n'.encode()


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_json_cannot_say_is_refused_and_the_old_file_stays(tmp_path, number):
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": number})
    assert read_json(tmp_path / "x.json") == {"a": 1}


def test_newlines_are_kept_as_they_are(tmp_path):
    write_text(tmp_path / "x.txt", "a\r\nb\n")
    assert (tmp_path / "x.txt").read_bytes() == b"a\r\nb\n"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(type(epath.Path(path)), "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]


def test_a_missing_file_is_an_input_error_that_names_it(tmp_path):
    with pytest.raises(InputError, match=r"x\.json: no such file"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("content", [b'{"a": ', b"\xff\xfe", b""])
def test_a_damaged_file_is_an_input_error_that_names_it(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json: not a JSON file"):
        read_json(tmp_path / "x.json")


def test_paths_are_found_below_a_folder_of_any_name(tmp_path):
    folder = tmp_path / "a[b]*?"
    for name in ("seed1/model.json", "seed0/model.json", "seed2/other.json", "x/seed3/model.json", "model.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "seed4").write_text("a file")
    found = [str(path.relative_to(folder)) for path in find_paths(folder, "seed*/model.json")]
    assert found == ["seed0/model.json", "seed1/model.json"]
    assert [path.name for path in find_paths(folder, "model.json")] == ["model.json"]
    assert [str(path.relative_to(folder)) for path in find_paths(folder, "*/seed*/*.json")] == ["x/seed3/model.json"]
    assert find_paths(folder / "absent", "*") == find_paths(folder, "absent/*") == []


def test_files_are_newer_than_what_they_are_made_from(tmp_path):
    made, source = tmp_path / "made", tmp_path / "source"
    source.write_text("a")
    assert not are_newer([made], than=[source])
    made.write_text("b")
    os.utime(source, (100, 100))
    for seconds, expected in ((99, False), (100, True), (101, True)):
        os.utime(made, (seconds, seconds))
        assert are_newer([made], than=[source]) == expected
    os.utime(source, (102, 102))
    assert not are_newer([made], than=[source])
