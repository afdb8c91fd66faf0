import csv
import dataclasses
import json

import pytest

from experiments import grid, outcomes
from experiments.jobs import CellOutcome
from lingjax.reporting import read_report
from lingjax.training.run_folder import write_result
from tests.experiments.conftest import run_command


@pytest.fixture(scope="module")
def flags(data, gpt2_folder):
    """Two fine-tunings, of which one asks for no seed."""
    return [
        "--experiment=finetune",
        "--vary=config.seeds=1,0",
        f"--config.model.init={gpt2_folder}",
        f"--config.source={data}/synthetic_english_pairs",
        "--config.train.max_length=32",
        "--config.train.steps=2",
        "--config.offline=true",
    ]


@pytest.fixture(scope="module")
def swept(flags, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("sweep")
    return workdir, run_command("experiments.sweep", f"--workdir={workdir}", "--max_parallel=2", *flags)


def test_a_sweep_tabulates_its_cells_and_says_which_failed_and_why(swept):
    workdir, done = swept
    assert done.returncode == 1
    good, bad = json.loads((workdir / "sweep.json").read_text())["cells"]
    assert (good["error"], good["varied"]) == ("", {"config.seeds": "1"})
    assert good["results"][0].keys() == {"seed", "best_step", "dev_loss", "dev_accuracy"}
    assert "--config.seeds=0 must be at least 1" in bad["error"]
    assert (workdir / "sweep.md").read_text() in done.stdout
    assert f"`seeds=0` failed: {bad['error']}" in done.stdout


def test_a_cell_can_be_made_again_by_its_printed_command(swept):
    workdir, _ = swept
    good = json.loads((workdir / "sweep.json").read_text())["cells"][0]
    folder = workdir / "cells" / "seeds=1"
    before = (folder / "result.json").stat().st_mtime_ns
    done = run_command(*good["command"].split()[2:])
    assert done.returncode == 0, done.stderr[-2000:]
    assert (folder / "result.json").stat().st_mtime_ns == before
    assert f"{good['results'][0]['dev_accuracy']:.4f}" in done.stdout


def test_other_settings_are_refused_in_the_same_folder(swept, flags, refused):
    line = refused("experiments.sweep", f"--workdir={swept[0]}", *flags, "--config.train.batch_size=3")
    assert "train.batch_size 20 -> 3" in line


def outcome_of(folder, experiment, **varied):
    flags = {f"config.{key}": value for key, value in varied.items()}
    return CellOutcome(grid.Cell(experiment, folder, flags, (), {}), error="", seconds=1.5)


def read_rows(workdir):
    return [*csv.DictReader((workdir / "sweep.csv").read_text().splitlines())]


def test_a_transfers_rows_are_its_targets_with_figures_from_the_reports(transferred, tmp_path):
    failed = dataclasses.replace(outcome_of(tmp_path / "seed=1", "transfer", seed="1"), error="error: too bad")
    table = outcomes.write_outcomes(tmp_path, [outcome_of(transferred[0], "transfer", seed="0"), failed])
    rows = read_rows(tmp_path)
    assert [(row["seed"], row["target"]) for row in rows] == [
        ("0", "synthetic_dna_pairs"),
        ("0", "synthetic_dna_protein_pairs"),
        ("1", ""),
    ]
    for row in rows[:2]:
        report = read_report(transferred[0] / "reports" / f"{row['target']}.json")
        for figure in ("accuracy", "auroc"):
            summary = report.summary[figure]
            low, high = summary["ci95_over_items"]
            ends = (row[figure], row[f"{figure}_ci95_low"], row[f"{figure}_ci95_high"])
            assert tuple(map(float, ends)) == (summary["mean"], low, high)
            assert f"{summary['mean']:.3f} [{low:.3f}, {high:.3f}]" in table
        assert row["above_best_control"] == str(report.verdict["above_best_control"])
        assert (row["seeds"], row["warnings"]) == (str(len(report.seeds)), str(len(report.verdict["warnings"])))
        by_seed = report.source["dev"]["accuracy"].values()
        assert float(row["source_dev_accuracy"]) == pytest.approx(sum(by_seed) / len(by_seed))
    assert "error: too bad" in table
    assert "never by a figure of a target" in table


def test_a_fine_tunings_rows_are_its_seeds(transferred, tmp_path):
    outcomes.write_outcomes(tmp_path, [outcome_of(transferred[0], "finetune")])
    rows = read_rows(tmp_path)
    assert [row["seed"] for row in rows] == ["0", "1"]


def test_a_pretrainings_row_has_the_last_loss_of_each_domain(tmp_path):
    history = [{"step": step, "dna_loss": loss, "dna_bits_per_character": 2.0} for step, loss in ((5, 3.0), (9, 1.5))]
    write_result(tmp_path / "lm", {"total_steps": 9, "best_step": 9, "history": history})
    outcomes.write_outcomes(tmp_path, [outcome_of(tmp_path / "lm", "pretrain", **{"model.size": "tiny"})])
    (row,) = read_rows(tmp_path)
    assert row == {"model.size": "tiny", "step": "9", "dna_bits_per_character": "2.0", "dna_loss": "1.5"}


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            ["--vary=config.seed=0,1", "--arms=config.sed"],
            "--arms=config.sed does not vary, did you mean 'config.seed'",
        ),
        (["--vary=config.seed=0,1", "--arms=config.seed", "--experiment=finetune"], "only transfers are compared"),
    ],
)
def test_arms_that_the_grid_lacks_are_refused(refused, tmp_path, flags, line):
    assert line in refused("experiments.sweep", f"--workdir={tmp_path}", *flags)
