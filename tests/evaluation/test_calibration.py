import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from lingjax.evaluation import pair_metrics, reliability_bins


def error_of(bins):
    rows = sum(one.rows for one in bins)
    return sum(one.rows * abs(one.accuracy - one.confidence) for one in bins) / rows


def test_the_calibration_error_of_one_seed_follows_from_its_bins(skilled):
    for predictions in (skilled(rows=311, seeds=1), skilled(rows=23, seeds=1, skill=4.0)):
        ece = pair_metrics(predictions[0].labels, predictions[0].positive_probability).ece
        assert error_of(reliability_bins(predictions)) == pytest.approx(ece, abs=1e-12)


def test_seeds_are_pooled(skilled):
    predictions = skilled(rows=101, seeds=3)
    labels = np.tile(predictions[0].labels, 3)
    pooled = np.concatenate([one.positive_probability for one in predictions.values()])
    bins = reliability_bins(predictions)
    assert sum(one.rows for one in bins) == 303
    assert error_of(bins) == pytest.approx(pair_metrics(labels, pooled).ece, abs=1e-12)


def test_bins_agree_with_scikit_learn(skilled):
    """Its bins are those of the probability of one class, here of the class predicted and of being right."""
    predictions = skilled(rows=997, seeds=1)
    probability = predictions[0].positive_probability
    correct = (probability > 0.5) == predictions[0].labels
    accuracy, confidence = calibration_curve(correct, np.maximum(probability, 1 - probability), n_bins=15)
    bins = reliability_bins(predictions)
    assert [one.accuracy for one in bins] == pytest.approx(accuracy.tolist(), abs=1e-12)
    assert [one.confidence for one in bins] == pytest.approx(confidence.tolist(), abs=1e-12)


def test_bins_by_hand(make_predictions):
    """0.55 and 0.45 have a confidence of 0.55, which lies between 8/15 and 9/15; 0.97 lies above 14/15."""
    low, high = reliability_bins({0: make_predictions([1, 1, 0], [0.55, 0.45, 0.97])})
    assert low.to_json() == pytest.approx({"low": 8 / 15, "high": 0.6, "rows": 2, "confidence": 0.55, "accuracy": 0.5})
    assert high.to_json() == pytest.approx({"low": 14 / 15, "high": 1.0, "rows": 1, "confidence": 0.97, "accuracy": 0})
    (undecided,) = reliability_bins({0: make_predictions([1], [0.5])})
    assert (undecided.low, undecided.high) == pytest.approx((0.5, 8 / 15))
