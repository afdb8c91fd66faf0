"""The audit's command from tables to exit code, JSON, page and cleaned tables."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.planted import clean, planted
from data_prep.audited_tables import read_audited
from data_prep.builders.pairs import build
from lingjax.errors import InputError


def write_table(path, rows, **columns):
    """Writes rows as JSON lines; returns the path as a flag has it."""
    lines = []
    for row in range(len(rows)):
        texts = {"sentence": rows.first[row]} if rows.second is None else {}
        if rows.second is not None:
            texts = {"sentence1": rows.first[row], "sentence2": rows.second[row]}
        more = {name: values[row] for name, values in columns.items()}
        lines.append(json.dumps(texts | {"label": int(rows.labels[row])} | more))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


ROOT = Path(__file__).parents[2]


@pytest.fixture
def run():
    """`run(*flags)`: the command's exit code, lines of stdout and stderr."""

    def go(*arguments):
        command, environment = (
            [sys.executable, "-m", "data_prep.audit", *arguments],
            {**os.environ, "PYTHONPATH": str(ROOT)},
        )
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
        return done.returncode, done.stdout.splitlines(), done.stderr

    return go


def test_a_finding_is_one_line_and_exit_1_if_asked_for(run, tmp_path):
    source = write_table(tmp_path / "a.jsonl", planted("a fixed prefix", rows=200, seed=0).rows)
    code, lines, _ = run(f"--source={source}", "--fail_on=shortcut", f"--out={tmp_path / 'out'}")
    assert code == 1
    assert all(line.startswith("source: shortcut: ") for line in lines)
    assert "'M' at position 1" in "".join(lines)
    held = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert held["tables"]["source"]["rows"] == 200
    assert len(held["tables"]["source"]["findings"]) == len(lines)
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "The label can be told from letters at fixed positions" in page


def test_without_fail_on_findings_are_printed_and_the_exit_code_is_0(run, tmp_path):
    rows = planted("conflicting labels", rows=40, seed=0).rows
    code, lines, _ = run(f"--source={write_table(tmp_path / 'a.jsonl', rows)}")
    assert code == 0
    assert lines[0].startswith("source: label: Rows whose pairs occur with both labels: 4.")


def test_a_target_is_audited_against_its_source_and_both_are_cleaned(run, tmp_path):
    tables = planted("homologs across splits", rows=200, seed=1)
    source = write_table(tmp_path / "train.jsonl", tables.training)
    target = write_table(tmp_path / "test.jsonl", tables.rows)
    flags = (f"--source={source}", f"--target={target}", f"--out={tmp_path}")
    code, lines, _ = run(*flags, "--clean=kept", "--fail_on=shortcut,leak,label")
    assert code == 1
    assert [line.split(":")[:2] for line in lines if "near-copy" in line] == [["target", " leak"]]
    dropped = json.loads((tmp_path / "audit.json").read_text())["tables"]["target"]["dropped"]
    left = (tmp_path / "kept.target.jsonl").read_text().splitlines()
    assert dropped["near copies of training rows"] > 0
    assert len(left) == 200 - sum(dropped.values())
    kept = [read_audited([str(tmp_path / f"kept.{name}.jsonl")], flag="--source") for name in ("source", "target")]
    assert [len(table.records) for (table,) in kept] == [200, len(left)]


@pytest.mark.exhaustive
def test_a_built_dataset_is_audited_split_by_split(run, tmp_path):
    rows = clean("DNA pairs", rows=60, one_in=2, seed=4).rows
    table = write_table(tmp_path / "a.jsonl", rows)
    build(data_dir=str(tmp_path), name="d", source=[table], splits=["train:0.6", "test:0.4"])
    code, lines, _ = run(f"--source={tmp_path / 'd'}", "--fail_on=shortcut,leak,label")
    assert code == 0
    assert [line.split(":")[0] for line in lines] == ["train", "test"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--source is missing"),
        (["--source=nothing.tsv"], "nothing.tsv does not exist"),
        (["--source=x.tsv", "--fail_on=leaks"], "--fail_on: 'leaks' is no kind of finding; did you mean"),
        (["--source=x.tsv", "--clean=x"], "--clean writes into the folder of --out"),
        (["--source=x.tsv", "--out=o", "--clean=a/b"], "give a name, not a path"),
    ],
)
def test_bad_flags_are_one_line(run, arguments, message):
    code, lines, error = run(*arguments)
    assert (code, lines, error.count("\n")) == (2, [], 1)
    assert message in error


# --- reading ----------------------------------------------------------------------------------------------------------


def test_single_texts_are_read_under_any_of_their_names(tmp_path):
    (tmp_path / "a.csv").write_text("sequence,label\nACGT,1\nGGCC,0\n")
    (table,) = read_audited([str(tmp_path / "a.csv")], flag="--source")
    assert table.text_columns == ("sentence",)
    assert [record["sentence"] for record in table.records] == ["ACGT", "GGCC"]
    assert table.ids is None


def test_single_texts_at_fault_are_named_together(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n,1\nGGCC,7\n")
    with pytest.raises(InputError, match=r"a.csv:2: text is empty; .*a.csv:3: label is '7', not 0 or 1"):
        read_audited([str(tmp_path / "a.csv")], flag="--source")


@pytest.mark.parametrize("column", ["source", "file", "filename"])
def test_a_column_of_files_is_a_source(tmp_path, column):
    rows = clean("DNA pairs", rows=20, one_in=2, seed=0).rows
    path = write_table(tmp_path / "a.jsonl", rows, **{column: list(np.where(rows.labels == 1, "x", "y"))})
    (table,) = read_audited([path], flag="--source")
    assert set(table.sources) == {"x", "y"}


def test_rows_of_several_files_have_these_as_sources_and_given_ids_stay(tmp_path):
    rows = clean("DNA pairs", rows=20, one_in=2, seed=0).rows
    paths = [write_table(tmp_path / f"{name}.jsonl", rows) for name in "ab"]
    (table,) = read_audited(paths, flag="--source")
    assert (set(table.sources), table.ids) == ({"a.jsonl", "b.jsonl"}, None)
    (named,) = read_audited([write_table(tmp_path / "c.jsonl", rows, id=list(range(20)))], flag="--source")
    assert (named.sources, named.ids[:2]) == (None, ["0", "1"])


def test_pairs_and_single_texts_are_not_audited_together(run, tmp_path):
    pairs = write_table(tmp_path / "a.jsonl", clean("DNA pairs", rows=20, one_in=2, seed=0).rows)
    single = write_table(tmp_path / "b.jsonl", clean("single DNA", rows=20, one_in=2, seed=0).rows)
    code, _, error = run(f"--source={pairs}", f"--target={single}")
    assert (code, error) == (2, "error: --source and --target: one has pairs of texts and the other single texts\n")
