"""How far an AUROC, averaged over training seeds, would move had other pairs been drawn; without resampling.

Every row's influence on the AUROC is known in closed form, so that variances, also those of rows that come in groups
and of a difference between two rankings, are sums of squares. Near 1 a variance estimated from the rows collapses: the
interval then rests on the variance that each possible AUROC would have.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special, stats

from lingjax.evaluation.metrics import Labels, checked_labels

Interval = tuple[float, float]
Groups = Int[np.ndarray, " rows"]

CONFIDENCE = 0.95
NORMAL_QUANTILE = float(special.ndtri((1 + CONFIDENCE) / 2))
# Halvings of the range between an AUROC and the end of the scale: to 1e-12.
_HALVINGS = 40


@dataclasses.dataclass(frozen=True)
class RankedRows:
    """One or more rankings of the same rows, by training seed.

    `placements` holds, averaged over seeds, the share of the rows of the other label that a row is ordered rightly
    against, a tie counting one half. Their mean over either label is the AUROC.
    """

    positive: Bool[np.ndarray, " rows"]
    by_seed: Float[np.ndarray, "seeds rows"]

    @staticmethod
    def of(labels: Labels, scores: Float[np.ndarray, "seeds rows"]) -> "RankedRows":
        """Ranks the rows by every seed's scores, which must hold both labels."""
        positive = checked_labels(labels, scores[0])
        placements = np.empty(np.shape(scores))
        ranks = stats.rankdata(scores, axis=1)
        for label in (True, False):
            own = positive == label
            below = (ranks[:, own] - stats.rankdata(scores[:, own], axis=1)) / (~own).sum()
            placements[:, own] = below if label else 1 - below
        return RankedRows(positive, placements)

    @property
    def placements(self) -> Float[np.ndarray, " rows"]:
        """The mean over seeds."""
        return self.by_seed.mean(axis=0)

    @property
    def aurocs(self) -> Float[np.ndarray, " seeds"]:
        """The AUROC of every seed."""
        return self.by_seed[:, self.positive].mean(axis=1)

    @property
    def auroc(self) -> float:
        """The mean AUROC."""
        return float(self.aurocs.mean())

    def influences(self, placements: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
        """Returns how much each row moves the AUROC: placements less their label's mean, over the label's rows."""
        result = np.empty(placements.size)
        for label in (True, False):
            own = self.positive == label
            result[own] = (placements[own] - placements[own].mean()) / own.sum()
        return result

    def covariance(
        self, first: Float[np.ndarray, " rows"], second: Float[np.ndarray, " rows"], *, groups: Groups | None
    ) -> float:
        """Returns the covariance over items of two statistics, given by their influences.

        Rows are independent (DeLong et al. 1988, doi:10.2307/2531595) or come in groups, which are (Obuchowski 1997,
        doi:10.2307/2533958).
        """
        if groups is not None:
            count = int(groups.max()) + 1
            sums = [np.bincount(groups, one, count) for one in (first, second)]
            return float(sums[0] @ sums[1] * count / max(count - 1, 1))
        total = 0.0
        for label in (True, False):
            own = self.positive == label
            total += float(first[own] @ second[own]) * own.sum() / max(own.sum() - 1, 1)
        return total

    def variance(self, placements: Float[np.ndarray, " rows"], *, groups: Groups | None) -> float:
        """Returns the variance over items of the AUROC that these placements give."""
        influences = self.influences(placements)
        return self.covariance(influences, influences, groups=groups)


def auroc_interval(
    labels: Labels, scores: Float[np.ndarray, "seeds rows"], *, groups: Groups | None = None
) -> Interval | None:
    """Returns the interval over items of the AUROC averaged over seeds; None if a class is missing.

    The AUROCs whose distance from the measured one is at most z standard errors, the standard error being that at the
    possible AUROC (Newcombe's method 5, which does not collapse at 1), scaled by what the rows show: wider where they
    vary more than the formula expects or come in groups, narrower where the noise of several seeds cancels. Groups take
    Student's t in place of z.

    Source: Newcombe 2006, doi:10.1002/sim.2324.

    Args:
      labels: 0 or 1, for each row.
      scores: by seed.
      groups: the group of every row; rows of one group are drawn together. None: every row stands for itself.
    """
    positive = checked_labels(labels, scores[0])
    groups = together(groups)
    if positive.all() or not positive.any():
        return None
    return ranked_interval(RankedRows.of(positive, scores), groups=groups)


def ranked_interval(ranked: RankedRows, *, groups: Groups | None) -> Interval | None:
    """Returns `auroc_interval` of rows that are ranked already; None if either label occurs in one group only."""
    sizes = effective_sizes(ranked.positive, groups)
    if groups is not None and min(sizes) < 1.5:
        return None
    quantile = NORMAL_QUANTILE if groups is None else float(special.stdtrit(min(sizes) - 1, (1 + CONFIDENCE) / 2))
    scale = quantile**2 * _variance_scale(ranked, groups)
    value = ranked.auroc
    return _end(value, 0.0, scale, ranked.positive), _end(value, 1.0, scale, ranked.positive)


def auroc_difference_interval(
    labels: Labels,
    scores: Float[np.ndarray, "seeds rows"],
    rival_scores: Float[np.ndarray, "rival_seeds rows"],
    *,
    groups: Groups | None = None,
) -> Interval | None:
    """Returns the interval over items of AUROC(scores) - AUROC(rival_scores) on the same rows; None as for either.

    Both intervals are joined by the method of variance estimates recovery, with the correlation that the rows show:
    what makes a row hard for both cancels.

    Source: Zou and Donner 2008, doi:10.1002/sim.3095.
    """
    positive = checked_labels(labels, scores[0])
    if positive.all() or not positive.any():
        return None
    if np.array_equal(scores, rival_scores):
        return 0.0, 0.0
    groups = together(groups)
    ours, theirs = RankedRows.of(positive, scores), RankedRows.of(positive, rival_scores)
    intervals = [ranked_interval(one, groups=groups) for one in (ours, theirs)]
    if None in intervals:
        return None
    (low, high), (rival_low, rival_high) = intervals
    first, second = (one.influences(one.placements) for one in (ours, theirs))
    variances = [ours.covariance(one, one, groups=groups) for one in (first, second)]
    correlation = 0.0
    if min(variances) > 0:
        correlation = ours.covariance(first, second, groups=groups) / math.sqrt(math.prod(variances))
    value, rival = ours.auroc, theirs.auroc
    return (
        value - rival - _joined(value - low, rival_high - rival, correlation),
        value - rival + _joined(high - value, rival - rival_low, correlation),
    )


def together(groups: Groups | None) -> Groups | None:
    """Returns the groups numbered from 0 without gaps, or None where every row is alone in its own."""
    if groups is None or not groups.size:
        return None
    names, numbers = np.unique(groups, return_inverse=True)
    return None if names.size == groups.size else numbers.reshape(groups.size)


def effective_groups(groups: Groups) -> float:
    """Returns how many groups of equal size would tell as much: (sum of sizes)^2 / sum of sizes^2."""
    sizes = np.bincount(groups).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def item_variance(ranked: RankedRows, value: float, *, groups: Groups | None) -> float:
    """Returns the variance over items that a mean AUROC of `value` has: Newcombe's, scaled by what these rows show."""
    return _variance_scale(ranked, groups) * newcombe_variance(value, ranked.positive)


def effective_sizes(positive: Bool[np.ndarray, " rows"], groups: Groups | None) -> tuple[float, float]:
    """Returns how many rows, or groups of equal size, there are of label 1 and of label 0."""
    if groups is None:
        return float(positive.sum()), float((~positive).sum())
    return effective_groups(groups[positive]), effective_groups(groups[~positive])


def _variance_scale(ranked: RankedRows, groups: Groups | None) -> float:
    """Returns how many times Newcombe's variance the variance of the mean AUROC is, never guessed too small.

    What seeds agree on and how much groups widen are ratios of two variances of the same rows, which are steadier than
    the variances. With nothing to estimate them from (no row out of order), seeds agree and groups are as one row.
    """
    variance = ranked.variance(ranked.placements, groups=groups)
    single = ranked.variance(ranked.placements, groups=None)
    of_seeds = float(np.mean([ranked.variance(one, groups=None) for one in ranked.by_seed]))
    agreement = single / of_seeds if single > 0 else 1.0
    widening = 1.0
    if groups is not None:
        sizes = effective_sizes(ranked.positive, groups)
        rows = int(ranked.positive.sum()), int((~ranked.positive).sum())
        alike = max(count / size for count, size in zip(rows, sizes, strict=True))
        widening = max(1.0, variance / single) if single > 0 else alike
    expected = newcombe_variance(ranked.auroc, ranked.positive)
    return max(agreement * widening, variance / expected if expected > 0 else 0.0)


def newcombe_variance(value: float, positive: Bool[np.ndarray, " rows"]) -> float:
    """Returns the variance over items that an AUROC of `value` has with these label counts; see `auroc_interval`."""
    ones = int(positive.sum())
    zeros = positive.size - ones
    mean_less_one = (ones + zeros) / 2 - 1
    shape = 1 + mean_less_one * ((1 - value) / (2 - value) + value / (1 + value))
    return value * (1 - value) * shape / (ones * zeros)


def _end(value: float, limit: float, scale: float, positive: Bool[np.ndarray, " rows"]) -> float:
    """Returns the AUROC farthest from `value` towards `limit` that is still within reach, by bisection."""
    inside, outside = value, limit
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if (middle - value) ** 2 <= scale * newcombe_variance(middle, positive):
            inside = middle
        else:
            outside = middle
    return inside if abs(inside - limit) > 1e-9 else limit


def _joined(first: float, second: float, correlation: float) -> float:
    return math.sqrt(max(0.0, first**2 + second**2 - 2 * correlation * first * second))
