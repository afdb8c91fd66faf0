import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from etils import epath

from benchmarks.slow_bucket import stand_in
from lingjax import workdir_lock
from lingjax.errors import InputError
from lingjax.workdir_lock import LOCK_NAME, hold

ROOT = Path(__file__).parents[1]
HOLDER = """
import sys, time
from lingjax.workdir_lock import hold
with hold(sys.argv[1]):
    print("held", flush=True)
    time.sleep(99)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "run"], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_is_first_and_a_killed_one_is_taken_over(holder, tmp_path):
    place = rf"another process writes there \(host {socket.gethostname()}, pid {holder.pid}, since 20..-..-..T..:..:"
    with pytest.raises(InputError, match=place), hold(tmp_path / "run"):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / LOCK_NAME).exists()
    with hold(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / LOCK_NAME).read_text())["pid"] == os.getpid()
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


def test_a_lock_is_one_of_the_process_too(tmp_path):
    with hold(tmp_path), pytest.raises(InputError, match="another process"), hold(tmp_path):
        pass
    with hold(tmp_path):
        pass


def test_a_folder_that_is_left_empty_is_removed_and_others_stay(tmp_path):
    with hold(tmp_path / "a"):
        assert (tmp_path / "a").is_dir()
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    with hold(tmp_path / "b"):
        pass
    assert (tmp_path / "b").is_dir()
    with hold(tmp_path / "c"):
        (tmp_path / "c" / "file").write_text("")
    assert (tmp_path / "c" / "file").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 5}'])
def test_what_a_killed_process_wrote_need_not_be_whole(tmp_path, content):
    (tmp_path / LOCK_NAME).write_text(content)
    with hold(tmp_path):
        pass


def test_a_lock_of_a_bucket_that_still_beats_is_respected(monkeypatch):
    with stand_in():
        folder = epath.Path("gs://bucket/run")
        folder.mkdir(parents=True)
        lock = folder / LOCK_NAME
        lock.write_text(json.dumps({"host": "far", "pid": 7, "since": "2026-01-01T00:00:00+00:00", "beats": 1}))

        def other_lives(seconds):
            lock.write_text(json.dumps({"host": "far", "pid": 7, "since": "2026-01-01T00:00:00+00:00", "beats": 2}))

        with pytest.raises(InputError, match="host far, pid 7, since 2026-01-01"), hold(folder, sleep=other_lives):
            pass
        waited = []
        with hold(folder, sleep=waited.append):
            assert json.loads(lock.read_text())["pid"] == os.getpid()
        assert waited == [75.0]
        assert not lock.exists()


def test_a_dead_process_of_this_host_is_not_waited_for():
    with stand_in():
        folder = epath.Path("gs://bucket/run")
        folder.mkdir(parents=True)
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        (folder / LOCK_NAME).write_text(json.dumps({"host": socket.gethostname(), "pid": gone.pid}))
        with hold(folder, sleep=lambda seconds: pytest.fail("waited")):
            pass


def test_a_lock_of_a_bucket_beats(monkeypatch):
    monkeypatch.setattr(workdir_lock, "_BEAT_SECONDS", 0.01)
    with stand_in():
        folder = epath.Path("gs://bucket/run")
        with hold(folder):
            lock = folder / LOCK_NAME
            while json.loads(lock.read_text())["beats"] < 3:
                pass
        assert not lock.exists()
