"""Places that refuse to be written to, and workdirs that another process uses: one line, exit 2, nothing lost."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lingjax.workdir_lock import hold
from tests.experiments.conftest import ROOT, _environment


@pytest.fixture
def writers(transfer_flags, pretraining_flags, transferred, data, tokenizer):
    """Every command that writes, by name, as a function of the place."""
    workdir, _ = transferred
    return {
        "pretrain": lambda place: ["experiments.pretrain", f"--workdir={place}", *pretraining_flags],
        "transfer": lambda place: ["experiments.transfer", f"--workdir={place}", *transfer_flags],
        "finetune": lambda place: [
            "experiments.finetune",
            f"--workdir={place}",
            *(
                flag
                for flag in transfer_flags
                if not flag.startswith(("--config.targets", "--config.trained_controls", "--config.boot"))
            ),
        ],
        "evaluate": lambda place: [
            "experiments.evaluate",
            f"--checkpoint={workdir}",
            f"--targets={data}/synthetic_dna_pairs",
            f"--out={place}",
        ],
        "export": lambda place: ["experiments.export", f"--checkpoint={workdir}/seed0", f"--out={place}"],
        "tabulate": lambda place: [
            "experiments.tabulate",
            f"{workdir}/reports/synthetic_dna_pairs.json",
            f"--out={place}/table.md",
        ],
        "build": lambda place: ["data_prep.build", "--dataset=synthetic", "--scale=0.01", f"--data_dir={place}"],
        "train_tokenizer": lambda place: [
            "data_prep.train_tokenizer",
            "--kind=bpe",
            "--vocab_size=300",
            f"--corpora={data}/synthetic_dna:1",
            f"--out={place}",
        ],
        "pack": lambda place: [
            "data_prep.pack",
            f"--corpus={data}/synthetic_dna",
            f"--tokenizer={tokenizer}",
            "--length=16",
            f"--data_dir={place}",
            "--name=packed_here",
        ],
    }


LOCKING = ("pretrain", "transfer", "finetune", "evaluate")
WRITING = (*LOCKING, "export", "tabulate", "build", "train_tokenizer", "pack")


@pytest.mark.parametrize("name", LOCKING)
def test_a_workdir_that_another_process_uses_is_refused(refused, writers, tmp_path, name):
    with hold(tmp_path / "run"):
        line = refused(*writers[name](tmp_path / "run"))
        assert f"{tmp_path}/run: another process writes there" in line
        assert f"pid {os.getpid()}" in line
        assert {path.name for path in (tmp_path / "run").iterdir()} == {".lock"}


def _a_file(folder: Path) -> Path:
    (folder / "file").write_text("mine")
    return folder / "file"


def _below_a_file(folder: Path) -> Path:
    return _a_file(folder) / "below"


def _a_dangling_link(folder: Path) -> Path:
    (folder / "dangling").symlink_to(folder / "nowhere" / "nothing")
    return folder / "dangling"


def _a_loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop" / "below"


def _a_long_name(folder: Path) -> Path:
    return folder / ("x" * 256)


PLACES = (_a_file, _below_a_file, _a_dangling_link, _a_loop, _a_long_name)


def refuses(prepared, arguments, place):
    done = prepared.run(*arguments)
    lines = [line for line in done.stderr.splitlines() if "Traceback" in line or line.startswith("error: ")]
    assert (done.returncode, len(lines)) == (2, 1), (done.returncode, done.stdout[-300:], done.stderr[-1500:])
    assert lines[0].startswith("error: ") and place.name in lines[0], lines


@pytest.mark.parametrize("name", ["pretrain", "evaluate", "export", "build"])
def test_a_place_that_is_none_is_one_line(prepared, writers, tmp_path, name):
    place = _below_a_file(tmp_path)
    refuses(prepared, writers[name](place), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("make", PLACES)
def test_every_place_that_is_none_is_one_line(prepared, writers, tmp_path, name, make):
    place = make(tmp_path)
    named = {"_below_a_file": place.parent, "_a_loop": place.parent}.get(make.__name__, place)
    before = sorted(tmp_path.iterdir())
    refuses(prepared, writers[name](place), named)
    assert sorted(tmp_path.iterdir()) == before


def run_with_room_for(kilobytes, arguments):
    """Runs a command none of whose files may grow beyond a size: what it meets is a disk without room."""
    line = f"ulimit -f {kilobytes}; exec {shlex.join([sys.executable, '-m', *map(str, arguments)])}"
    return subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False, timeout=600
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("name", "kilobytes"),
    [
        ("pretrain", 64),
        ("pretrain", 8),
        ("transfer", 64),
        ("evaluate", 4),
        ("export", 64),
        ("tabulate", 0),
        ("build", 8),
        ("train_tokenizer", 4),
        ("pack", 8),
    ],
)
def test_no_room_is_one_line_and_with_room_the_same_command_ends(prepared, writers, tmp_path, name, kilobytes):
    place = tmp_path / "place"
    place.mkdir()
    done = run_with_room_for(kilobytes, writers[name](place))
    lines = [line for line in done.stderr.splitlines() if "Traceback" in line or line.startswith("error: ")]
    assert (done.returncode, len(lines)) == (2, 1), (done.returncode, done.stderr[-3000:])
    if name == "export":
        place.rmdir()
    assert prepared.run(*writers[name](place)).returncode == 0
