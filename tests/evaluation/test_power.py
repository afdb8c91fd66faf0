import math

import numpy as np
import pytest
from scipy import stats

from lingjax.evaluation import detectable, equivalence, summarise
from lingjax.evaluation.metrics import PairPredictions
from lingjax.evaluation.power import _deviation
from lingjax.evaluation.verdict import _orientation


def study(rng, *, rows, seeds=1, auroc=0.5, deviation=0.0, share=0.5):
    """Normal scores: 60 % of their variance is the item's, the rest a seed's; seeds differ in skill."""
    labels = (np.arange(rows) < rows * share).astype(np.int32)
    skill = math.sqrt(2) * stats.norm.ppf(auroc) + deviation * rng.normal(size=(seeds, 1))
    scores = rng.normal(size=rows) * math.sqrt(0.6) + rng.normal(size=(seeds, rows)) * math.sqrt(0.4)
    scores = scores + skill * labels - stats.norm.ppf(auroc) / math.sqrt(2)
    return {
        seed: PairPredictions(np.arange(rows), labels, np.stack([0 * one, one], axis=1))
        for seed, one in enumerate(scores)
    }


def says_direct(predictions):
    return _orientation(summarise(predictions, replicates=2)["auroc"]) == "direct"


def test_of_one_seed_the_smallest_auroc_is_that_of_the_formula():
    """The lower limit exceeds 0.5 where the AUROC exceeds it by 1.96 standard errors of chance."""
    labels = np.tile([0, 1], 100)
    even = np.linspace(-1, 1, 200)
    power = detectable({0: PairPredictions(np.arange(200), labels, np.stack([0 * even, even], axis=1))})

    def standard_error(value):  # Newcombe 2006, method 5
        shape = 1 + 99 * ((1 - value) / (2 - value) + value / (1 + value))
        return math.sqrt(value * (1 - value) * shape / 100**2)

    wanted = 0.5 + 1.96 * standard_error(0.5)
    assert power.auroc - 0.842 * standard_error(power.auroc) == pytest.approx(wanted, abs=0.01)
    assert power.accuracy == pytest.approx(0.5 + (1.96 + 0.842) * math.sqrt(0.25 / 200), abs=0.004)
    assert power.commoner_label == 0.5


@pytest.mark.parametrize(("rows", "seeds", "deviation"), [(100, 1, 0.0), (200, 3, 0.1)])
def test_what_is_stated_is_shown_in_80_percent(rows, seeds, deviation):
    rng = np.random.default_rng(5)
    shape = {"rows": rows, "seeds": seeds, "deviation": deviation}
    stated = np.median([detectable(study(rng, auroc=0.6, **shape)).auroc for _ in range(31)])
    shown = np.mean([says_direct(study(rng, auroc=stated, **shape)) for _ in range(80)])
    assert shown == pytest.approx(0.8, abs=0.13)  # three standard errors of 80 studies


@pytest.mark.parametrize("seeds", [2, 3, 15])
def test_the_deviation_of_seeds_is_unbiased(seeds):
    drawn = np.random.default_rng(1).normal(size=(4000, seeds))
    found = [_deviation(values) for values in drawn]
    assert np.mean(found) == pytest.approx(1.0, abs=4 * np.std(found) / math.sqrt(4000))
    assert _deviation(np.array([0.5])) == 0.0


def test_more_rows_show_less_and_groups_show_more():
    rng = np.random.default_rng(6)
    few, many = (detectable(study(rng, rows=rows)) for rows in (60, 600))
    assert many.auroc < few.auroc
    predictions = study(rng, rows=600)
    assert detectable(predictions, groups=np.arange(600) // 12).auroc > detectable(predictions).auroc - 0.01
    rare = detectable(study(rng, rows=600, share=0.05))
    assert rare.auroc > many.auroc
    assert rare.commoner_label == 0.95


def test_wild_seeds_show_nothing():
    scores = np.array([0.0, 1, -1])[:, None] * np.tile([-2.0, 2.0], 30) + np.random.default_rng(7).normal(size=(3, 60))
    labels = np.tile([0, 1], 30)
    predictions = {s: PairPredictions(np.arange(60), labels, np.stack([0 * o, o], 1)) for s, o in enumerate(scores)}
    assert detectable(predictions).auroc is None
    assert not equivalence(predictions).shown


def test_too_few_rows_have_neither():
    predictions = study(np.random.default_rng(8), rows=60, share=0.1)
    assert detectable(predictions) is None
    assert equivalence(predictions) is None


def test_no_transfer_is_shown_by_many_rows_only():
    rng = np.random.default_rng(9)
    assert equivalence(study(rng, rows=6000, seeds=3)).shown
    assert not equivalence(study(rng, rows=100, seeds=3)).shown
    assert not equivalence(study(rng, rows=6000, seeds=3, auroc=0.6)).shown
    assert equivalence(study(rng, rows=6000), margin=0.2).shown


def test_the_p_of_one_seed_is_that_of_the_nearer_margin():
    """An AUROC of exactly 0.5, 10,000 rows: 0.05 beside the standard error at 0.45."""
    labels = np.tile([0, 1, 1, 0], 2500)
    scores = np.repeat(np.arange(5000.0), 2)
    predictions = {0: PairPredictions(np.arange(10_000), labels, np.stack([0 * scores, scores / 5000], axis=1))}
    value = 0.45
    shape = 1 + 4999 * ((1 - value) / (2 - value) + value / (1 + value))
    error = math.sqrt(value * (1 - value) * shape / 5000**2)
    assert equivalence(predictions).p == pytest.approx(stats.norm.sf(0.05 / error), rel=0.2)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("seeds", "deviation"), [(1, 0.0), (3, 0.05)])
def test_at_the_margin_equivalence_is_claimed_in_5_percent_at_most(seeds, deviation):
    rng = np.random.default_rng(10)
    shown = [equivalence(study(rng, rows=3000, seeds=seeds, deviation=deviation, auroc=0.55)).shown for _ in range(400)]
    assert np.mean(shown) <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / 400)
