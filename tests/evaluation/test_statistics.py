import math

import numpy as np
import pytest
from scipy import stats

from lingjax.evaluation import crossed_interval, pair_metrics, seed_interval, summarise, wilson_interval
from lingjax.evaluation.bootstrap import ItemSpread


@pytest.mark.parametrize(
    ("successes", "count", "expected"),
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I, method 3.
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_wilson_interval_gives_published_figures(successes, count, expected):
    assert wilson_interval(successes, count) == pytest.approx(expected, abs=5e-5)


def test_wilson_interval_is_symmetric_and_stays_within_bounds():
    low, high = wilson_interval(7, 7)
    assert high == 1.0
    assert wilson_interval(0, 7) == pytest.approx((0.0, 1 - low))


@pytest.mark.parametrize(("successes", "count"), [(1, 0), (3, 2), (-1, 2)])
def test_impossible_proportions_are_refused(successes, count):
    with pytest.raises(ValueError, match="0 <= successes <= count"):
        wilson_interval(successes, count)


def test_seed_interval_by_hand():
    # t(0.975, 2) = 4.30265; standard deviation 0.1.
    half = 4.30265 * 0.1 / math.sqrt(3)
    assert seed_interval([0.5, 0.6, 0.7]) == pytest.approx((0.6 - half, 0.6 + half), abs=1e-5)


def test_seed_interval_is_cut_to_bounds():
    assert seed_interval([0.1, 0.9], bounds=(0.0, 1.0)) == (0.0, 1.0)


def test_one_seed_has_no_interval_over_seeds(skilled):
    assert seed_interval([0.5]) is None
    summary = summarise(skilled(seeds=1))
    undefined = {(one.std_over_seeds, one.ci95_over_seeds, one.ci95_over_both) for one in summary.values()}
    assert undefined == {(None, None, None)}


def test_one_seed_gets_wilson_intervals_for_proportions(make_predictions):
    summary = summarise({4: make_predictions([1] * 10 + [0] * 10, [0.9] * 10 + [0.1] * 10)})
    assert summary["accuracy"].ci95_over_items == wilson_interval(20, 20)
    assert summary["flipped_accuracy"].ci95_over_items == wilson_interval(0, 20)


def test_means_and_deviations_are_over_seeds(skilled):
    predictions = skilled(seeds=3)
    values = [pair_metrics(one.labels, one.positive_probability).mcc for one in predictions.values()]
    summary = summarise(predictions, replicates=50)["mcc"]
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.std_over_seeds == pytest.approx(np.std(values, ddof=1))
    low, high = summary.ci95_over_items
    assert low < summary.mean < high


def test_averaging_seeds_narrows_the_interval_over_items(skilled):
    predictions = skilled(seeds=5)
    one = summarise({0: predictions[0]})["auroc"].ci95_over_items
    five = summarise(predictions)["auroc"].ci95_over_items
    assert five[1] - five[0] < one[1] - one[0]


def test_undefined_metrics_are_null_everywhere(make_predictions):
    summary = summarise({0: make_predictions([1, 1, 1], [0.2, 0.6, 0.7])})
    assert set(summary["auroc"].to_json().values()) == {None}
    assert summary["accuracy"].mean == pytest.approx(2 / 3)


def test_json_holds_intervals_as_lists(skilled):
    entry = summarise(skilled(seeds=2), replicates=50)["accuracy"].to_json()
    assert list(entry) == ["mean", "std_over_seeds", "ci95_over_items", "ci95_over_seeds", "ci95_over_both"]
    assert isinstance(entry["ci95_over_items"], list)


def test_seeds_must_share_rows_and_labels(make_predictions):
    with pytest.raises(ValueError, match="seeds 0 and 1 were evaluated on different rows"):
        summarise({0: make_predictions([0, 1], [0.2, 0.6]), 1: make_predictions([1, 1], [0.2, 0.6])})
    with pytest.raises(ValueError, match="at least one seed"):
        summarise({})


def test_crossed_interval_by_hand():
    over_seeds, variance = 0.01 / 3, 0.004 + 0.01 / 3
    freedom = 2 * (variance / over_seeds) ** 2
    half = max(stats.t(freedom).ppf(0.975) * math.sqrt(variance), stats.t(2).ppf(0.975) * math.sqrt(over_seeds))
    spread = ItemSpread(interval=(0.5, 0.7), variance=0.004)
    assert crossed_interval([0.5, 0.6, 0.7], spread) == pytest.approx((0.6 - half, 0.6 + half))


def test_crossed_interval_of_equal_seeds_is_that_over_items():
    spread = ItemSpread(interval=(0.5, 0.7), variance=0.0025)
    half = 1.959964 * 0.05
    assert crossed_interval([0.6, 0.6], spread) == pytest.approx((0.6 - half, 0.6 + half), abs=1e-6)


def test_an_interval_over_both_is_never_narrower_than_that_over_seeds():
    values = [0.52, 0.6, 0.68]
    low, high = crossed_interval(values, ItemSpread(interval=(0.55, 0.65), variance=0.03**2))
    seeds = seed_interval(values)
    assert (low, high) == pytest.approx(seeds)  # Satterthwaite's alone would be [0.48, 0.72]


def test_seeds_that_cancel_leave_an_interval_of_their_mean(make_predictions):
    labels = np.arange(500) % 2
    predictions = {0: make_predictions(labels, [0.9] * 500), 1: make_predictions(labels, [0.1] * 500)}
    summary = summarise(predictions, replicates=100)
    low, high = summary["accuracy"].ci95_over_items
    assert high - low >= (wilson_interval(250, 500)[1] - wilson_interval(250, 500)[0]) / math.sqrt(2) * 0.999
    assert summary["mcc"].ci95_over_items is None


def test_honest_probabilities_have_the_calibration_error_that_is_expected_of_them(make_predictions):
    rng = np.random.default_rng(0)
    measured, expected = [], []
    for _ in range(40):
        probability = rng.beta(2, 2, 300)
        labels = (rng.random(300) < probability).astype(int)
        ece = summarise({0: make_predictions(labels, probability)}, replicates=20)["ece"]
        measured.append(ece.mean)
        expected.append(ece.expected_if_calibrated)
    # The standard error of the mean of 40 is about 0.002.
    assert np.mean(expected) == pytest.approx(np.mean(measured), abs=0.006)


def test_crossed_interval_is_cut_to_bounds_and_needs_two_seeds():
    spread = ItemSpread(interval=(0.5, 0.7), variance=0.1)
    assert crossed_interval([0.2, 0.9], spread, bounds=(0.0, 1.0)) == (0.0, 1.0)
    assert crossed_interval([0.6], spread) is None
    assert crossed_interval([0.6, 0.7], ItemSpread(None, None)) is None


STUDIES = 1000
# At a coverage of exactly 95 %, 1,000 studies fall outside these bounds once in 250 times.
COVERED = (0.93, 0.97)


def coverage(make_predictions, kind, *, seeds, rows, seed_deviation, metric="auroc"):
    """The share of studies whose interval holds the truth: score = skill * label + item + seed x item, all normal."""
    truth = {
        "auroc": stats.norm.cdf(1.0 / math.sqrt(2 * 2.0 + seed_deviation**2)),
        "accuracy": stats.norm.cdf(0.5 / math.sqrt(2.0 + seed_deviation**2 / 4)),
    }[metric]
    covered = 0
    for draw in range(STUDIES):
        rng = np.random.default_rng(draw)
        labels = rng.integers(0, 2, rows)
        common = rng.normal(size=rows)
        predictions = {}
        for seed in range(seeds):
            skill = 1.0 + seed_deviation * rng.normal()
            score = skill * (labels - 0.5) + common + rng.normal(size=rows)
            predictions[seed] = make_predictions(labels, 1 / (1 + np.exp(-score)))
        low, high = getattr(summarise(predictions, replicates=200, seed=draw)[metric], kind)
        covered += low <= truth <= high
    return covered / STUDIES


@pytest.mark.exhaustive
@pytest.mark.parametrize("metric", ["auroc", "accuracy"])
def test_intervals_over_items_cover_the_truth(make_predictions, metric):
    share = coverage(make_predictions, "ci95_over_items", seeds=1, rows=211, seed_deviation=0.0, metric=metric)
    assert COVERED[0] <= share <= COVERED[1]


@pytest.mark.parametrize(("seeds", "seed_deviation"), [(3, 0.5), pytest.param(8, 0.3, marks=pytest.mark.exhaustive)])
def test_intervals_over_both_cover_the_truth(make_predictions, seeds, seed_deviation):
    share = coverage(make_predictions, "ci95_over_both", seeds=seeds, rows=151, seed_deviation=seed_deviation)
    assert COVERED[0] <= share <= COVERED[1]


def test_intervals_over_seeds_cover_the_truth_of_these_items():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(STUDIES):
        low, high = seed_interval((0.68 + 0.1 * rng.normal(size=5)).tolist())
        covered += low <= 0.68 <= high
    assert COVERED[0] <= covered / STUDIES <= COVERED[1]


def test_a_proportion_that_no_resample_of_groups_moves_has_an_interval(make_predictions):
    """Every group has one row right and one wrong: whichever groups are drawn, the accuracy is one half."""
    labels = np.repeat([0, 1], 12)
    right = np.tile([True, False], 12)
    probability = np.where(right == (labels == 1), 0.8, 0.2)
    accuracy = summarise({0: make_predictions(labels, probability)}, groups=np.arange(24) // 2, replicates=20)[
        "accuracy"
    ]
    assert accuracy.mean == 0.5
    assert accuracy.ci95_over_items == pytest.approx(wilson_interval(6, 12))  # twelve groups, each worth a row
