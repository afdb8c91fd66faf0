import numpy as np
import pytest

from tests.without_flags import import_without_flags

calibration = import_without_flags("benchmarks.calibration")
additions = import_without_flags("benchmarks.simulated_additions")
Design, Population = calibration.Design, calibration.Population


@pytest.fixture(scope="module")
def population():
    return Population("gamma", grouped=False, draws=20_000)


def test_the_true_auroc_is_that_of_the_scores_drawn(population):
    study = population.study(Design(4000), auroc=0.75, rng=np.random.default_rng(0))
    scores = study.predictions[0].positive_probability
    counted = np.mean(scores[:2000, None] > scores[2000:])
    assert study.truth["auroc"][0] == pytest.approx(counted, abs=0.025)
    right = np.concatenate([scores[:2000] > 0.5, scores[2000:] <= 0.5])
    assert study.truth["accuracy"][0] == pytest.approx(right.mean(), abs=0.025)


def test_the_intervals_are_those_of_a_report(population):
    study = population.study(Design(20, seeds=3), auroc=0.75, rng=np.random.default_rng(1))
    reported = study.summary()["auroc"]
    expected = (reported.ci95_over_items, reported.ci95_over_seeds, reported.ci95_over_both)
    for given, said in zip(study.auroc_intervals(), expected, strict=True):
        assert given == pytest.approx(said, abs=1e-12)


def test_coverage_counts_the_intervals_that_hold_the_truth(population):
    arguments = {"auroc": 0.5, "studies": 6, "resampled": 2}
    shares = calibration.covered([population], Design(20), **arguments, rng=np.random.default_rng(2))
    rng, held = np.random.default_rng(2), 0
    for _ in range(6):
        study = population.study(Design(20), auroc=0.5, rng=rng)
        low, high = study.summary()["auroc"].ci95_over_items
        held += low <= study.truth["auroc"][0] <= high
    assert shares["auroc"] == [held / 6, None, None]


def test_one_seed_of_a_control_leaves_its_verdict_open(population):
    rng = np.random.default_rng(3)
    true, unknown = calibration.control_alarms(
        [population], Design(20, seeds=1), control_seeds=1, auroc=0.75, studies=2, rng=rng
    )
    assert true == 0 and 0 <= unknown <= 1
    alarms = calibration.false_alarms([population], Design(20), studies=2, rng=rng)
    assert alarms["over_both"] == 0


def test_the_error_of_a_share_is_the_binomial_one():
    assert calibration.monte_carlo_error(0.5, 100) == 5.0  # sqrt(0.25 / 100)


def test_copies_are_told_from_what_is_half_of_the_signal():
    design, rng = Design(300, seeds=3), np.random.default_rng(4)
    copied, _ = additions.additions(design, copy="monotone copy", studies=4, rng=rng)
    half, unknown = additions.additions(design, copy=None, studies=4, rng=rng)
    assert (copied, unknown) == (0, 0)
    assert half >= 0.5


def test_alarms_of_groups_are_counted():
    populations = [Population("gamma", grouped=True, draws=20_000)]
    design = Design(60, group=6)
    alarms = calibration.false_alarms(populations, design, studies=2, rng=np.random.default_rng(5))
    assert set(alarms) == {"direct", "over_both", "permutation"}
