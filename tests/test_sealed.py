import json
import subprocess

import pytest

from lingjax.errors import InputError
from lingjax.sealed import (
    SUMS_NAME,
    check_sums,
    digest,
    read_sealed,
    read_sealed_lines,
    sealed,
    sealed_line,
    write_sealed,
    write_sums,
)


def test_any_change_of_a_sealed_object_is_refused(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, {"rows": 12, "name": "ü", "parts": [1.5, None, {"deep": True}]})
    assert read_sealed(path) == {"rows": 12, "name": "ü", "parts": [1.5, None, {"deep": True}]}
    text = path.read_text()
    for old, new in (("12", "13"), ("1.5", "1.6"), ("true", "false"), ("null", "0"), ('"rows"', '"row"'), ("ü", "u")):
        path.write_text(text.replace(old, new))
        with pytest.raises(InputError, match=rf"{path}: is damaged or was changed"):
            read_sealed(path)


def test_an_object_without_seal_is_read_with_one_warning(tmp_path, caplog):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert [read_sealed(path), read_sealed(path)] == [{"a": 1}] * 2
    assert len(caplog.messages) == 1 and str(path) in caplog.messages[0]


def test_a_seal_of_a_seal_is_that_of_the_rest():
    once = sealed({"a": 1})
    assert sealed({"a": 1}) == once and set(once) == {"a", "content_sha256"}


def test_a_digest_is_of_what_is_read_back():
    value = {10: "a", 9: (1, float("nan")), "x": None}
    assert digest(value) == digest(json.loads(json.dumps(value)))
    assert digest({"a": 1}) != digest({"a": 1.0}) != digest({"a": True})


def write_lines(path, count):
    before, lines = 0, []
    for step in range(count):
        line, before = sealed_line({"step": step, "text": "a\u2028ü"}, before)
        lines.append(line)
    path.write_text("".join(lines))
    return lines


def test_lines_come_back_without_checksums(tmp_path):
    write_lines(tmp_path / "log", 3)
    assert read_sealed_lines(tmp_path / "log") == [{"step": step, "text": "a\u2028ü"} for step in range(3)]


@pytest.mark.parametrize("kept", [[1, 2], [0, 2], [0, 0, 1, 2], [0, 2, 1], [0, 1, 1]])
def test_lines_that_are_lost_repeated_or_moved_are_named(tmp_path, kept):
    path = tmp_path / "log"
    lines = write_lines(path, 3)
    path.write_text("".join(lines[number] for number in kept))
    with pytest.raises(InputError, match=rf"{path}: line \d is not what was written there"):
        read_sealed_lines(path)


def test_a_changed_line_is_named(tmp_path):
    path = tmp_path / "log"
    lines = write_lines(path, 3)
    path.write_text("".join([lines[0], lines[1].replace('"step": 1', '"step": 7'), lines[2]]))
    with pytest.raises(InputError, match=rf"{path}: line 2 is not what was written there"):
        read_sealed_lines(path)


def test_lines_of_older_versions_are_read_with_a_warning_and_not_mixed(tmp_path, caplog):
    path = tmp_path / "log"
    lines = write_lines(path, 1)
    path.write_text('{"step": 1}\n{"step": 2}\n')
    assert read_sealed_lines(path) == [{"step": 1}, {"step": 2}]
    assert len(caplog.messages) == 1
    path.write_text(lines[0] + '{"step": 2}\n')
    with pytest.raises(InputError, match="line 2"):
        read_sealed_lines(path)


def test_a_line_that_was_cut_off_is_told(tmp_path, caplog):
    path = tmp_path / "log"
    lines = write_lines(path, 2)
    path.write_text(lines[0] + lines[1][:9])
    assert [line["step"] for line in read_sealed_lines(path, may_be_cut=True)] == [0]
    assert "cut off" in caplog.text
    with pytest.raises(InputError, match="line 2 is not JSON"):
        read_sealed_lines(path)


@pytest.fixture
def folder(tmp_path):
    for name in ("a.json", "b ü.txt", "c.bin"):
        (tmp_path / name).write_text(json.dumps(name))
    write_sums(tmp_path, ["b ü.txt", "a.json"])
    return tmp_path


def test_sums_are_those_of_sha256sum(folder):
    done = subprocess.run(["sha256sum", "-c", SUMS_NAME], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count(": OK")) == (0, 2)


def test_sound_files_and_those_that_are_not_there_pass(folder, tmp_path):
    check_sums(folder, ["a.json", "b ü.txt", "absent.json"])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "a.json").write_text("other"), "a.json: is not what was written"),
        (lambda folder: (folder / "a.json").unlink(), "a.json: is missing"),
        (lambda folder: (folder / SUMS_NAME).write_text(""), f"{SUMS_NAME}: is damaged"),
        (lambda folder: (folder / SUMS_NAME).write_text("zz  a.json\n"), f"{SUMS_NAME}: is damaged"),
        (lambda folder: (folder / SUMS_NAME).write_text(f"{'0' * 64}  ../a.json\n"), f"{SUMS_NAME}: is damaged"),
        (lambda folder: (folder / SUMS_NAME).write_bytes(b"\xff"), f"{SUMS_NAME}: cannot be read"),
    ],
)
def test_damage_is_named(folder, damage, says):
    check_sums(folder, ["a.json"])
    damage(folder)
    with pytest.raises(InputError, match=says.replace(".", r"\.")):
        check_sums(folder, ["a.json"])


def test_a_file_that_is_not_listed_is_refused(folder):
    with pytest.raises(InputError, match=r"c\.bin: is not listed"):
        check_sums(folder, ["c.bin"])


def test_a_folder_without_sums_is_anyones(folder):
    (folder / SUMS_NAME).unlink()
    (folder / "a.json").write_text("other")
    check_sums(folder, ["a.json", "c.bin"])
