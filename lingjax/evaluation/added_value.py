"""Does a model know of the labels what the best control does not? Beside "better than", which a copy can be by luck.

The control is used as well as it can be: a logistic regression predicts labels from a flexible curve of its ranks. The
model enters as what its ranks do not share with that curve, so that a noisy copy of the control, or a transformation of
it, has nothing to offer, however sharp the step of the labels along the control is.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import special, stats

from lingjax.evaluation.auroc_interval import NORMAL_QUANTILE, Groups, Interval, RankedRows, together
from lingjax.evaluation.bootstrap import FEWEST_ROWS_OF_A_CLASS
from lingjax.evaluation.controls import ControlResult
from lingjax.evaluation.metrics import PairPredictions, log_losses
from lingjax.evaluation.paired_rows import mean_spread
from lingjax.evaluation.shortcuts import FOLDS, stratified_folds
from lingjax.evaluation.statistics import crossed_interval, seed_interval, shared_labels

STRATA = 10
"""Parts of about equally many rows by the control's score; equal scores stay together."""

_KNOTS = 6
# A control of few values is taken value by value: no curve need guess between them.
_MOST_VALUES_APART = 12
# Weak: it keeps coefficients finite where a control separates the labels of a fold. The inverse of scikit-learn's C.
_PENALTY = 0.01
_MOST_STEPS = 50
_SMALLEST_STEP, _SMALLEST_GAIN = 1e-9, 1e-8
# Of what a model has that the curve has not; less is rounding.
_LEAST_DEVIATION = 1e-6


@dataclasses.dataclass(frozen=True)
class AddedValue:
    """What a model adds to one control; figures are None where they are undefined.

    Attributes:
      control: its name.
      adds: whether the gain lies above 0 by every interval that is known, and the model ranks the right way within
        strata; None where too few rows, or controls that were not run, leave it open.
      reason: why `adds` is what it is, where no figure says so; else None.
      auroc_within_strata: the model's AUROC among rows whose control scores are alike; mean over seeds.
      auroc_within_strata_ci95: its interval over items.
      gain: nats a row by which control and model together predict labels of rows that they were not fitted on better
        than the control alone; mean over seeds, below 0 where there is nothing to gain.
      gain_over_items, gain_over_seeds, gain_over_both: its 95 % intervals.
    """

    control: str
    adds: bool | None
    reason: str | None = None
    auroc_within_strata: float | None = None
    auroc_within_strata_ci95: Interval | None = None
    gain: float | None = None
    gain_over_items: Interval | None = None
    gain_over_seeds: Interval | None = None
    gain_over_both: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """What the report's verdict holds beside `adds_to_best_control`."""
        intervals = {name: getattr(self, f"gain_over_{name}") for name in ("items", "seeds", "both")}
        return {
            "control": self.control,
            "reason": self.reason,
            "auroc_within_strata": self.auroc_within_strata,
            "auroc_within_strata_ci95": _listed(self.auroc_within_strata_ci95),
            "log_loss_gain": {"mean": self.gain}
            | {f"ci95_over_{name}": _listed(interval) for name, interval in intervals.items()},
        }


def added_value(
    predictions: Mapping[int, PairPredictions],
    *,
    name: str,
    control: ControlResult,
    groups: Groups | None = None,
    seed: int = 0,
) -> AddedValue:
    """Measures what the model adds to a control that has scores.

    Five folds, stratified by label; groups stay whole. The same folds serve the control alone and every seed of the
    model. A control that is a model counts as the mean of its seeds' ranks: it is taken as it was trained.

    Args:
      predictions: by training seed; all on the target's rows.
      name: the control's.
      control: its scores, which may be of a part of the rows.
      groups: the group of every row, None if every row stands for itself.
      seed: decides the folds.
    """
    labels = shared_labels(predictions).astype(bool)
    scores = np.stack([one.positive_probability for one in predictions.values()])
    rival = control.scores
    if control.rows is not None:
        labels, scores = labels[control.rows], scores[:, control.rows]
        groups = None if groups is None else groups[control.rows]
    groups = together(groups)
    if min(labels.sum(), (~labels).sum()) < FEWEST_ROWS_OF_A_CLASS:
        return AddedValue(name, None, reason="too few rows of a label")
    rival = _normal_scores(rival).mean(axis=0)
    if RankedRows.of(labels, rival[None]).auroc == 1.0:
        return AddedValue(name, False, reason="the control orders all rows rightly, so nothing can be added")
    within, within_interval = auroc_within_strata(labels, scores, rival, groups=groups)
    gains = _log_loss_gains(labels, scores, rival, groups, seed=seed)
    if gains is None:
        return AddedValue(name, None, "rows of a label are in too few groups", within, within_interval)
    by_seed = gains.mean(axis=1).tolist()
    spread = mean_spread(gains.mean(axis=0), groups=groups)
    intervals = (spread.interval, seed_interval(by_seed), crossed_interval(by_seed, spread))
    known = [one for one in intervals if one is not None]
    right_way = within is not None and within > 0.5
    adds = right_way and bool(known) and all(low > 0 for low, _ in known)
    return AddedValue(name, adds, None, within, within_interval, float(np.mean(by_seed)), *intervals)


