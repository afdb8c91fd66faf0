"""Arms of a sweep: differences that can be computed by hand from their predictions."""

import json

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from experiments import grid, outcomes
from experiments.jobs import CellOutcome
from lingjax.reporting import compare_runs, read_judged_run


def cell(folder, **varied):
    flags = {f"config.{key}": value for key, value in varied.items()}
    return CellOutcome(grid.Cell("transfer", folder, flags, (), {}), error="", seconds=1.0)


@pytest.fixture
def arms(tmp_path, make_run):
    """Two arms whose seeds have the same noise, and a third at another rate."""
    make_run(tmp_path / "plain", skill=1.5)
    make_run(tmp_path / "shuffled", skill=0.5)
    return [
        cell(tmp_path / "plain", init="plain", rate="1e-4"),
        cell(tmp_path / "shuffled", init="shuffled", rate="1e-4"),
        cell(tmp_path / "plain", init="other", rate="1e-5"),
    ]


def test_arms_differ_by_what_their_predictions_say(arms, tmp_path):
    table = outcomes.write_outcomes(tmp_path, arms, arms="config.init")
    described = json.loads((tmp_path / "sweep.json").read_text())
    assert described["arms"] == "config.init"
    (one,) = described["differences"]
    assert (one["rate"], one["first"], one["second"], one["target"]) == ("1e-4", "plain", "shuffled", "paws_de")

    # scikit-learn's AUROC of each seed, and Student's t over the three differences.
    runs = [read_judged_run(tmp_path / name / "reports" / "paws_de.json") for name in ("plain", "shuffled")]
    plain, shuffled = (np.array([roc_auc_score(run.labels, scores) for scores in run.scores]) for run in runs)
    differences = shuffled - plain
    assert one["auroc_difference"] == pytest.approx(differences.mean())
    low, high = stats.t.interval(0.95, 2, loc=differences.mean(), scale=stats.sem(differences))
    assert one["auroc_difference_ci95_over_both_low"] <= low + 1e-9
    assert one["auroc_difference_ci95_over_both_high"] >= high - 1e-9
    assert "shuffled - plain" in table
    assert f"{differences.mean():.3f} [" in table


def test_what_seeds_share_cancels(arms, tmp_path):
    first, second = (read_judged_run(tmp_path / name / "reports" / "paws_de.json") for name in ("plain", "shuffled"))
    # A seed that is good in one arm is good in the other: raise the third seed of both.
    for run, auroc in ((first, (0.7, 0.8, 0.9)), (second, (0.6, 0.7, 0.8))):
        for seed, value in zip(run.report.seeds, auroc, strict=True):
            seed["auroc"] = value
    paired, apart = (compare_runs(first, second, pair_seeds=pair).auroc for pair in (True, False))
    assert paired.value == apart.value == pytest.approx(-0.1)
    assert paired.over_items == apart.over_items
    widths = [one.over_both[1] - one.over_both[0] for one in (paired, apart)]
    # Differences of -0.1 each: nothing is left of the seeds, and the interval is that over items.
    assert widths[0] == pytest.approx(apart.over_items[1] - apart.over_items[0], rel=1e-6)
    assert widths[1] > 1.5 * widths[0]


def test_a_failed_arm_is_left_out(arms, tmp_path):
    import dataclasses

    failed = [arms[0], dataclasses.replace(arms[1], error="error: too bad")]
    outcomes.write_outcomes(tmp_path, failed, arms="config.init")
    assert json.loads((tmp_path / "sweep.json").read_text())["differences"] == []
