import numpy as np
import pytest
from scipy import stats

from lingjax.evaluation import SkippedControl, majority, sign_tests, threshold_control
from lingjax.evaluation.sign_tests import matched_rows


def test_matches_join_a_positive_to_a_negative_and_use_no_row_twice():
    labels = np.array([1, 0, 0, 1, 0, 0, 1, 0])
    ones, zeros = matched_rows(labels)
    assert sorted(ones.tolist()) == [0, 3, 6]
    assert len(set(zeros.tolist())) == 3
    assert not labels[zeros].any()


def test_another_seed_matches_other_rows():
    labels = np.arange(101) % 2
    assert not np.array_equal(matched_rows(labels, seed=1)[0], matched_rows(labels, seed=2)[0])


def test_a_perfect_ranking_by_hand(make_predictions):
    # Five matches, all ordered the right way: p = 1 / 32.
    tests = sign_tests({0: make_predictions([0, 1] * 5, [0.2, 0.7] * 5)}, {}, num_targets=1)
    assert tests["chance"].to_json() == {"wins": 5, "losses": 0, "ties": 0, "p": 1 / 32, "p_corrected": 1 / 32}


def test_a_wrong_way_round_ranking_is_all_losses(make_predictions):
    test = sign_tests({0: make_predictions([1, 0] * 5, [0.2, 0.7] * 5)}, {}, num_targets=1)["chance"]
    assert (test.wins, test.losses, test.p) == (0, 5, 1.0)


def test_correction_multiplies_by_the_number_of_targets_up_to_one(make_predictions):
    predictions = {0: make_predictions([0, 1] * 5, [0.2, 0.7] * 5)}
    corrected = [sign_tests(predictions, {}, num_targets=n)["chance"].p_corrected for n in (1, 4, 40)]
    assert corrected == [1 / 32, 1 / 8, 1.0]
    with pytest.raises(ValueError, match="num_targets=0"):
        sign_tests(predictions, {}, num_targets=0)


def test_seeds_vote_on_a_match(make_predictions):
    right, wrong = make_predictions([0, 1], [0.2, 0.7]), make_predictions([0, 1], [0.7, 0.2])
    test = sign_tests({0: right, 1: right, 2: wrong}, {}, num_targets=1)["chance"]
    assert (test.wins, test.losses, test.ties) == (1, 0, 0)
    even = sign_tests({0: right, 1: wrong}, {}, num_targets=1)["chance"]
    assert (even.wins, even.losses, even.ties, even.p) == (0, 0, 1, 1.0)


def test_a_divided_vote_for_the_right_order_ties_with_a_control_that_is_right(make_predictions):
    right, wrong = make_predictions([0, 1], [0.2, 0.7]), make_predictions([0, 1], [0.7, 0.2])
    control = threshold_control(right.positive_probability, right.labels, source=None)
    test = sign_tests({0: right, 1: right, 2: wrong}, {"edit_similarity": control}, num_targets=1)["edit_similarity"]
    assert (test.wins, test.losses, test.ties) == (0, 0, 1)


def test_control_as_good_as_the_model_ties_everywhere(make_predictions):
    one = make_predictions([0, 1, 0, 1], [0.2, 0.7, 0.3, 0.6])
    control = threshold_control(one.positive_probability, one.labels, source=None)
    test = sign_tests({0: one}, {"token_jaccard": control}, num_targets=1)["token_jaccard"]
    assert (test.wins, test.losses, test.ties) == (0, 0, 2)


def test_against_the_majority_is_against_chance(skilled):
    predictions = skilled()
    tests = sign_tests(predictions, {"majority": majority(predictions[0].labels)}, num_targets=2)
    assert tests["majority"] == tests["chance"]


def test_skipped_controls_have_no_test(skilled):
    assert list(sign_tests(skilled(), {"edit_similarity": SkippedControl("not run")}, num_targets=1)) == ["chance"]


def test_a_better_control_wins(skilled):
    predictions = skilled(rows=601, skill=0.5)
    labels = predictions[0].labels
    control = threshold_control(labels + np.random.default_rng(3).normal(size=labels.size) * 0.3, labels, source=None)
    test = sign_tests(predictions, {"edit_similarity": control}, num_targets=1)["edit_similarity"]
    assert test.losses > 2 * test.wins
    assert test.p > 0.99


@pytest.mark.parametrize("seeds", [1, 5])
@pytest.mark.parametrize("positive_share", [0.5, 0.1])
def test_false_alarms_under_the_null_stay_below_five_percent(make_predictions, seeds, positive_share):
    # Seeds of one model agree with each other: here nine tenths of a score's variance is common to them.
    alarms, studies = 0, 1000
    rng = np.random.default_rng(seeds)
    for _ in range(studies):
        labels = (rng.random(200) < positive_share).astype(int)
        common = 3 * rng.normal(size=200)
        predictions = {
            seed: make_predictions(labels, 1 / (1 + np.exp(-common - rng.normal(size=200)))) for seed in range(seeds)
        }
        alarms += sign_tests(predictions, {}, num_targets=1)["chance"].p <= 0.05
    # The exact test keeps below 5 %; more than this many of 1,000 happen once in a thousand at exactly 5 %.
    assert alarms <= stats.binom(studies, 0.05).isf(0.001)


def test_real_skill_is_found(skilled):
    found = sum(sign_tests(skilled(skill=0.6, draw=draw), {}, num_targets=1)["chance"].p < 0.05 for draw in range(50))
    assert found > 35