def auroc_within_strata(
    labels: Bool[np.ndarray, " rows"],
    scores: Float[np.ndarray, "seeds rows"],
    control: Float[np.ndarray, " rows"],
    *,
    groups: Groups | None = None,
    strata: int = STRATA,
) -> tuple[float | None, Interval | None]:
    """Returns how often a positive outranks a negative of the same stratum, mean over seeds, and its interval.

    Strata count by the pairs of a positive and a negative that they hold (van Elteren's strata by size would favour
    those of one label). The interval is over items, by influences as in `RankedRows`, and normal. None where no stratum
    holds both labels; there is no interval where no row is out of order.

    Args:
      labels: 0 or 1, for each row.
      scores: the model's, by seed.
      control: by whose values strata are made.
      groups: the group of every row.
      strata: how many are made, fewer where many values are equal.
    """
    stratum = np.minimum((stats.rankdata(control, method="average") - 0.5) / labels.size * strata, strata - 1)
    stratum = stratum.astype(np.int64)
    total, value = 0, 0.0
    influences = np.zeros(labels.size)
    for number in np.unique(stratum):
        rows = np.flatnonzero(stratum == number)
        pairs = int(labels[rows].sum()) * int((~labels[rows]).sum())
        if not pairs:
            continue
        ranked = RankedRows.of(labels[rows], scores[:, rows])
        total += pairs
        value += pairs * ranked.auroc
        influences[rows] = pairs * ranked.influences(ranked.placements)
    if not total:
        return None, None
    value /= total
    variance = RankedRows(labels, influences[None]).covariance(influences, influences, groups=groups) / total**2
    half = NORMAL_QUANTILE * float(np.sqrt(variance))
    return value, (max(0.0, value - half), min(1.0, value + half)) if half else None


def _log_loss_gains(
    labels: Bool[np.ndarray, " rows"],
    scores: Float[np.ndarray, "seeds rows"],
    control: Float[np.ndarray, " rows"],
    groups: Groups | None,
    *,
    seed: int,
) -> Float[np.ndarray, "seeds rows"] | None:
    """Returns by seed how much smaller each row's log loss is with the model; None where a fold lacks a label."""
    curve = _curve(control)
    own = _normal_scores(scores).T
    own = own - curve @ np.linalg.lstsq(curve, own, rcond=None)[0]
    telling = np.flatnonzero(own.std(axis=0) > _LEAST_DEVIATION)
    folds = stratified_folds(labels, np.arange(labels.size) if groups is None else groups, seed=seed)
    gains = np.zeros(scores.shape)
    for fold in range(FOLDS):
        fitted, held_out = folds != fold, folds == fold
        if labels[fitted].all() or not labels[fitted].any():
            return None
        alone = fit_logistic(curve[fitted], labels[fitted])
        losses = log_losses(labels[held_out], special.expit(curve[held_out] @ alone))
        for number in telling:
            features = np.column_stack([curve, own[:, number]])
            both = fit_logistic(features[fitted], labels[fitted], start=np.append(alone, 0.0))
            gains[number, held_out] = losses - log_losses(labels[held_out], special.expit(features[held_out] @ both))
    return gains


def fit_logistic(
    features: Float[np.ndarray, "rows features"],
    labels: Bool[np.ndarray, " rows"],
    *,
    start: Float[np.ndarray, " features"] | None = None,
) -> Float[np.ndarray, " features"]:
    """Returns the coefficients of a logistic regression with a weak L2 penalty and no intercept, by Newton's method.

    What scikit-learn's `newton-cholesky` finds, in a tenth of its time for the few hundred rows and twenty fits of a
    target: its checks of arguments take longer than the arithmetic.

    Args:
      features: what the labels are told from, for each row.
      labels: 0 or 1, for each row.
      start: coefficients near those sought; 0 where there are none.
    """
    coefficients = np.zeros(features.shape[1]) if start is None else start
    penalty = np.eye(features.shape[1]) * _PENALTY

    def loss(at: Float[np.ndarray, " features"]) -> float:
        logits = features @ at
        return float(np.logaddexp(0, logits).sum() - logits[labels].sum() + at @ penalty @ at / 2)

    reached = loss(coefficients)
    for _ in range(_MOST_STEPS):
        probability = special.expit(features @ coefficients)
        gradient = features.T @ (probability - labels) + penalty @ coefficients
        curvature = (features.T * (probability * (1 - probability))) @ features + penalty
        step = np.linalg.solve(curvature, gradient)
        while (here := loss(coefficients - step)) > reached and np.abs(step).max() > _SMALLEST_STEP:
            step = step / 2
        coefficients, gained, reached = coefficients - step, reached - here, here
        if gained < _SMALLEST_GAIN:
            break
    return coefficients


def _curve(control: Float[np.ndarray, " rows"]) -> Float[np.ndarray, "rows features"]:
    """Returns features of which any smooth curve along the control's ranks is a sum; the first are 1 in sum."""
    from sklearn.preprocessing import SplineTransformer

    values, number = np.unique(control, return_inverse=True)
    if values.size <= _MOST_VALUES_APART:
        return (number[:, None] == np.arange(values.size)).astype(np.float64)
    ranks = (stats.rankdata(control)[:, None] - 0.5) / control.size
    knots = np.linspace(0, 1, _KNOTS)[:, None]
    splines = SplineTransformer(degree=3, knots=knots).fit_transform(ranks)
    # Deviates are steeper at the ends than any spline; with them a copy of the control leaves exactly nothing.
    return np.column_stack([splines, _normal_scores(control[None])[0]])


def _normal_scores(scores: Float[np.ndarray, "seeds rows"]) -> Float[np.ndarray, "seeds rows"]:
    """Returns the normal deviates of the ranks, by seed (Blom 1958): what any monotone transformation leaves alike."""
    return special.ndtri((stats.rankdata(scores, axis=1) - 0.375) / (scores.shape[1] + 0.25))


def _listed(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)
