import time

import numpy as np
import pytest

from lingjax.evaluation import pair_metrics
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


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in ("ece", "auroc")])
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


def test_groups_are_drawn_whole():
    labels, probability = scored(60, 1.2, draw=5)
    groups = np.repeat(np.arange(12), 5)
    rng = np.random.default_rng(7)
    by_group = np.arange(60).reshape(12, 5)
    accuracies = [
        pair_metrics(labels[rows], probability[rows]).accuracy
        for rows in (by_group[drawn].ravel() for drawn in rng.integers(0, 12, size=(97, 12)))
    ]
    t_for_z = 2.2009852 / 1.9599640 * np.sqrt(12 / 11)
    spread = metric_spreads(labels, [probability], groups=groups, seed=7, replicates=97)["accuracy"]
    assert spread.variance == pytest.approx(np.var(accuracies) * t_for_z**2, rel=1e-6)


def test_constant_predictions_have_no_interval_without_width():
    labels = np.arange(40) % 2
    spreads = metric_spreads(labels, [np.full(40, 0.9), np.full(40, 0.1)])
    assert spreads["mcc"].interval is None
    assert all(one.interval is None or one.interval[0] < one.interval[1] for one in spreads.values())


def test_no_rows_have_no_intervals():
    empty = np.zeros(0)
    assert set(metric_spreads(empty.astype(int), [empty]).values()) == {ItemSpread(None, None)}


def test_same_seed_same_interval_and_blocks_do_not_matter(monkeypatch):
    labels, scores = scored(83, 0.5, draw=8)
    whole = metric_spreads(labels, [scores], seed=3, replicates=50)
    assert metric_spreads(labels, [scores], seed=4, replicates=50)["accuracy"] != whole["accuracy"]
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
