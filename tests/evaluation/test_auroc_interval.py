import numpy as np
import pytest
from scipy import optimize, special, stats

from lingjax.evaluation import auroc, auroc_difference_interval, auroc_interval
from lingjax.evaluation.auroc_interval import RankedRows


def scored(rows, skill, draw):
    rng = np.random.default_rng(draw)
    labels = rng.integers(0, 2, rows)
    return labels, skill * labels + rng.normal(size=rows)


def newcombe(value, ones, zeros):
    """Method 5 by a root finder: both ends of the AUROCs that lie z standard errors away."""

    def beyond(theta):
        mean = (ones + zeros) / 2 - 1
        shape = 1 + mean * (1 - theta) / (2 - theta) + mean * theta / (1 + theta)
        return abs(theta - value) - 1.959964 * np.sqrt(theta * (1 - theta) * shape / (ones * zeros))

    low = optimize.brentq(beyond, 1e-9, value - 1e-9)
    return low, 1.0 if value == 1 else optimize.brentq(beyond, value + 1e-9, 1 - 1e-12)


def naive_variance(labels, scores):
    """DeLong's variance from all comparisons of a positive with a negative."""
    ones, zeros = scores[labels == 1], scores[labels == 0]
    wins = (ones[:, None] > zeros) + 0.5 * (ones[:, None] == zeros)
    return wins.mean(axis=1).var(ddof=1) / ones.size + wins.mean(axis=0).var(ddof=1) / zeros.size


@pytest.mark.parametrize("size", [10, 25])
def test_a_perfect_ranking_has_newcombes_interval(size):
    labels = np.repeat([0, 1], size)
    assert auroc_interval(labels, np.arange(2.0 * size)[None]) == pytest.approx(newcombe(1.0, size, size), abs=1e-6)


def test_elsewhere_it_is_newcombes_or_wider_by_the_variance_of_the_rows():
    labels, scores = scored(101, 1.0, draw=3)
    scores = np.round(scores, 1)
    value, ones = auroc(labels, scores), int(labels.sum())
    low, high = auroc_interval(labels, scores[None])
    plain = newcombe(value, ones, 101 - ones)
    assert low <= plain[0] + 1e-6
    assert high >= plain[1] - 1e-6
    assert (high - low) / 3.92 >= 0.95 * np.sqrt(naive_variance(labels, scores))


def test_variance_is_delongs():
    labels, scores = scored(61, 0.8, draw=4)
    scores = np.round(scores, 1)
    ranked = RankedRows.of(labels, scores[None])
    assert ranked.auroc == pytest.approx(auroc(labels, scores), abs=1e-12)
    assert ranked.variance(ranked.placements, groups=None) == pytest.approx(naive_variance(labels, scores), rel=1e-9)


@pytest.mark.parametrize(("rows", "positives"), [(20, 10), (100, 50), (200, 10)])
@pytest.mark.parametrize("truth", [0.5, 0.75, 0.95, 0.99])
def test_intervals_cover_the_truth_also_near_one(rows, positives, truth):
    studies, shift = 300, np.sqrt(2) * special.ndtri(truth)
    labels = np.repeat([1, 0], [positives, rows - positives])
    covered = 0
    for draw in range(studies):
        low, high = auroc_interval(labels, (shift * labels + np.random.default_rng(draw).normal(size=rows))[None])
        covered += low <= truth <= high
    # At exactly 95 % fewer happen once in 100,000 times: twelve cases are tried.
    assert covered >= stats.binom(studies, 0.95).ppf(1e-5)


@pytest.mark.parametrize(("groups", "rows_of_group"), [(100, 5), (50, 10), (10, 50)])
def test_intervals_of_rows_in_groups_cover_the_truth(groups, rows_of_group):
    studies, covered, alone = 200, 0, 0
    group = np.repeat(np.arange(groups), rows_of_group)
    for draw in range(studies):
        rng = np.random.default_rng(draw)
        labels = (rng.permutation(groups) < groups / 2)[group].astype(int)
        scores = (rng.normal(size=groups)[group] + 0.3 * rng.normal(size=group.size))[None]
        low, high = auroc_interval(labels, scores, groups=group)
        covered += low <= 0.5 <= high
        low, high = auroc_interval(labels, scores)
        alone += low <= 0.5 <= high
    assert covered >= stats.binom(studies, 0.95).ppf(1e-4)
    assert alone < 0.8 * studies


def test_names_of_groups_do_not_matter_and_lonely_rows_are_rows():
    labels, scores = scored(60, 1.0, draw=6)
    groups = np.arange(60) // 3
    assert auroc_interval(labels, scores[None], groups=groups) == auroc_interval(
        labels, scores[None], groups=1000 - 7 * groups
    )
    assert auroc_interval(labels, scores[None], groups=np.arange(60)) == auroc_interval(labels, scores[None])


def test_seeds_whose_noise_cancels_narrow_the_interval_and_equal_seeds_do_not():
    labels, scores = scored(301, 1.0, draw=1)
    others = labels + np.random.default_rng(2).normal(size=(5, 301))
    one, five, same = (
        auroc_interval(labels, runs) for runs in (scores[None], others, np.stack([scores, scores, scores]))
    )
    assert five[1] - five[0] < 0.7 * (one[1] - one[0])
    assert same == pytest.approx(one, abs=1e-9)


def test_paired_difference_of_equal_scores_is_nothing():
    labels, scores = scored(59, 1.0, draw=1)
    assert auroc_difference_interval(labels, scores[None], scores[None]) == (0.0, 0.0)


def test_two_perfect_rankings_may_differ_on_other_rows():
    labels = np.repeat([0, 1], 10)
    low, high = auroc_difference_interval(labels, np.arange(20.0)[None], (labels * 1.0)[None])
    assert low < -0.05
    assert high > 0.05


def test_paired_difference_finds_a_small_but_certain_gain():
    labels, scores = scored(499, 1.0, draw=1)
    better = scores + 0.03 * labels
    low, high = auroc_difference_interval(labels, better[None], scores[None])
    assert 0 < low < auroc(labels, better) - auroc(labels, scores) < high
    assert auroc_interval(labels, better[None])[0] < auroc_interval(labels, scores[None])[1]


def test_intervals_of_a_difference_cover_the_truth():
    truth, covered, studies = special.ndtr(1 / np.sqrt(2)) - special.ndtr(0.5 / np.sqrt(2)), 0, 300
    for draw in range(studies):
        rng = np.random.default_rng(draw)
        labels, common = np.arange(120) % 2, np.sqrt(0.5) * rng.normal(size=120)
        first, second = ((skill * labels + common + np.sqrt(0.5) * rng.normal(size=120))[None] for skill in (1.0, 0.5))
        low, high = auroc_difference_interval(labels, first, second)
        covered += low <= truth <= high
    assert covered >= stats.binom(studies, 0.95).ppf(1e-3)


def test_a_missing_class_has_no_interval():
    assert auroc_interval(np.ones(5, int), np.arange(5.0)[None]) is None
    assert auroc_interval(np.zeros(0, int), np.zeros((1, 0))) is None
