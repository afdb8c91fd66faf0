from pathlib import Path

import pytest

from data_prep.sources import distinct_names, find_files, organism_names, place_names
from lingjax.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.tsv", "a.tsv", "c.csv", "odd[1].tsv", "sub/a.tsv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    return tmp_path


def names(folder, *patterns):
    return [str(path.relative_to(folder)) for path in find_files([f"{folder}/{pattern}" for pattern in patterns])]


def test_patterns_are_sorted_and_files_keep_their_place(folder):
    assert names(folder, "c.csv", "?.tsv") == ["c.csv", "a.tsv", "b.tsv"]
    assert names(folder, "**/a.tsv") == ["a.tsv", "sub/a.tsv"]


def test_a_file_with_brackets_in_its_name_is_a_file(folder):
    assert names(folder, "odd[1].tsv") == ["odd[1].tsv"]


def test_a_relative_pattern_is_resolved_where_the_command_runs(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert find_files(["?.tsv"]) == [Path("a.tsv"), Path("b.tsv")]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["*.json"], r"\*.json matches no file"),
        (["a.tsv", "d.tsv", "e.tsv"], r"d.tsv does not exist; .*e.tsv does not exist"),
        (["sub"], r"sub is a folder; name the files in it, for example '.*sub/\*.tsv'"),
        (["a.tsv", "*.tsv"], r"a.tsv is named more than once"),
    ],
)
def test_unusable_sources_are_named_together(folder, patterns, message):
    with pytest.raises(InputError, match=message):
        names(folder, *patterns)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/data/a.tsv"], ["a.tsv"]),
        (["/data/a.tsv.gz"], ["a.tsv"]),
        (["/data/x/a.tsv", "/data/y/b.tsv"], ["a.tsv", "b.tsv"]),
        (["/data/x/a.tsv", "/data/y/a.tsv"], ["x/a.tsv", "y/a.tsv"]),
        (["a.tsv", "a.tsv.gz"], ["a.tsv", "a.tsv.gz"]),
        (["/data/a.tsv", "/data/a.tsv.gz"], ["a.tsv", "a.tsv.gz"]),
    ],
)
def test_files_are_named_by_as_little_as_tells_them_apart(paths, expected):
    assert distinct_names([Path(path) for path in paths]) == expected


def test_places_are_named_without_white_space_and_apart():
    paths = [Path(name) for name in ("strain A.fna", "strain_A.fna", "strain  A.fna", "B.fna")]
    assert place_names(paths) == ["strain_A.fna", "strain_A.fna#2", "strain_A.fna#3", "B.fna"]


def test_organisms_of_two_files_have_two_names():
    paths = [Path(name) for name in ("one.fna", "one.fa", "two b.v1.fa.gz")]
    assert organism_names(paths) == ["one.fna", "one.fa", "two b.v1"]


def test_a_file_under_two_names_is_named_twice(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "link.tsv").symlink_to(folder / "a.tsv")
    for other in (str(folder / "a.tsv"), "sub/../a.tsv", "link.tsv"):
        with pytest.raises(InputError, match=r"a.tsv is named more than once"):
            find_files(["a.tsv", other])
