import dataclasses
import os

import pytest
from absl import flags

from benchmarks.work import Work, define_flags, flag
from lingjax.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task(Work):
    """What a test of its own asks for."""

    task_source: str = flag("Needed.")
    task_pairs: int = flag("At least 2.", 5, least=2)
    task_scan: bool | None = flag("Left open.", None, kind=bool)
    folder: str = "made later"


@pytest.fixture
def given():
    """Returns a function: the work of flags that are given as texts."""
    among = flags.FlagValues()
    read = define_flags(Task, among=among)

    def give(**values: str) -> Task:
        among(["program", *(f"--{name}={value}" for name, value in values.items())])
        return read()

    return give


def test_fields_are_flags_with_their_defaults(given):
    work = given(task_source="a/b")
    assert (work.task_source, work.task_pairs, work.task_scan, work.folder) == ("a/b", 5, None, "made later")
    assert work.threads == len(os.sched_getaffinity(0))


def test_a_value_that_is_given_is_taken(given):
    work = given(task_source="a", task_pairs="7", task_scan="false", dtype="bfloat16", threads="1")
    assert (work.task_pairs, work.task_scan, work.dtype, work.threads) == (7, False, "bfloat16", 1)


def test_a_value_outside_its_bounds_is_refused(given):
    with pytest.raises(flags.IllegalFlagValueError, match="1 is not integer >= 2"):
        given(task_source="a", task_pairs="1")


def test_more_threads_than_cores_are_refused(given):
    with pytest.raises(InputError, match="exceeds the"):
        given(task_source="a", threads="10000")


def test_what_is_no_flag_stays_one_of_the_dataclass(given):
    with pytest.raises(flags.UnrecognizedFlagError, match="folder"):
        given(task_source="a", folder="b")
