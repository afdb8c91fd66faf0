import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.atomic_folder import clean_up_after_killed_runs, incomplete_folder, put_in_place
from lingjax.errors import InputError

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from data_prep.atomic_folder import incomplete_folder
with incomplete_folder(Path(sys.argv[1]), "held-1.0.0") as folder:
    (folder / "half").write_text("x")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that is writing dataset `held` in `tmp_path`."""
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_folder_in_place_is_complete_and_alone(tmp_path):
    with incomplete_folder(tmp_path, "a-1.0.0") as folder:
        (folder / "file").write_text("new")
        put_in_place(folder, tmp_path / "a" / "1.0.0")
    assert names(tmp_path) == ["a", "a/1.0.0", "a/1.0.0/file"]


def test_a_folder_not_put_in_place_vanishes(tmp_path):
    with incomplete_folder(tmp_path / "new" / "data", "a-1.0.0") as folder:
        (folder / "file").write_text("half")
    assert names(tmp_path) == ["new", "new/data"]


def test_a_killed_run_leaves_what_the_next_one_removes(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert names(tmp_path) == [".held-1.0.0.incomplete", ".held-1.0.0.incomplete/half"]
    with incomplete_folder(tmp_path, "other-1.0.0"):
        assert names(tmp_path) == [".other-1.0.0.incomplete"]


def test_a_living_run_is_left_alone(tmp_path, holder):
    with incomplete_folder(tmp_path, "other-1.0.0"):
        assert ".held-1.0.0.incomplete/half" in names(tmp_path)
    with (
        pytest.raises(InputError, match=r"another process is writing .*held-1.0.0.incomplete"),
        incomplete_folder(tmp_path, "held-1.0.0"),
    ):
        pass
    assert ".held-1.0.0.incomplete/half" in names(tmp_path)


def make(path):
    path.mkdir(parents=True)
    (path / "file").write_text("old")


def test_a_run_killed_between_its_two_renames_is_undone(tmp_path):
    (tmp_path / "a").mkdir()
    make(tmp_path / ".a-1.0.0.replaced")
    make(tmp_path / ".a-1.0.0.incomplete")
    clean_up_after_killed_runs(tmp_path)
    assert names(tmp_path) == ["a", "a/1.0.0", "a/1.0.0/file"]


def test_a_run_killed_after_its_renames_is_finished(tmp_path):
    make(tmp_path / "a" / "1.0.0")
    make(tmp_path / ".a-1.0.0.replaced")
    clean_up_after_killed_runs(tmp_path)
    assert names(tmp_path) == ["a", "a/1.0.0", "a/1.0.0/file"]


def test_hidden_folders_of_others_are_left_alone(tmp_path):
    make(tmp_path / ".cache")
    clean_up_after_killed_runs(tmp_path)
    assert names(tmp_path) == [".cache", ".cache/file"]
