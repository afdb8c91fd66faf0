"""Differences row by row between two predictions of the same rows: their mean, and how often each is the better."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float
from scipy import special, stats

from lingjax.evaluation.auroc_interval import CONFIDENCE, Groups, effective_groups, together
from lingjax.evaluation.bootstrap import ItemSpread
from lingjax.evaluation.recorded import Recorded


@dataclasses.dataclass(frozen=True)
class PairedTest(Recorded):
    """How many rows (or groups of rows) only one of two predictions has right, and McNemar's exact p, two-sided."""

    first_only: int
    second_only: int
    p: float


def mcnemar_test(
    first_right: Float[np.ndarray, " rows"], second_right: Float[np.ndarray, " rows"], *, groups: Groups | None = None
) -> PairedTest:
    """Tests whether two predictions are right equally often: of the rows where they differ, half for each.

    Of several seeds, a row counts for the side of which more seeds are right (a sign test; McNemar's for one seed).
    Rows of a group count once, for the side that is right in more of them.

    Source: McNemar 1947, doi:10.1007/BF02295996, by the binomial distribution in place of chi squared.

    Args:
      first_right: share of seeds that are right, by row.
      second_right: likewise.
      groups: the group of every row, None if every row stands for itself.

    >>> mcnemar_test(np.array([1.0, 1, 0, 0]), np.array([1.0, 1, 1, 1]))
    PairedTest(first_only=0, second_only=2, p=0.5)
    """
    gains = np.asarray(second_right, np.float64) - first_right
    groups = together(groups)
    if groups is not None:
        gains = np.bincount(groups, gains)
    wins, losses = int((gains > 1e-9).sum()), int((gains < -1e-9).sum())
    p = float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    return PairedTest(first_only=losses, second_only=wins, p=p)


def mean_spread(values: Float[np.ndarray, " rows"], *, groups: Groups | None = None) -> ItemSpread:
    """Returns Student's t interval of a mean over rows and its variance; of groups where rows hang together.

    None where nothing varies or there are fewer than two rows or groups.

    Source: the variance of a mean of clusters, Cochran 1977, section 9.3 (influences summed by group).
    """
    values = np.asarray(values, np.float64)
    groups = together(groups)
    influences = (values - values.mean()) / max(values.size, 1) if values.size else values
    count, freedom = values.size, values.size - 1.0
    if groups is not None:
        influences = np.bincount(groups, influences)
        count, freedom = influences.size, effective_groups(groups) - 1
    if count < 2 or freedom <= 0:
        return ItemSpread(None, None)
    variance = float(influences @ influences) * count / (count - 1)
    if not variance:
        return ItemSpread(None, None)
    half = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    mean = float(values.mean())
    return ItemSpread((mean - half, mean + half), variance)
