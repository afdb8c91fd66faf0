import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from lingjax.evaluation import ControlResult, added_value, auroc
from lingjax.evaluation.added_value import auroc_within_strata, fit_logistic
from lingjax.evaluation.metrics import PairPredictions


def predicted(labels, scores):
    """Predictions by seed whose logits are the given scores."""
    rows = np.arange(labels.size)
    return {seed: PairPredictions(rows, labels, np.stack([0 * one, one], axis=1)) for seed, one in enumerate(scores)}


def scored(labels, scores, **fields):
    return ControlResult(accuracy=None, auroc=auroc(labels, scores), ci95=None, scores=scores[None], **fields)


def added(labels, model, control, **options):
    return added_value(predicted(labels, model), name="kmer_jaccard", control=scored(labels, control), **options)


MODELS = {
    "noisy copies": lambda control, rng: control + 0.3 * rng.normal(size=(3, control.size)),
    "a noisy copy and its seeds": lambda control, rng: (
        control + 0.5 * rng.normal(size=control.size) + 0.1 * rng.normal(size=(3, control.size))
    ),
    "a monotone transformation": lambda control, rng: np.tanh(np.tile(control, (3, 1))),
    "distance from the middle": lambda control, rng: np.abs(control) + 0.05 * rng.normal(size=(3, control.size)),
}
LABELS = {
    "probit": lambda control, rng: control + rng.normal(size=control.size) > 0,
    "a step with labels exchanged": lambda control, rng: (control > 0) ^ (rng.random(control.size) < 0.1),
    "rare": lambda control, rng: control + 0.5 * rng.normal(size=control.size) > 1.2,
}


def share_that_adds(draw, *, simulations):
    return np.mean([draw(np.random.default_rng(seed)).adds is True for seed in range(simulations)])


def copied(rng, *, rows, label, model):
    control = rng.normal(size=rows)
    return added(LABELS[label](control, rng).astype(np.int32), MODELS[model](control, rng), control)


def shared_signal(rng, *, rows=500, seeds=3):
    """Control and something else decide about the label in equal parts; the model reads the other, with noise."""
    control, other = rng.normal(size=(2, rows))
    labels = (control + other + 0.7 * rng.normal(size=rows) > 0).astype(np.int32)
    return added(labels, other + 0.7 * rng.normal(size=(seeds, rows)), control)


@pytest.mark.parametrize("model", MODELS)
def test_a_copy_of_the_control_adds_nothing(model):
    said = [copied(np.random.default_rng(seed), rows=200, label="probit", model=model).adds for seed in range(12)]
    assert said.count(True) <= 1


def test_another_half_of_the_signal_is_an_addition():
    assert share_that_adds(shared_signal, simulations=10) >= 0.8


@pytest.mark.exhaustive
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("label", LABELS)
def test_copies_add_nothing_in_200_simulations(label, model):
    assert share_that_adds(lambda rng: copied(rng, rows=500, label=label, model=model), simulations=200) <= 0.05


@pytest.mark.exhaustive
def test_half_the_signal_is_seen_in_200_simulations():
    assert share_that_adds(shared_signal, simulations=200) >= 0.8


def test_a_model_that_ranks_the_wrong_way_adds_nothing():
    rng = np.random.default_rng(0)
    control, other = rng.normal(size=(2, 500))
    labels = (control + other > 0).astype(np.int32)
    right, wrong = (added(labels, np.tile(sign * other, (3, 1)), control) for sign in (1, -1))
    assert (right.adds, wrong.adds) == (True, False)
    assert right.auroc_within_strata == pytest.approx(1 - wrong.auroc_within_strata)
    assert wrong.gain > 0


def test_nothing_can_be_added_to_a_perfect_control():
    labels = np.repeat([0, 1], 30)
    result = added(labels, np.tile(labels * 2.0, (2, 1)), np.arange(60.0))
    assert (result.adds, result.gain) == (False, None)
    assert "nothing can be added" in result.reason
    assert result.to_json()["log_loss_gain"]["mean"] is None


def test_few_rows_leave_it_open():
    labels = np.array([1] * 9 + [0] * 40)
    result = added(labels, np.ones((1, 49)), np.arange(49.0))
    assert (result.adds, result.reason) == (None, "too few rows of a label")


def test_a_constant_control_leaves_all_to_the_model():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 200)
    result = added(labels, labels + 0.5 * rng.normal(size=(3, 200)), np.zeros(200))
    assert result.adds
    assert result.auroc_within_strata == pytest.approx(
        np.mean(
            [
                auroc(labels, one.positive_probability)
                for one in predicted(labels, labels + 0 * np.ones((1, 200))).values()
            ]
        ),
        abs=0.1,
    )


def test_groups_of_one_row_change_nothing_and_copied_rows_bring_nothing():
    rng = np.random.default_rng(2)
    control, other = rng.normal(size=(2, 60))
    labels = (control + other + 0.5 * rng.normal(size=60) > 0).astype(np.int32)
    model = other + 0.5 * rng.normal(size=(3, 60))
    alone = added(labels, model, control)
    assert added(labels, model, control, groups=np.arange(60)) == alone
    repeated = [np.repeat(one, 8, axis=-1) for one in (labels, model, control)]
    together, apart = (added(*repeated, groups=groups) for groups in (np.repeat(np.arange(60), 8), None))
    assert np.diff(together.gain_over_items) > 2 * np.diff(apart.gain_over_items)
    assert together.gain < apart.gain  # a copy in another fold tells the label


def test_a_control_of_some_rows_is_compared_on_these():
    rng = np.random.default_rng(3)
    labels = np.tile([0, 1], 60)
    model, control = rng.normal(size=(1, 120)), rng.normal(size=120)
    rows = np.arange(0, 100)
    on_rows = added_value(predicted(labels, model), name="x", control=scored(labels[rows], control[rows], rows=rows))
    assert on_rows == added_value(
        predicted(labels[rows], model[:, rows]), name="x", control=scored(labels[rows], control[rows])
    )


def test_strata_by_hand():
    """Two strata: in the first 1 of 2 pairs is ordered rightly, in the second 3 of 4."""
    labels = np.array([0, 1, 1, 0, 0, 1, 1]).astype(bool)
    control = np.array([1, 1, 1, 2, 2, 2, 2.0])
    scores = np.array([[0.5, 0.4, 0.6, 0.1, 0.5, 0.3, 0.6]])
    value, interval = auroc_within_strata(labels, scores, control, strata=2)
    assert value == pytest.approx((1 + 3) / (2 + 4))
    assert interval[0] < value < interval[1]
    assert auroc_within_strata(labels, scores, np.arange(7.0), strata=7) == (None, None)


@pytest.mark.parametrize("separated", [False, True])
def test_the_regression_is_that_of_scikit_learn(separated):
    rng = np.random.default_rng(4)
    features = rng.normal(size=(101, 5))
    labels = features[:, 0] + (0 if separated else 1) * rng.normal(size=101) > 0
    reference = LogisticRegression(C=100, fit_intercept=False, tol=1e-10, max_iter=5000).fit(features, labels)
    assert fit_logistic(features, labels) == pytest.approx(reference.coef_[0], rel=2e-3, abs=1e-3)
