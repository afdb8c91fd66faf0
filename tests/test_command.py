"""How commands start and fail: a small one made here, and the beginning of every shipped one."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("experiments", "data_prep")
    for path in (ROOT / folder).glob("*.py")
    if 'if __name__ == "__main__":' in path.read_text()
)

EXAMPLE = """
import os
import pathlib
import signal

from absl import flags

from lingjax import command
from lingjax.errors import InputError

_ROWS = flags.DEFINE_integer("rows", 1, "How many.")
_OUT = flags.DEFINE_string("out", None, "Where.", required=True)


def complete(arguments):
    if "--forbidden" in arguments:
        raise InputError("--forbidden is\\nnot for you")
    return [argument.replace("--short", "--rows=") for argument in arguments]


def main(arguments):
    if _ROWS.value == 0:
        raise InputError("rows=0\\nis too few")
    if _ROWS.value < 0:
        raise ZeroDivisionError("a bug")
    if _ROWS.value == 99:
        os.kill(os.getpid(), signal.SIGINT)
    if _ROWS.value == 50:
        pathlib.Path(_OUT.value).mkdir(parents=True)
        return
    if _ROWS.value == 51:
        pathlib.Path(_OUT.value).write_text("x" * 9999)
        return
    print(_OUT.value, _ROWS.value, *arguments)


command.run(main, positional={positional}, complete=complete)
"""


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    path = tmp_path_factory.mktemp("command") / "example.py"
    path.write_text(EXAMPLE.format(positional=False))
    return path


def test_flags_are_parsed_before_main(example):
    done = run(example, "--out=x", "--rows=3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "x 3\n", "")


def test_arguments_are_completed_before_they_are_parsed(example):
    assert run(example, "--out=x", "--short7").stdout == "x 7\n"


def test_positional_arguments_reach_a_command_that_takes_them(tmp_path):
    path = tmp_path / "example.py"
    path.write_text(EXAMPLE.format(positional=True))
    assert run(path, "--out=x", "a", "b").stdout == "x 1 a b\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out=x", "--rwos=3"], "Unknown command line flag 'rwos'. Did you mean: rows ?"),
        (["--out=x", "--rows=many"], "flag --rows=many: invalid literal for int() with base 10: 'many'"),
        (["--rows=3"], "--out is missing: set --out=VALUE; --help says what it is"),
        (["--out=x", "a"], "this command takes no positional argument, got 'a'; flags start with --"),
        (["--out=x", "--rows=0"], "rows=0 is too few"),
        (["--forbidden"], "--forbidden is not for you"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(example, arguments, message):
    done = run(example, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")


def test_the_traceback_flag_shows_where_an_input_error_came_from(example):
    done = run(example, "--out=x", "--rows=0", "--traceback")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_bug_keeps_its_traceback(example):
    done = run(example, "--out=x", "--rows=-1")
    assert done.returncode == 1
    assert "ZeroDivisionError: a bug" in done.stderr


def test_an_interrupt_is_one_line_and_exit_130(example):
    done = run(example, "--out=x", "--rows=99")
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_what_the_system_refuses_is_one_line_with_the_path(example, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    long = tmp_path / ("x" * 300)
    cases = [
        ("50", file, f"{file}: File exists"),
        ("50", file / "below", f"{file}/below: Not a directory"),
        ("51", tmp_path, f"{tmp_path}: Is a directory"),
        ("51", loop, f"{loop}: Too many levels of symbolic links"),
        ("51", long, f"{long}: File name too long"),
    ]
    for rows, path, message in cases:
        done = run(example, f"--out={path}", f"--rows={rows}")
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")


def test_the_traceback_flag_shows_where_the_system_refused(example, tmp_path):
    done = run(example, f"--out={tmp_path}", "--rows=51", "--traceback")
    assert done.returncode == 1
    assert "IsADirectoryError" in done.stderr


def test_an_error_without_a_path_keeps_its_own_text():
    from lingjax.command import _describe_os_error

    assert _describe_os_error(OSError("bucket says no")) == "bucket says no"
    assert _describe_os_error(PermissionError(13, "Permission denied", b"/a")) == "/a: Permission denied"
    assert _describe_os_error(OSError(30, "Read-only file system", Path("/a"))) == "/a: Read-only file system"
    assert _describe_os_error(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize(
    ("stdout", "reason"),
    [
        ("> /dev/full", "No space left on device"),
        (">&-", "Bad file descriptor"),
        ("| true", "Broken pipe"),
    ],
)
def test_an_output_that_takes_nothing_is_one_line(example, stdout, reason):
    line = f"set -o pipefail; (sleep 0.3; exec {sys.executable} {example} --out=x) {stdout}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (2, f"error: stdout: {reason}\n")


@pytest.mark.parametrize("flag", ["--help", "-h", "--helpshort", "-help"])
def test_help_goes_to_stdout_with_exit_0(example, flag):
    done = run(example, flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--out: Where." in done.stdout


def test_there_are_commands():
    assert {"data_prep.build", "experiments.transfer"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_shipped_command_is_quick(name):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run("-m", name, "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.returncode, done.stderr) == (0, "")
    # Processor time, not the clock's: it does not depend on what else the machine does.
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 2


@pytest.mark.parametrize("name", COMMANDS)
def test_a_shipped_command_refuses_an_unknown_flag_in_one_line(name):
    done = run("-m", name, "--no_such_flag=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: Unknown command line flag 'no_such_flag'")
    assert done.stderr.count("\n") == 1
