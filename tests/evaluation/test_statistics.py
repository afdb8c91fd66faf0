import math

import numpy as np
import pytest

from lingjax.evaluation import pair_metrics, seed_interval, summarise, wilson_interval


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
    assert {(one.std_over_seeds, one.ci95_over_seeds) for one in summary.values()} == {(None, None)}


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
    assert list(entry) == ["mean", "std_over_seeds", "ci95_over_items", "ci95_over_seeds"]
    assert isinstance(entry["ci95_over_items"], list)


def test_seeds_must_share_rows_and_labels(make_predictions):
    with pytest.raises(ValueError, match="seeds 0 and 1 were evaluated on different rows"):
        summarise({0: make_predictions([0, 1], [0.2, 0.6]), 1: make_predictions([1, 1], [0.2, 0.6])})
    with pytest.raises(ValueError, match="at least one seed"):
        summarise({})
