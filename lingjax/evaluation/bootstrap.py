"""Bootstrap over items: how much a metric would move had other pairs been drawn.

A resample is a vector of weights (how often each row was drawn), so that a thousand of them turn every metric into a
matrix product. Rows that come in groups are drawn by the group. The AUROC needs no resampling: see `auroc_interval`.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from lingjax.evaluation.auroc_interval import (
    CONFIDENCE,
    NORMAL_QUANTILE,
    Groups,
    Interval,
    RankedRows,
    effective_groups,
    ranked_interval,
    together,
)
from lingjax.evaluation.metrics import (
    CALIBRATION_BINS,
    Labels,
    calibration_bins,
    checked_labels,
    log_losses,
)
from lingjax.evaluation.tally import binary_rates

FEWEST_ROWS_OF_A_CLASS = 10
"""Fewer rows of a class cannot tell luck from skill."""

FEW_ROWS_OF_A_CLASS = 25
"""Below this, intervals hold their 95 % less exactly."""

METRICS = (
    "accuracy",
    "flipped_accuracy",
    "auroc",
    "f1",
    "mcc",
    "log_loss",
    "ece",
    "predicted_positive_fraction",
)
# An interval is not reported if more than half of its resamples leave the metric undefined.
_LEAST_DEFINED_FRACTION = 0.5
# 2 M weights (16 MB in float64) a block bound the memory whatever the number of rows.
_WEIGHTS_PER_BLOCK = 2_000_000


@dataclasses.dataclass(frozen=True)
class ItemSpread:
    """How far one metric, averaged over training seeds, moves with the items drawn; None where mostly undefined."""

    interval: Interval | None
    variance: float | None


def metric_spreads(
    labels: Labels,
    positive_probabilities: Sequence[Float[np.ndarray, " rows"]],
    *,
    groups: Groups | None = None,
    seed: int = 0,
    replicates: int = 1000,
) -> dict[str, ItemSpread]:
    """Returns how far every metric would move over items, by metric.

    Percentile intervals of resamples that all seeds share (Efron and Tibshirani 1993, ch. 13), but that of the AUROC
    (see `auroc_interval`). A resample's calibration error is too large by nature (it adds noise to noise), so that of
    `ece` is shifted back by the bootstrap's bias. Groups are drawn whole, and the intervals of few of them are
    stretched to Student's t. An interval without any width, as constant predictions give, is none.

    Args:
      labels: 0 or 1, for each row.
      positive_probabilities: one array a training seed.
      groups: the group of every row; None if every row stands for itself.
      seed: decides the resamples.
      replicates: number of resamples.
    """
    positive = checked_labels(labels, positive_probabilities[0])
    if not positive.size:
        return dict.fromkeys(METRICS, ItemSpread(None, None))
    groups = together(groups)
    runs = [_PreparedRun(positive, probability) for probability in positive_probabilities]

    def averaged(weights: Float[np.ndarray, "block rows"]) -> dict[str, Float[np.ndarray, " block"]]:
        of_runs = [run.metrics(weights) for run in runs]
        return {name: np.mean([metrics[name] for metrics in of_runs], axis=0) for name in of_runs[0]}

    drawn = _resample_weights(positive.size, groups, seed=seed, replicates=replicates)
    blocks = [averaged(weights) for weights in drawn]
    resampled = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    measured = averaged(np.ones((1, positive.size)))
    resampled["ece"] = np.maximum(resampled["ece"] - resampled["ece"].mean() + measured["ece"][0], 0.0)
    stretch = _stretch(groups)
    spreads = {name: _item_spread(values, float(measured[name][0]), stretch) for name, values in resampled.items()}
    return {name: spreads.get(name) or _auroc_spread(positive, positive_probabilities, groups) for name in METRICS}


def _stretch(groups: Groups | None) -> float:
    """Returns how much wider than the bootstrap's the interval of a mean over few groups must be."""
    if groups is None:
        return 1.0
    count = effective_groups(groups)
    if count < 1.5:
        return math.inf
    return float(special.stdtrit(count - 1, (1 + CONFIDENCE) / 2)) / NORMAL_QUANTILE * math.sqrt(count / (count - 1))


def _auroc_spread(
    positive: Bool[np.ndarray, " rows"], scores: Sequence[Float[np.ndarray, " rows"]], groups: Groups | None
) -> ItemSpread:
    if positive.all() or not positive.any():
        return ItemSpread(None, None)
    ranked = RankedRows.of(positive, np.stack(scores))
    interval = ranked_interval(ranked, groups=groups)
    if interval is None:
        return ItemSpread(None, None)
    return ItemSpread(interval, ranked.variance(ranked.placements, groups=groups))


def _item_spread(values: Float[np.ndarray, " replicates"], measured: float, stretch: float) -> ItemSpread:
    defined = values[np.isfinite(values)]
    if defined.size < _LEAST_DEFINED_FRACTION * values.size or not math.isfinite(stretch):
        return ItemSpread(None, None)
    variance = float(defined.var()) * stretch**2
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    if low == high:
        return ItemSpread(None, variance)
    if stretch > 1:
        low, high = measured - stretch * (measured - low), measured + stretch * (high - measured)
    return ItemSpread((float(low), float(high)), variance)


def _resample_weights(
    rows: int, groups: Groups | None, *, seed: int, replicates: int
) -> Iterator[Float[np.ndarray, "block rows"]]:
    """Yields blocks of resamples with replacement, each as the number of times that every row was drawn."""
    rng = np.random.default_rng(seed)
    units = rows if groups is None else int(groups.max()) + 1
    block = max(1, min(replicates, _WEIGHTS_PER_BLOCK // max(rows, 1)))
    for first in range(0, replicates, block):
        size = min(block, replicates - first)
        drawn = rng.integers(0, units, size=(size, units)) + units * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)
        yield counts if groups is None else counts[:, groups]


class _PreparedRun:
    """One seed's predictions as per-row terms, so that every metric of a resample is a function of weighted sums."""

    def __init__(self, labels: Bool[np.ndarray, " rows"], probability: Float[np.ndarray, " rows"]):
        predicted = probability > 0.5
        confidence = np.maximum(probability, 1 - probability)
        in_bin = calibration_bins(probability)[:, None] == np.arange(CALIBRATION_BINS)
        cells = [~labels & ~predicted, ~labels & predicted, labels & ~predicted, labels & predicted]
        self._cells = np.stack(cells, axis=1).astype(np.float64)
        self._log_losses = log_losses(labels, probability)
        self._calibration_gaps = in_bin * ((predicted == labels) - confidence)[:, None]

    def metrics(self, weights: Float[np.ndarray, "block rows"]) -> dict[str, Float[np.ndarray, " block"]]:
        rows = weights.sum(axis=1)
        return binary_rates(*(weights @ self._cells).T) | {
            "log_loss": weights @ self._log_losses / rows,
            "ece": np.abs(weights @ self._calibration_gaps).sum(axis=1) / rows,
        }
