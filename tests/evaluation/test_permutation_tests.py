import importlib

import numpy as np
import pytest
from scipy import stats

from lingjax.evaluation import SkippedControl, auroc, majority, model_control, permutation_tests, threshold_control


def control_of(scores, labels):
    return threshold_control(np.asarray(scores, float), labels, source=None)


def test_a_perfect_ranking_by_hand(make_predictions):
    # One of the 252 ways to choose five of ten rows ranks so high.
    tests = permutation_tests({0: make_predictions([0, 1] * 5, [0.2, 0.7] * 5)}, {}, num_targets=1)
    assert tests["chance"].to_json() == {"wins": 10, "losses": 0, "ties": 0, "p": 1 / 252, "p_corrected": 1 / 252}


def test_a_wrong_way_round_ranking_is_all_losses(make_predictions):
    test = permutation_tests({0: make_predictions([1, 0] * 5, [0.2, 0.7] * 5)}, {}, num_targets=1)["chance"]
    assert (test.wins, test.losses, test.p) == (0, 10, 1.0)


@pytest.mark.parametrize("rows", [9, 83])
def test_chance_is_scipys_permutation_test_of_the_mean_auroc(make_predictions, rows):
    rng = np.random.default_rng(rows)
    labels = (np.arange(rows) % 3 == 0).astype(int)
    runs = np.round(1 / (1 + np.exp(-rng.normal(size=(3, rows)) - 0.6 * labels)), 2)

    def mean_auroc(permuted):
        return np.mean([auroc(permuted.astype(int), run) for run in runs])

    expected = stats.permutation_test(
        (labels,), mean_auroc, permutation_type="pairings", alternative="greater", n_resamples=3000, rng=1
    ).pvalue
    predictions = {seed: make_predictions(labels, run) for seed, run in enumerate(runs)}
    p = permutation_tests(predictions, {}, num_targets=1)["chance"].p
    # Both are drawn: the standard error of 3,000 is below 0.009.
    assert p == pytest.approx(expected, abs=0.03)


def test_correction_multiplies_by_the_number_of_targets_up_to_one(make_predictions):
    predictions = {0: make_predictions([0, 1] * 5, [0.2, 0.7] * 5)}
    corrected = [permutation_tests(predictions, {}, num_targets=n)["chance"].p_corrected for n in (1, 4, 400)]
    assert corrected == pytest.approx([1 / 252, 4 / 252, 1.0])
    with pytest.raises(ValueError, match="num_targets=0"):
        permutation_tests(predictions, {}, num_targets=0)


def test_p_hardly_depends_on_the_seed_of_the_permutations(skilled):
    ps = [permutation_tests(skilled(skill=0.12), {}, num_targets=1, seed=seed)["chance"].p for seed in range(5)]
    assert max(ps) - min(ps) < 0.03


def test_control_as_good_as_the_model_ties_everywhere(make_predictions):
    one = make_predictions([0, 1, 0, 1], [0.2, 0.7, 0.3, 0.6])
    controls = {"token_jaccard": control_of(one.positive_probability, one.labels)}
    test = permutation_tests({0: one}, controls, num_targets=1)["token_jaccard"]
    assert (test.wins, test.losses, test.ties, test.p) == (0, 0, 4, 1.0)


def test_against_the_majority_is_against_chance(skilled):
    predictions = skilled()
    tests = permutation_tests(predictions, {"majority": majority(predictions[0].labels)}, num_targets=2)
    assert tests["majority"] == tests["chance"]


def test_skipped_controls_and_controls_that_are_models_have_no_test(skilled):
    controls = {"edit_similarity": SkippedControl("not run"), "random_init": model_control(skilled(skill=0.0))}
    assert list(permutation_tests(skilled(), controls, num_targets=1)) == ["chance"]


def test_a_better_control_wins(skilled):
    predictions = skilled(rows=601, skill=0.5)
    labels = predictions[0].labels
    scores = labels + np.random.default_rng(3).normal(size=labels.size) * 0.3
    controls = {"edit_similarity": control_of(scores, labels)}
    test = permutation_tests(predictions, controls, num_targets=1)["edit_similarity"]
    assert test.losses > 2 * test.wins
    assert test.p > 0.99


def alarms(make_predictions, kind, *, studies=300):
    """Studies without any effect in which p <= 0.05, with fewer permutations drawn."""
    count = 0
    for draw in range(studies):
        rng = np.random.default_rng(draw)
        if kind == "groups":
            group = np.repeat(np.arange(30), 6)
            labels = rng.permutation(np.arange(30) % 2)[group]
            scores = rng.normal(size=30)[group] + 0.3 * rng.normal(size=180)
        else:
            group = None
            labels = (rng.random(180) < (0.1 if kind == "unbalanced" else 0.5)).astype(int)
            scores = rng.normal(size=180) + (1.5 * labels if kind == "control" else 0)
        # Seeds of one model agree with each other.
        runs = scores + 0.3 * rng.normal(size=(3, labels.size))
        predictions = {seed: make_predictions(labels, 1 / (1 + np.exp(-run))) for seed, run in enumerate(runs)}
        rival = 1.5 * labels + rng.normal(size=labels.size)
        controls = {"edit_similarity": control_of(rival, labels)} if kind == "control" else {}
        tests = permutation_tests(predictions, controls, num_targets=1, groups=group)
        count += tests["edit_similarity" if kind == "control" else "chance"].p <= 0.05
    return count


@pytest.mark.parametrize("kind", ["balanced", "unbalanced", "groups", "control"])
def test_false_alarms_under_the_null_stay_about_five_percent(make_predictions, monkeypatch, kind):
    monkeypatch.setattr(importlib.import_module("lingjax.evaluation.permutation_tests"), "PERMUTATIONS", 399)
    # At exactly 5 % more happen once in a thousand.
    assert alarms(make_predictions, kind) <= stats.binom(300, 0.05).isf(0.001)


def test_real_skill_is_found_also_with_few_positives(make_predictions, monkeypatch):
    monkeypatch.setattr(importlib.import_module("lingjax.evaluation.permutation_tests"), "PERMUTATIONS", 399)
    labels, found = (np.arange(500) % 20 == 0).astype(int), 0
    for draw in range(60):
        scores = 0.583 * labels + np.random.default_rng(draw).normal(size=500)  # AUROC 0.66
        predictions = {0: make_predictions(labels, 1 / (1 + np.exp(-scores)))}
        found += permutation_tests(predictions, {}, num_targets=1)["chance"].p <= 0.05
    assert found >= 42
