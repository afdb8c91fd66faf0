import numpy as np
import pytest
from scipy import optimize

from lingjax.evaluation import PairSides, auroc, label_shortcuts
from lingjax.evaluation.pair_sides import folded, sampled_rows
from lingjax.evaluation.shortcuts import (
    common_letters,
    composition_features,
    cross_validated,
    fit_linear_scorer,
    length_features,
    related_rows,
)


def sides_of(first, second, labels=None):
    """Sides whose tokens are pairs of characters."""

    def tokens(texts):
        return [np.arange(-(-len(text) // 2)) for text in texts]

    labels = np.zeros(len(first), int) if labels is None else np.asarray(labels)
    return PairSides(list(first), list(second), tokens(first), tokens(second), labels)


def noise(rng, rows, letters="acgt", low=20, high=40):
    return ["".join(rng.choice(list(letters), rng.integers(low, high))) for _ in range(rows)]


def test_length_features_worked_out_by_hand():
    features = length_features(sides_of(["abc", "", "ab"], ["a", "", "abcd"]))
    assert features.tolist() == [
        [3, 1, 2, pytest.approx(1 / 3), 2, 1, 1, 0.5],
        [0, 0, 0, 1, 0, 0, 0, 1],
        [2, 4, 2, 0.5, 1, 2, 1, 0.5],
    ]


def test_composition_features_worked_out_by_hand():
    sides = sides_of(["aab c", "zz"], ["abcd", ""])
    assert composition_features(sides, "ab").tolist() == [
        [0.5, 0.25, 0.25, 0.25, 0.25, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]


def test_composition_does_not_see_length():
    features = composition_features(sides_of(["ab"], ["abab" * 10]), "ab")
    assert features[0, :2].tolist() == features[0, 2:4].tolist()


def test_letters_are_the_commonest_and_no_white_space():
    sides = sides_of(["b b aa"], ["é日aab"])
    assert common_letters(sides) == "abé日"
    assert common_letters(sides, most=2) == "ab"


def test_the_regression_is_the_minimum_of_its_penalised_loss():
    rng = np.random.default_rng(5)
    features = rng.normal(size=(97, 3)) * [1, 20, 0.1] + [0, 300, 0]
    labels = (features[:, 0] + rng.normal(size=97) > 0).astype(int)
    standardised = (features - features.mean(axis=0)) / features.std(axis=0)

    def loss(parameters):
        margins = np.where(labels == 1, 1, -1) * (standardised @ parameters[:-1] + parameters[-1])
        return np.logaddexp(0, -margins).sum() + parameters[:-1] @ parameters[:-1] / 2

    best = optimize.minimize(loss, np.zeros(4), tol=1e-12).x
    scores = fit_linear_scorer(features, labels).scores(features)
    # Both stop a little before the minimum, at different points.
    np.testing.assert_allclose(scores, standardised @ best[:-1] + best[-1], atol=2e-3)


def test_one_class_cannot_be_fitted():
    assert fit_linear_scorer(np.ones((4, 2)), np.ones(4, int)) is None


def test_a_constant_feature_does_no_harm():
    features = np.stack([np.ones(20), np.arange(20.0)], axis=1)
    assert np.isfinite(fit_linear_scorer(features, np.arange(20) % 2).scores(features)).all()


def test_cross_validation_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 1000)
    features = rng.normal(size=(1000, 4)) + 0.5 * labels[:, None]
    ours = cross_validated(features, labels, np.arange(1000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    theirs = cross_val_score(pipeline, features, labels, cv=folds, scoring="roc_auc").mean()
    assert ours.auroc == pytest.approx(theirs, abs=0.01)  # other folds
    assert ours.ci95[0] < theirs < ours.ci95[1]


def test_useless_features_stay_at_chance():
    values = []
    for draw in range(40):
        rng = np.random.default_rng(draw)
        one = cross_validated(rng.normal(size=(150, 8)), rng.integers(0, 2, 150), np.arange(150))
        values.append(one.auroc)
    # 40 means of a spread of 0.05 lie within 0.008 of their mean; pooled raw scores would be below by more.
    assert np.mean(values) == pytest.approx(0.5, abs=0.025)


def test_repeated_rows_do_not_teach_their_own_labels():
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(40, 35)), rng.integers(0, 2, 40)
    rows = np.tile(np.arange(40), 5)
    apart = cross_validated(features[rows], labels[rows], np.arange(200))
    together = cross_validated(features[rows], labels[rows], rows)
    assert apart.auroc > 0.9
    assert together.auroc < 0.8


def test_the_seed_draws_the_folds():
    rng = np.random.default_rng(8)
    features, labels = rng.normal(size=(60, 2)), np.arange(60) % 2
    one, again, other = (cross_validated(features, labels, np.arange(60), seed=seed).auroc for seed in (0, 0, 1))
    assert one == again != other


def test_few_rows_of_a_class_are_not_judged():
    labels = np.arange(100) < 9
    assert cross_validated(np.ones((100, 1)), labels, np.arange(100)) is None


def test_labels_decided_by_length_are_found_and_composition_is_innocent():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    first = noise(rng, 300)
    second = ["".join(rng.choice(list("acgt"), 60 if label else 30)) for label in labels]
    found = label_shortcuts(sides_of(first, second, labels))
    assert found["length_predicts_label"].auroc > 0.99
    assert found["composition_predicts_label"].auroc < 0.65


def test_labels_decided_by_composition_are_found_and_length_is_innocent():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    first = noise(rng, 300)
    second = ["".join(rng.choice(list("acgt" if label else "aacgt"), 35)) for label in labels]
    found = label_shortcuts(sides_of(first, second, labels))
    assert found["composition_predicts_label"].auroc > 0.75
    assert abs(found["length_predicts_label"].auroc - 0.5) < 0.12


def test_rows_that_share_a_text_belong_together():
    filler = [f"x{row}" for row in range(60)]
    sides = sides_of(["a", "b", "c", "b", *filler], ["b", "d", "e", "f", *(text + "y" for text in filler)])
    groups = related_rows(sides)
    assert groups[0] == groups[1] == groups[3] != groups[2]
    assert len(set(groups.tolist())) == 62


def test_where_all_rows_hang_together_only_equal_pairs_do():
    sides = sides_of(["a", "b", "a", "a"], ["b", "a", "c", "d"])
    groups = related_rows(sides).tolist()
    assert groups[0] == groups[1]
    assert len(set(groups)) == 3


def test_a_sentence_with_both_labels_does_not_push_the_figure_below_chance():
    rng = np.random.default_rng(4)
    first = np.repeat(noise(rng, 200, low=10, high=200), 2).tolist()
    second = ["".join(rng.permutation(list(text))) for text in first]
    found = label_shortcuts(sides_of(first, second, np.arange(400) % 2))
    assert found["composition_predicts_label"].auroc == pytest.approx(0.5, abs=0.06)


def test_a_sample_is_drawn_of_too_many_rows():
    assert sampled_rows(5, most=7, seed=0).tolist() == [0, 1, 2, 3, 4]
    one, other = sampled_rows(100, most=7, seed=0), sampled_rows(100, most=7, seed=1)
    assert len(set(one.tolist())) == 7
    assert one.tolist() == sorted(one) != other.tolist()


def test_case_and_line_breaks_of_a_sequence_mean_nothing():
    assert folded("ACgt\nAC") == folded("acgt ac")


def test_scores_far_outside_the_fitted_range_still_rank():
    features = np.arange(40.0)[:, None]
    scorer = fit_linear_scorer(features, np.arange(40) >= 20)
    far = np.array([[1e6], [2e6]])
    assert auroc(np.array([0, 1]), scorer.scores(far)) == 1.0
