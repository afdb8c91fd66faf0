"""How well a sparse linear model predicts labels of rows it was not fitted on, from one family of features."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import linalg, special
from scipy.sparse import csr_array

from lingjax.evaluation.auroc_interval import Groups, Interval, auroc_interval
from lingjax.evaluation.giveaways.columns import Columns
from lingjax.evaluation.metrics import auroc

FOLDS = 5
MOST_FEATURES = 128
"""Features of a model: those that differ most between the labels of the rows it is fitted on."""

_ROWS_A_FEATURE = 6
# Standardised features and labels of variance 1/4: a row's worth of shrinking for every five rows.
_RIDGE_PER_ROW = 0.2
_SPREAD = 1.4
"""Fits on overlapping folds vary more than an interval over items knows.

With it, the largest lower bound of any family in 64 clean tables of 200 and 500 rows was 0.506 (`benchmarks.planted`,
seeds 100 and 101).
"""

_SHOWN_FEATURES = 3
_SHOWN_ROWS = 3


@dataclasses.dataclass(frozen=True)
class Probe:
    """What one family of features tells.

    Attributes:
      auroc: cross-validated.
      ci95: its interval over items.
      features: the features that weigh most, in words, with the label that they speak for.
      rows: numbers of the rows that the model is most surely right about.
    """

    auroc: float
    ci95: Interval | None
    features: Sequence[str]
    rows: Sequence[int]

    def lower_bound(self, probes: int, *, alpha: float) -> float:
        """Returns what the AUROC of one of so many probes is above, so that all of them together err in `alpha`."""
        if self.ci95 is None:
            return 0.0
        widening = _SPREAD * special.ndtri(alpha / probes) / special.ndtri(0.025)
        return float(self.auroc - widening * (self.auroc - self.ci95[0]))


@dataclasses.dataclass(frozen=True)
class Folds:
    """Rows dealt out for cross-validation.

    Attributes:
      of_row: the fold of every row.
      positive: whether its label is 1.
      shared: rows that an interval takes as drawn together; None if each stands for itself.
    """

    of_row: Int[np.ndarray, " rows"]
    positive: Bool[np.ndarray, " rows"]
    shared: Groups | None

    @property
    def usable(self) -> bool:
        """Whether every fold has rows of both labels to fit on and to rank."""
        for fold in range(FOLDS):
            held_out = self.positive[self.of_row == fold]
            rest = self.positive[self.of_row != fold]
            if not held_out.size or len(set(held_out)) + len(set(rest)) < 4:
                return False
        return True


def dealt(
    positive: Bool[np.ndarray, " rows"], groups: Int[np.ndarray, " rows"], *, seed: int
) -> Int[np.ndarray, " rows"]:
    """Deals groups out to folds, those with most rows of label 1 first, each to the fold that has fewest of them.

    Groups of one make-up go to the folds by the seed.
    """
    _, number = np.unique(groups, return_inverse=True)
    ones = np.bincount(number, weights=positive)
    sizes = np.bincount(number)
    shuffled = np.random.default_rng(seed).permutation(sizes.size)
    order = shuffled[np.lexsort((-sizes[shuffled], -ones[shuffled]))]
    fold_of_group = np.empty(sizes.size, np.int64)
    if sizes.max(initial=1) == 1:
        fold_of_group[order] = np.arange(order.size) % FOLDS
        return fold_of_group[number]
    loads = np.zeros((2, FOLDS))
    for group in order:
        weight = 0 if ones[group] else 1
        fold = int(np.lexsort((loads[1 - weight], loads[weight]))[0])
        fold_of_group[group] = fold
        loads[:, fold] += ones[group], sizes[group] - ones[group]
    return fold_of_group[number]


def probe(columns: Columns, folds: Folds) -> Probe | None:
    """Cross-validates a linear model on a family; None if the family has no features.

    In every fold the features that differ most between the labels are chosen on the other folds, standardised there and
    fitted by ridge regression, which for ranking equals a discriminant with shrunken covariance. Scores become ranks
    within the fold, because fits of different folds share no scale.
    """
    from scipy.stats import rankdata

    if not columns.count:
        return None
    matrix, positive = columns.matrix, folds.positive
    ranks = np.zeros(positive.size)
    weights = np.zeros(columns.count)
    for fold in range(FOLDS):
        held_out = folds.of_row == fold
        chosen, weight, scores = _fitted(matrix[~held_out], positive[~held_out], matrix[held_out])
        ranks[held_out] = rankdata(scores) / held_out.sum()
        weights[chosen] += weight
    return scored(ranks, folds, features=_in_words(columns, weights))


def scored(ranks: Float[np.ndarray, " rows"], folds: Folds, *, features: Sequence[str]) -> Probe:
    """Returns what scores say that were made for rows held out; ties take a middle rank."""
    positive = folds.positive
    surest = np.argsort(np.where(positive, -ranks, ranks - 1), kind="stable")[:_SHOWN_ROWS]
    return Probe(
        auroc(positive, ranks), auroc_interval(positive, ranks[None], groups=folds.shared), features, surest.tolist()
    )


def _fitted(
    train: csr_array, positive: Bool[np.ndarray, " rows"], held_out: csr_array
) -> tuple[Int[np.ndarray, " chosen"], Float[np.ndarray, " chosen"], Float[np.ndarray, " held_out"]]:
    """Returns the features chosen, their weights, and scores of the rows held out."""
    rows = positive.size
    centred = positive - positive.mean()
    mean = train.sum(axis=0) / rows
    squares = train.multiply(train).sum(axis=0) / rows
    spread = np.sqrt(np.maximum(squares - mean**2, 0))
    difference = np.abs(train.T @ centred)
    strength = np.divide(difference, spread, out=np.zeros_like(difference), where=spread > 1e-6)
    most = int(min(MOST_FEATURES, max(8, rows // _ROWS_A_FEATURE), (strength > 0).sum()))
    if not most:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(held_out.shape[0])
    chosen = np.argpartition(-strength, most - 1)[:most]
    standard = [(part[:, chosen].toarray() - mean[chosen]) / spread[chosen] for part in (train, held_out)]
    covariance = standard[0].T @ standard[0] + _RIDGE_PER_ROW * rows * np.eye(most)
    weight = linalg.solve(covariance, standard[0].T @ centred, assume_a="pos")
    return chosen, weight, standard[1] @ weight


def _in_words(columns: Columns, weights: Float[np.ndarray, " features"]) -> list[str]:
    order = np.argsort(-np.abs(weights), kind="stable")[:_SHOWN_FEATURES]
    return [f"{columns.describe(int(one))} (label {int(weights[one] > 0)})" for one in order if weights[one]]
