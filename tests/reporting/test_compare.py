import csv
import dataclasses
import io
import json

import numpy as np
import pytest
from scipy import stats

from lingjax.errors import InputError
from lingjax.evaluation import auroc
from lingjax.reporting import (
    compare_runs,
    comparison_records,
    comparison_rows,
    match_reports,
    read_judged_run,
    read_report,
    report_paths,
    write_comparison,
    write_report,
)
from lingjax.reporting.compare import difference_interval


@pytest.fixture(scope="module")
def runs(make_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    weak = make_run(folder / "weak", skill=0.7)
    strong = make_run(folder / "strong", skill=1.5, seeds=2)
    return read_judged_run(weak), read_judged_run(strong)


@pytest.fixture(scope="module")
def comparison(runs):
    return compare_runs(*runs)


def test_differences_are_second_minus_first(runs, comparison):
    weak, strong = (run.report.summary for run in runs)
    assert comparison.auroc.value == strong["auroc"]["mean"] - weak["auroc"]["mean"] > 0
    assert comparison.accuracy.value == strong["accuracy"]["mean"] - weak["accuracy"]["mean"]


def test_intervals_are_those_of_resampled_pairs(runs, comparison):
    weak = runs[0]
    rng = np.random.default_rng(1)
    aurocs, accuracies = [], []
    for _ in range(600):
        rows = rng.integers(0, weak.labels.size, weak.labels.size)
        labels = weak.labels[rows]
        means = [
            (
                np.mean([auroc(labels, scores[rows]) for scores in run.scores]),
                np.mean((run.scores[:, rows] > 0.5) == labels),
            )
            for run in runs
        ]
        aurocs.append(means[1][0] - means[0][0])
        accuracies.append(means[1][1] - means[0][1])
    # Two bootstraps of 600 and 1,000 resamples differ by chance.
    np.testing.assert_allclose(comparison.auroc.over_items, np.quantile(aurocs, [0.025, 0.975]), atol=0.01)
    np.testing.assert_allclose(comparison.accuracy.over_items, np.quantile(accuracies, [0.025, 0.975]), atol=0.01)


def test_pairing_narrows_the_interval(runs, comparison):
    widths = [np.subtract(*run.report.summary["accuracy"]["ci95_over_items"][::-1]) for run in runs]
    low, high = comparison.accuracy.over_items
    assert high - low < 0.8 * np.hypot(*widths)


def test_accuracy_interval_of_one_seed_agrees_with_student_s_t(make_run, tmp_path):
    first, second = (
        read_judged_run(make_run(tmp_path / name, skill=skill, seeds=1, rows=1009))
        for name, skill in (("a", 0.5), ("b", 1.0))
    )
    right = [(run.scores[0] > 0.5) == run.labels for run in (first, second)]
    student = stats.ttest_1samp(right[1].astype(float) - right[0], 0).confidence_interval(0.95)
    np.testing.assert_allclose(compare_runs(first, second).accuracy.over_items, student, atol=0.004)


def test_interval_over_both_covers_the_truth():
    """In 2,000 simulations: 3 seeds against 5, items that move the difference about as much as the seeds do."""
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(2000):
        items = rng.normal(0, 0.02)
        first, second = rng.normal(0.6, 0.03, 3), rng.normal(0.7, 0.05, 5) + items
        value = second.mean() - first.mean()
        over_items = (value - 1.96 * 0.02, value + 1.96 * 0.02)
        low, high = difference_interval(first, second, over_items=over_items)
        covered.append(low < 0.1 < high)
    assert 0.93 < np.mean(covered) < 0.97


def test_interval_over_both_is_welch_s_where_items_do_not_matter():
    first, second = [0.61, 0.65, 0.7], [0.72, 0.9, 0.81, 0.74]
    welch = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    value = np.mean(second) - np.mean(first)
    np.testing.assert_allclose(difference_interval(first, second, over_items=(value, value)), welch)


def test_over_both_is_wider_and_needs_two_seeds_of_each(runs, comparison, make_run, tmp_path):
    for difference in (comparison.auroc, comparison.accuracy):
        assert difference.over_both[0] < difference.over_items[0] < difference.over_items[1] < difference.over_both[1]
    single = read_judged_run(make_run(tmp_path / "single", seeds=1))
    alone = compare_runs(runs[0], single)
    assert alone.auroc.over_items
    assert alone.auroc.over_both is alone.accuracy.over_both is None
    (row,) = comparison_rows([alone])
    assert row.auroc_over_both == "–"


def test_a_run_does_not_differ_from_itself(runs):
    same = compare_runs(runs[0], runs[0])
    assert (same.auroc.value, same.auroc.over_items) == (0, (0, 0))
    assert (same.accuracy.value, same.accuracy.over_items) == (0, (0, 0))


def test_a_target_of_one_class_has_no_difference_of_auroc(make_run, tmp_path):
    run = read_judged_run(make_run(tmp_path / "a", rows=1, seeds=1))
    assert compare_runs(run, run).auroc.value is compare_runs(run, run).auroc.over_items is None
    (row,) = comparison_rows([compare_runs(run, run)])
    assert row.auroc_difference == "–"


def test_log_loss_and_mcnemar_are_those_of_the_rows(runs, comparison):
    labels = runs[0].labels
    losses = [-np.log(np.where(labels == 1, run.scores, 1 - run.scores)).mean(axis=0) for run in runs]
    more = losses[1] - losses[0]
    assert comparison.log_loss.value == pytest.approx(more.mean())
    expected = stats.t.interval(0.95, more.size - 1, more.mean(), stats.sem(more))
    assert comparison.log_loss.over_items == pytest.approx(expected)
    low, high = comparison.log_loss.over_both
    assert low <= expected[0] and high >= expected[1]
    right = [((run.scores > 0.5) == labels).mean(axis=0) for run in runs]
    better, worse = ((one - other > 1e-9).sum() for one, other in (right[::-1], right))
    assert (comparison.mcnemar.second_only, comparison.mcnemar.first_only) == (better, worse)
    assert comparison.mcnemar.p == pytest.approx(stats.binomtest(int(better), int(better + worse)).pvalue)


def test_rows_that_hang_together_are_drawn_together(runs, comparison):
    """Every row four times: apart they would tell twice as much, in groups they tell what they told."""
    grouped, apart = (
        [dataclasses.replace(run, **fields) for run in map(repeated, runs)] for fields in ({}, {"groups": None})
    )
    together, alone = compare_runs(*grouped), compare_runs(*apart)
    for metric in ("auroc", "accuracy", "log_loss"):
        widths = [np.diff(getattr(one, metric).over_items) for one in (together, alone, comparison)]
        assert widths[0] == pytest.approx(2 * widths[1], rel=0.1)
        assert widths[0] == pytest.approx(widths[2], rel=0.1)
    assert together.mcnemar == comparison.mcnemar


def repeated(run):
    labels, scores = np.repeat(run.labels, 4), np.repeat(run.scores, 4, axis=1)
    ids = [f"{name}{copy}" for name in run.pair_ids for copy in range(4)]
    return dataclasses.replace(
        run, labels=labels, scores=scores, pair_ids=ids, groups=np.repeat(np.arange(run.labels.size), 4)
    )


def test_other_data_under_one_name_are_refused(make_run, tmp_path, runs, report):
    other = make_run(tmp_path / "other", target=report.target | {"dataset": "paws_de", "fingerprint": "cd" * 32})
    with pytest.raises(
        InputError, match=r"different data under one name \(fingerprints abababababab and cdcdcdcdcdcd\)"
    ):
        compare_runs(runs[0], read_judged_run(other))


def test_other_rows_are_refused(make_run, tmp_path, runs):
    fewer = read_judged_run(make_run(tmp_path / "fewer", rows=199))
    with pytest.raises(InputError, match="different rows of their target"):
        compare_runs(runs[0], fewer)


def test_missing_predictions_are_named(make_run, tmp_path):
    path = make_run(tmp_path / "run")
    (tmp_path / "run" / "predictions" / "paws_de.seed1.jsonl").unlink()
    with pytest.raises(InputError, match=r"paws_de\.seed1\.jsonl: no such file; runs are compared pair by pair"):
        read_judged_run(path)


def test_predictions_of_another_run_are_refused(make_run, tmp_path):
    path = make_run(tmp_path / "run")
    make_run(tmp_path / "other", skill=0.1)
    name = "predictions/paws_de.seed1.jsonl"
    (tmp_path / "other" / name).replace(tmp_path / "run" / name)
    with pytest.raises(InputError, match=r"seed1\.jsonl: not the predictions that .*paws_de\.json was made from"):
        read_judged_run(path)


def test_reports_are_matched_by_target(make_run, tmp_path, report):
    for run, targets in (("a", ("x", "y")), ("b", ("y", "z"))):
        for target in targets:
            make_run(tmp_path / run, rows=11, seeds=1, target=report.target | {"dataset": target})
    pairs, alone = match_reports(tmp_path / "a", tmp_path / "b")
    assert pairs == [(tmp_path / "a/reports/y.json", tmp_path / "b/reports/y.json")]
    assert alone == [tmp_path / "a/reports/x.json", tmp_path / "b/reports/z.json"]
    single, _ = match_reports(tmp_path / "a/reports/y.json", tmp_path / "b")
    assert single == pairs
    with pytest.raises(
        InputError, match=r"no target in common: .*a/reports/x\.json has x@test; .*b has y@test, z@test"
    ):
        match_reports(tmp_path / "a/reports/x.json", tmp_path / "b")


def test_two_reports_of_one_target_are_refused(make_run, tmp_path):
    path = make_run(tmp_path / "a", rows=11, seeds=1)
    write_report(path.with_name("copy.json"), read_report(path))
    with pytest.raises(InputError, match="are about the same target paws_de"):
        match_reports(tmp_path / "a", tmp_path / "a")


def test_a_folder_without_reports_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no reports/\*\.json in this folder"):
        report_paths(tmp_path)


def test_a_row_says_it_all(comparison):
    (row,) = comparison_rows([comparison])
    low, high = comparison.auroc.over_items
    assert row.auroc_difference == f"{comparison.auroc.value:+.3f} [{low:+.3f}, {high:+.3f}]"
    assert (row.first, row.second, row.pairs) == ("weak: bert (minilm)", "strong: bert (minilm)", "211")


@pytest.mark.parametrize("ending", [".md", ".html", ".tex", ".txt"])
def test_the_ending_chooses_the_format(tmp_path, comparison, ending):
    write_comparison(tmp_path / f"c{ending}", [comparison])
    (row,) = comparison_rows([comparison])
    assert row.auroc_difference.split(" [")[0] in (tmp_path / f"c{ending}").read_text()


def test_csv_holds_bare_numbers(tmp_path, comparison):
    write_comparison(tmp_path / "c.csv", [comparison])
    (record,) = csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text()))
    (bare,) = comparison_records([comparison])
    assert {key: str(value) for key, value in bare.items()} == record
    assert float(record["accuracy_difference_ci95_over_items_low"]) == comparison.accuracy.over_items[0]
    assert (record["first_seeds"], record["second_seeds"]) == ("3", "2")


def test_a_damaged_report_is_named(make_run, tmp_path):
    path = make_run(tmp_path / "a", rows=11, seeds=1)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"target": None}))
    with pytest.raises(InputError, match=r"paws_de\.json: target"):
        match_reports(path, path)
