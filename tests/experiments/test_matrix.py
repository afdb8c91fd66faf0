import json

import pytest

from experiments.heatmap import draw_heatmap
from lingjax.reporting import read_report
from tests.experiments.conftest import run_command

TASKS = ("synthetic_english_pairs", "synthetic_dna_pairs")


@pytest.fixture(scope="module")
def flags(data, gpt2_folder):
    return [
        f"--tasks={','.join(f'{data}/{task}' for task in TASKS)}",
        f"--config.model.init={gpt2_folder}",
        "--config.train.max_length=64",
        "--config.train.steps=2",
        "--config.train.batch_size=4",
        "--config.bootstrap_replicates=20",
        "--config.control_seeds=0",
        "--config.trained_controls=",
        "--config.offline=true",
    ]


@pytest.fixture(scope="module")
def matrix(command, flags, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("matrix")
    return workdir, command("experiments.matrix", f"--workdir={workdir}", "--max_parallel=2", *flags)


def test_every_task_is_source_and_target_both_ways_and_of_itself(matrix):
    """English to DNA, and DNA to English, by one command."""
    workdir, _ = matrix
    described = json.loads((workdir / "matrix.json").read_text())
    assert described["tasks"] == [*TASKS]
    assert {(entry["source"], entry["target"]) for entry in described["entries"]} == {
        (source, target) for source in TASKS for target in TASKS
    }
    reports = [read_report(path) for path in workdir.glob("cells/*/reports/*.json")]
    for report in reports:
        assert report.source["split"].startswith("train")
        assert report.target["split"] == "test"
        (entry,) = (
            entry
            for entry in described["entries"]
            if (entry["source"], entry["target"]) == (report.source["dataset"], report.target["dataset"])
        )
        assert entry["auroc"] == report.summary["auroc"]["mean"]
        assert entry["above_best_control"] == report.verdict["above_best_control"]
    assert len(reports) == 4


def test_the_table_has_a_row_a_source_and_a_column_a_target(matrix):
    workdir, printed = matrix
    table = (workdir / "matrix.md").read_text()
    assert table in printed
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    assert head == ["source", "dev accuracy", "seeds", *TASKS, "warnings"]
    gap_head, _, *gap_rows = rows[2:]
    rows = rows[:2]
    assert gap_head == ["source", *TASKS]
    assert [row[0] for row in rows] == [row[0] for row in gap_rows] == [*TASKS]
    entries = json.loads((workdir / "matrix.json").read_text())["entries"]
    auroc = {(entry["source"], entry["target"]): entry["auroc"] for entry in entries}
    for entry in entries:
        source, target = entry["source"], entry["target"]
        assert entry["transfer_gap"] == auroc[source, source] - auroc[source, target]
        assert gap_rows[TASKS.index(source)][1 + TASKS.index(target)] == f"{entry['transfer_gap']:.3f}"
        assert rows[TASKS.index(source)][1] == f"{entry['source_dev_accuracy']:.3f}"
    assert "never by a figure of a target" in table
    assert all(any(f"{entry['auroc']:.3f} [" in cell for row in rows for cell in row) for entry in entries)
    assert "</svg>" in (workdir / "matrix.svg").read_text()


def test_a_source_that_fails_leaves_its_row_empty_and_is_named(flags, tmp_path):
    done = run_command("experiments.matrix", f"--workdir={tmp_path}", "--max_parallel=2", *flags, "--config.seeds=0")
    assert done.returncode == 1
    described = json.loads((tmp_path / "matrix.json").read_text())
    assert described["entries"] == []
    for task in TASKS:
        assert "--config.seeds=0 must be at least 1" in described["failed"][task]
        assert f"`{task}` failed: {described['failed'][task]}" in done.stdout


@pytest.mark.parametrize(
    ("tasks", "line"),
    [
        ("{data}/synthetic_dna_pairs", "two or more datasets"),
        ("{data}/synthetic_dna_pairs,{data}/synthetic_dna_pairs/1.0.0", "whose names differ"),
        ("{data}/synthetic_dna_pairs@test,{data}/synthetic_english_pairs", "names a split"),
        ("{data}/synthetic_dna_pairs,{data}/missing", "missing"),
    ],
)
def test_tasks_that_cannot_be_are_refused(refused, data, tmp_path, tasks, line):
    assert line in refused("experiments.matrix", f"--workdir={tmp_path}", f"--tasks={tasks.format(data=data)}")


def test_targets_of_its_own_are_refused(refused, flags, tmp_path):
    assert "name them in --tasks" in refused(
        "experiments.matrix", f"--workdir={tmp_path}", *flags, "--config.targets=elsewhere"
    )


def entry(auroc, *, above=False):
    return {"auroc": auroc, "above_best_control": above}


def test_a_heatmap_names_its_tasks_and_marks_what_beats_the_controls(tmp_path):
    by_pair = {("a", "a"): entry(0.91, above=True), ("a", "b"): entry(0.52), ("b", "a"): entry(None)}
    draw_heatmap(tmp_path / "one.svg", ["a", "b"], by_pair)
    drawn = (tmp_path / "one.svg").read_text()
    assert ">0.91 *<" in drawn and ">0.52<" in drawn
    draw_heatmap(tmp_path / "two.svg", ["a", "b"], by_pair)
    assert (tmp_path / "two.svg").read_text() == drawn
