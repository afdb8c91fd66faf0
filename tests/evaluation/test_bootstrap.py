import time

import numpy as np
import pytest

from lingjax.evaluation import auroc, auroc_difference_interval, auroc_interval, pair_metrics
from lingjax.evaluation.bootstrap import METRICS, ItemSpread, metric_spreads


def scored(rows, skill, draw):
    rng = np.random.default_rng(draw)
    labels = rng.integers(0, 2, rows)
    return labels, 1 / (1 + np.exp(-skill * (labels - 0.5) - rng.normal(size=rows)))


def plain_interval(labels, runs, metric, *, seed, replicates):
    """The same interval by copying the drawn rows, one resample after the other."""
    rng = np.random.default_rng(seed)
    values = []
    for drawn in rng.integers(0, len(labels), size=(replicates, len(labels))):
        values.append(np.mean([getattr(pair_metrics(labels[drawn], run[drawn]), metric) for run in runs]))
    return tuple(np.quantile(values, [0.025, 0.975]))


@pytest.mark.parametrize("metric", [name for name in METRICS if name != "ece"])
def test_weighted_bootstrap_equals_copying_the_drawn_rows(metric):
    labels, first = scored(61, 1.2, draw=5)
    # Rounding makes ties.
    runs = [np.round(first, 1), np.round(np.random.default_rng(6).permutation(first), 2)]
    expected = plain_interval(labels, runs, metric, seed=7, replicates=97)
    assert metric_spreads(labels, runs, seed=7, replicates=97)[metric].interval == pytest.approx(expected, abs=1e-12)


def test_variance_over_items_is_that_of_the_resampled_means():
    labels, first = scored(61, 1.2, draw=5)
    rng = np.random.default_rng(7)
    accuracies = [
        pair_metrics(labels[drawn], first[drawn]).accuracy for drawn in rng.integers(0, len(labels), size=(97, 61))
    ]
    spread = metric_spreads(labels, [first], seed=7, replicates=97)["accuracy"]
    assert spread.variance == pytest.approx(np.var(accuracies), rel=1e-9)


def test_interval_of_the_calibration_error_surrounds_it():
    labels, probability = scored(997, 1.0, draw=2)
    low, high = metric_spreads(labels, [probability])["ece"].interval
    assert low < pair_metrics(labels, probability).ece < high


def test_auroc_interval_of_scores_equals_that_of_the_summary():
    labels, probability = scored(101, 1.0, draw=3)
    spread = metric_spreads(labels, [probability], seed=4)["auroc"]
    assert auroc_interval(labels, probability[None], seed=4) == spread.interval


def test_auroc_interval_covers_the_truth_nineteen_times_in_twenty():
    # Normal scores one standard deviation apart: AUROC = Phi(1 / sqrt 2).
    truth, covered, studies = 0.76025, 0, 200
    for draw in range(studies):
        low, high = auroc_interval(*_as_runs(scored(151, 1.0, draw=draw)), replicates=200)
        covered += low <= truth <= high
    # Binomial(200, 0.95) lies below 179 in one case of 1,000; the percentile bootstrap is known to cover 93 to 95 %.
    assert covered >= 176


def _as_runs(study):
    labels, scores = study
    return labels, scores[None]


def test_paired_difference_of_equal_scores_is_nothing():
    labels, scores = scored(59, 1.0, draw=1)
    assert auroc_difference_interval(labels, scores[None], scores[None]) == (0.0, 0.0)


def test_paired_difference_finds_a_small_but_certain_gain():
    labels, scores = scored(499, 1.0, draw=1)
    better = scores + 0.03 * labels
    low, high = auroc_difference_interval(labels, better[None], scores[None])
    assert 0 < low < auroc(labels, better) - auroc(labels, scores) < high
    assert auroc_interval(labels, better[None])[0] < auroc_interval(labels, scores[None])[1]


def test_a_missing_class_has_no_interval():
    assert auroc_interval(np.ones(5, int), np.arange(5.0)[None]) is None


def test_no_rows_have_no_intervals():
    empty = np.zeros(0)
    assert auroc_interval(empty.astype(int), empty[None]) is None
    assert set(metric_spreads(empty.astype(int), [empty]).values()) == {ItemSpread(None, None)}


def test_same_seed_same_interval_and_blocks_do_not_matter(monkeypatch):
    labels, scores = scored(83, 0.5, draw=8)
    whole = metric_spreads(labels, [scores], seed=3, replicates=50)
    assert metric_spreads(labels, [scores], seed=4, replicates=50)["auroc"] != whole["auroc"]
    monkeypatch.setattr("lingjax.evaluation.bootstrap._WEIGHTS_PER_BLOCK", 83 * 7)
    in_blocks = metric_spreads(labels, [scores], seed=3, replicates=50)
    for name in METRICS:
        assert in_blocks[name].interval == pytest.approx(whole[name].interval)
        assert in_blocks[name].variance == pytest.approx(whole[name].variance)


def test_a_thousand_resamples_of_two_thousand_pairs_and_three_seeds_take_seconds():
    labels, scores = scored(2000, 1.0, draw=0)
    started = time.process_time()
    metric_spreads(labels, [scores, scores**2, scores**3], replicates=1000)
    assert time.process_time() - started < 10  # about 1 s; the margin is for busy machines
