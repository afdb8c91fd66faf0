"""Sums and counts that can be added across batches and hosts, and divided once."""

import dataclasses
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int

# One count, or one for each of many confusion tables.
Counts = int | Int[np.ndarray, "..."] | Float[np.ndarray, "..."]

Rates = np.float64 | Float[np.ndarray, "..."]
Tally = TypeVar("Tally")


@dataclasses.dataclass(frozen=True)
class BinaryTally:
    """The confusion counts of a two-class task, and its summed negative log-likelihood in nats.

    >>> tally = BinaryTally(true_negative=3, false_positive=1, false_negative=2, true_positive=4)
    >>> tally.rates()["accuracy"], tally.confusion
    (0.7, [[3, 1], [2, 4]])
    """

    true_negative: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_positive: int = 0
    log_loss_sum: float = 0.0

    def __add__(self, other: "BinaryTally") -> "BinaryTally":
        names = [field.name for field in dataclasses.fields(self)]
        return BinaryTally(**{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def count(self) -> int:
        """Pairs counted."""
        return self.true_negative + self.false_positive + self.false_negative + self.true_positive

    @property
    def confusion(self) -> list[list[int]]:
        """`[[tn, fp], [fn, tp]]`: rows are labels, columns predictions."""
        return [[self.true_negative, self.false_positive], [self.false_negative, self.true_positive]]

    def rates(self) -> dict[str, float | None]:
        """Divides: `binary_rates` of these counts and the mean log loss; None where a rate is undefined."""
        rates = binary_rates(self.true_negative, self.false_positive, self.false_negative, self.true_positive)
        named = {name: None if np.isnan(rate) else float(rate) for name, rate in rates.items()}
        return named | {"log_loss": _ratio(self.log_loss_sum, self.count)}


def binary_rates(
    true_negative: Counts, false_positive: Counts, false_negative: Counts, true_positive: Counts
) -> dict[str, Rates]:
    """Computes the rates of one or many confusion tables, elementwise; NaN where a rate is undefined.

    `flipped_accuracy` is the accuracy after swapping the predicted classes. `f1` is that of class 1: 0 if nothing was
    predicted positive, undefined if no label is positive either. `mcc` is undefined if the labels hold one class only,
    and 0 if the predictions do, which is its limit (Chicco and Jurman 2020, doi:10.1186/s12864-019-6413-7).
    """
    tn, fp, fn, tp = (np.asarray(n, np.float64) for n in (true_negative, false_positive, false_negative, true_positive))
    count, predicted, positive = tn + fp + fn + tp, fp + tp, fn + tp
    label_spread = positive * (count - positive)
    mcc = _divide(tp * tn - fp * fn, np.sqrt(label_spread * predicted * (count - predicted)), undefined=0.0)
    return {
        "accuracy": _divide(tn + tp, count),
        "flipped_accuracy": _divide(fp + fn, count),
        "f1": _divide(2 * tp, predicted + positive),
        # Rounding can carry a perfect correlation past 1.
        "mcc": np.where(label_spread > 0, np.clip(mcc, -1.0, 1.0), np.nan),
        "predicted_positive_fraction": _divide(predicted, count),
    }


def _divide(numerator: Rates, denominator: Rates, undefined: float = np.nan) -> Rates:
    return np.divide(numerator, denominator, out=np.full(np.shape(denominator), undefined), where=denominator != 0)


def _ratio(numerator: float | int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None
