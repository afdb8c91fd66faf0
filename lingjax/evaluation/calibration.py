"""Is a model right as often as it says? The bins behind the expected calibration error."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from lingjax.evaluation.metrics import CALIBRATION_BINS, PairPredictions, calibration_bins
from lingjax.evaluation.recorded import Recorded
from lingjax.evaluation.statistics import shared_labels


@dataclasses.dataclass(frozen=True)
class ReliabilityBin(Recorded):
    """Predictions of one range of confidence (above `low`, up to `high`): their mean confidence and their accuracy.

    Confidence is the probability of the class that is predicted, 0.5 to 1.
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


def reliability_bins(predictions: Mapping[int, PairPredictions]) -> list[ReliabilityBin]:
    """Returns the bins of `ece` that hold predictions, those of all seeds together: a row counts once a seed.

    Of 15 bins of equal width over 0 to 1 a confidence can lie in the upper eight; the lowest of them is cut at 0.5. For
    one seed, the mean of |accuracy - confidence| weighted by rows is its `ece`; for several, that of the pooled rows.

    Args:
      predictions: by training seed; all on the same rows.

    Source: reliability diagrams, Guo et al. 2017, section 2.
    """
    labels = shared_labels(predictions).astype(bool)
    probability = np.concatenate([one.positive_probability for one in predictions.values()])
    confidence = np.maximum(probability, 1 - probability)
    correct = (probability > 0.5) == np.tile(labels, len(predictions))
    numbers = calibration_bins(probability)
    bins = []
    for number in np.unique(numbers):
        inside = numbers == number
        bins.append(
            ReliabilityBin(
                low=max(0.5, float(number / CALIBRATION_BINS)),
                high=float((number + 1) / CALIBRATION_BINS),
                rows=int(inside.sum()),
                confidence=float(confidence[inside].mean()),
                accuracy=float(correct[inside].mean()),
            )
        )
    return bins
