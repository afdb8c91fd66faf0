"""Bootstrap over items: how much a metric would move had other pairs been drawn.

A resample is a vector of weights (how often each row was drawn), so that a thousand of them turn every metric into a
matrix product, and the AUROC into a cumulative sum over scores that are sorted once.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float

from lingjax.evaluation.metrics import (
    CALIBRATION_BINS,
    Labels,
    calibration_bins,
    checked_labels,
    log_losses,
)
from lingjax.evaluation.tally import binary_rates

Interval = tuple[float, float]

CONFIDENCE = 0.95
FEWEST_ROWS_OF_A_CLASS = 10
"""A bootstrap over fewer rows of a class cannot tell luck from skill; it may even have no width."""

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
    seed: int = 0,
    replicates: int = 1000,
) -> dict[str, ItemSpread]:
    """Returns how far every metric would move over items, by metric.

    Percentile intervals of resamples that all seeds share (Efron and Tibshirani 1993, ch. 13). A resample's calibration
    error is too large by nature (it adds noise to noise), so that of `ece` is shifted back by the bootstrap's bias.

    Args:
      positive_probabilities: one array a training seed.
    """
    positive = checked_labels(labels, positive_probabilities[0])
    if not positive.size:
        return dict.fromkeys(METRICS, ItemSpread(None, None))
    runs = [_PreparedRun(positive, probability) for probability in positive_probabilities]

    def averaged(weights: Float[np.ndarray, "block rows"]) -> dict[str, Float[np.ndarray, " block"]]:
        of_runs = [run.metrics(weights) for run in runs]
        return {name: np.mean([metrics[name] for metrics in of_runs], axis=0) for name in METRICS}

    blocks = [averaged(weights) for weights in _resample_weights(positive.size, seed=seed, replicates=replicates)]
    resampled = {name: np.concatenate([block[name] for block in blocks]) for name in METRICS}
    measured_ece = averaged(np.ones((1, positive.size)))["ece"][0]
    resampled["ece"] = np.maximum(resampled["ece"] - resampled["ece"].mean() + measured_ece, 0.0)
    return {name: _item_spread(values) for name, values in resampled.items()}


def _item_spread(values: Float[np.ndarray, " replicates"]) -> ItemSpread:
    interval = _percentile_interval(values)
    return ItemSpread(interval, None if interval is None else float(np.nanvar(values)))


def auroc_interval(
    labels: Labels, scores: Float[np.ndarray, "seeds rows"], *, seed: int = 0, replicates: int = 1000
) -> Interval | None:
    """Returns the bootstrap interval over items of the AUROC averaged over seeds; None if a class is missing."""
    labels = checked_labels(labels, scores[0])
    return _percentile_interval(_bootstrap_mean_auroc(labels, scores, seed=seed, replicates=replicates))


def auroc_difference_interval(
    labels: Labels,
    scores: Float[np.ndarray, "seeds rows"],
    rival_scores: Float[np.ndarray, "rival_seeds rows"],
    *,
    seed: int = 0,
    replicates: int = 1000,
) -> Interval | None:
    """Returns the interval over items of AUROC(scores) - AUROC(rival_scores), both on the same resamples.

    Pairing removes the noise that both share: which items happened to be drawn.
    """
    labels = checked_labels(labels, scores[0])
    ours = _bootstrap_mean_auroc(labels, scores, seed=seed, replicates=replicates)
    return _percentile_interval(ours - _bootstrap_mean_auroc(labels, rival_scores, seed=seed, replicates=replicates))


def _resample_weights(rows: int, *, seed: int, replicates: int) -> Iterator[Float[np.ndarray, "block rows"]]:
    """Yields blocks of resamples with replacement, each as the number of times that every row was drawn."""
    rng = np.random.default_rng(seed)
    block = max(1, min(replicates, _WEIGHTS_PER_BLOCK // max(rows, 1)))
    for first in range(0, replicates, block):
        size = min(block, replicates - first)
        drawn = rng.integers(0, rows, size=(size, rows)) + rows * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows).astype(np.float64)


def _bootstrap_mean_auroc(
    labels: Bool[np.ndarray, " rows"], scores: Float[np.ndarray, "seeds rows"], *, seed: int, replicates: int
) -> Float[np.ndarray, " replicates"]:
    if not labels.size:
        return np.full(replicates, np.nan)
    ranked = [_RankedScores(labels, run) for run in scores]
    return np.concatenate(
        [
            np.mean([one.auroc(weights) for one in ranked], axis=0)
            for weights in _resample_weights(labels.size, seed=seed, replicates=replicates)
        ]
    )


class _RankedScores:
    """Scores sorted once, so that the AUROC of each weighting of the rows costs one cumulative sum and no sort."""

    def __init__(self, labels: Bool[np.ndarray, " rows"], scores: Float[np.ndarray, " rows"]):
        self._order = np.argsort(scores, kind="stable")
        ordered = np.asarray(scores)[self._order]
        self._tie_starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        self._positive = labels[self._order].astype(np.float64)

    def auroc(self, weights: Float[np.ndarray, "block rows"]) -> Float[np.ndarray, " block"]:
        """Returns a weighted AUROC a row of `weights`, ties counting one half; NaN where a class has no weight."""
        ordered = weights[:, self._order]
        positive = ordered * self._positive
        negative = ordered - positive
        if self._tie_starts.size < ordered.shape[1]:
            positive = np.add.reduceat(positive, self._tie_starts, axis=1)
            negative = np.add.reduceat(negative, self._tie_starts, axis=1)
        negatives_below = np.cumsum(negative, axis=1) - negative / 2
        wins = np.einsum("ij,ij->i", positive, negatives_below)
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        return np.divide(wins, pairs, out=np.full(wins.shape, np.nan), where=pairs > 0)


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
        self._ranked = _RankedScores(labels, probability)

    def metrics(self, weights: Float[np.ndarray, "block rows"]) -> dict[str, Float[np.ndarray, " block"]]:
        rows = weights.shape[1]
        return binary_rates(*(weights @ self._cells).T) | {
            "auroc": self._ranked.auroc(weights),
            "log_loss": weights @ self._log_losses / rows,
            "ece": np.abs(weights @ self._calibration_gaps).sum(axis=1) / rows,
        }


def _percentile_interval(values: Float[np.ndarray, " replicates"]) -> Interval | None:
    defined = values[np.isfinite(values)]
    if defined.size < _LEAST_DEFINED_FRACTION * values.size:
        return None
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
