"""What these rows, label counts and seeds could have shown, and whether they show that there is nothing to see.

An interval that holds chance has two explanations: no transfer, or too few rows. Power tells how much transfer would
have been seen; equivalence, whether more than a trifle is excluded.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special

from lingjax.evaluation.auroc_interval import (
    CONFIDENCE,
    Groups,
    RankedRows,
    effective_sizes,
    item_variance,
    newcombe_variance,
    together,
)
from lingjax.evaluation.bootstrap import FEWEST_ROWS_OF_A_CLASS
from lingjax.evaluation.metrics import PairPredictions
from lingjax.evaluation.paired_rows import mean_spread
from lingjax.evaluation.recorded import Recorded
from lingjax.evaluation.statistics import shared_labels

CHANCE_AUROC = 0.5

POWER = 0.8
"""Share of repetitions in which an effect is to be shown."""

MARGIN = 0.05
"""Nearer to 0.5 than this an AUROC is no transfer worth the name: of 100 pairs of a positive and a negative, chance
orders 50 rightly and such a model at most 55."""

LEVEL = 0.05
"""Of each of the two one-sided tests."""

_REPETITIONS = 4_000
_HALVINGS = 20


@dataclasses.dataclass(frozen=True)
class Power:
    """The smallest AUROC and accuracy that would have been shown in 80 % of repetitions; None where none would.

    `accuracy` is to be shown above `commoner_label`, the share of the target's commoner label.
    """

    auroc: float | None
    accuracy: float | None
    commoner_label: float

    def to_json(self) -> dict[str, Any]:
        """What the report's verdict holds."""
        return {"of_repetitions": POWER} | dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Equivalence(Recorded):
    """Whether the AUROC is shown to lie within `margin` of 0.5: two one-sided tests, `p` the larger of both.

    Both must hold over items, over seeds and over both, as far as there are several seeds; with one, it is said of this
    trained model.
    """

    margin: float
    shown: bool
    p: float


def detectable(
    predictions: Mapping[int, PairPredictions], *, groups: Groups | None = None, seed: int = 0
) -> Power | None:
    """Returns what would have been shown; None if a label has too few rows for any verdict.

    Repetitions are drawn: the mean of new models on new rows has the variance over items that an AUROC (or a share) of
    that size has, scaled by what these rows show of seeds and groups, and the variance over seeds that these seeds
    show. Shown is what the intervals over items, over seeds and over both put above chance. With few seeds their
    variance, and with it this figure, is rough.

    Args:
      predictions: by training seed; all on the same rows.
      groups: the group of every row, None if every row stands for itself.
      seed: decides the draws.
    """
    labels = shared_labels(predictions).astype(bool)
    share = max(float(labels.mean()), 1 - float(labels.mean())) if labels.size else 0.0
    if min(labels.sum(), (~labels).sum()) < FEWEST_ROWS_OF_A_CLASS:
        return None
    groups = together(groups)
    probability = np.stack([one.positive_probability for one in predictions.values()])
    ranked = RankedRows.of(labels, probability)
    right = ((probability > 0.5) == labels).astype(np.float64)
    inflation = _share_inflation(right, groups)
    scale = item_variance(ranked, CHANCE_AUROC, groups=groups) / newcombe_variance(CHANCE_AUROC, labels)
    of_values = {
        "auroc": (CHANCE_AUROC, lambda value: scale * newcombe_variance(value, labels), ranked.aurocs),
        "accuracy": (share, lambda value: inflation * value * (1 - value) / labels.size, right.mean(axis=1)),
    }
    smallest = {
        name: _smallest(
            chance,
            variance,
            deviation=_deviation(values),
            freedom=_item_freedom(labels, groups),
            seeds=values.size,
            rng=np.random.default_rng(seed),
        )
        for name, (chance, variance, values) in of_values.items()
    }
    return Power(**smallest, commoner_label=share)


def equivalence(
    predictions: Mapping[int, PairPredictions], *, groups: Groups | None = None, margin: float = MARGIN
) -> Equivalence | None:
    """Tests whether the AUROC, mean over seeds, lies within `margin` of 0.5; None if a label has too few rows.

    Source: two one-sided tests, Schuirmann 1987, doi:10.1007/BF01068419; the standard error over items is that at the
    margin, as in the intervals.

    Args:
      predictions: by training seed; all on the same rows.
      groups: the group of every row, None if every row stands for itself.
      margin: above 0 and below 0.5.
    """
    labels = shared_labels(predictions).astype(bool)
    groups = together(groups)
    freedom = _item_freedom(labels, groups)
    if min(labels.sum(), (~labels).sum()) < FEWEST_ROWS_OF_A_CLASS or freedom <= 0:
        return None
    ranked = RankedRows.of(labels, np.stack([one.positive_probability for one in predictions.values()]))
    seeds = ranked.aurocs.size
    over_seeds = float(np.var(ranked.aurocs, ddof=1)) / seeds if seeds > 1 else 0.0
    p = 0.0
    for limit, distance in (
        (CHANCE_AUROC - margin, ranked.auroc - CHANCE_AUROC + margin),
        (CHANCE_AUROC + margin, CHANCE_AUROC + margin - ranked.auroc),
    ):
        over_items = item_variance(ranked, limit, groups=groups)
        p = max(p, _tail(distance, over_items, freedom))
        if over_seeds:
            both = over_items + over_seeds
            p = max(p, _tail(distance, over_seeds, seeds - 1), _tail(distance, both, _freedom(both, over_seeds, seeds)))
    return Equivalence(margin, p <= LEVEL, p)


def _tail(distance: float, variance: float, freedom: float) -> float:
    return float(special.stdtr(freedom, -distance / math.sqrt(variance)))


def _freedom(both: Any, over_seeds: Any, seeds: int) -> Any:
    """Returns Satterthwaite's degrees of freedom, as `crossed_interval` has them."""
    return (seeds - 1) * (both / over_seeds) ** 2


def _item_freedom(labels: np.ndarray, groups: Groups | None) -> float:
    return math.inf if groups is None else min(effective_sizes(labels, groups)) - 1


def _share_inflation(right: Float[np.ndarray, "seeds rows"], groups: Groups | None) -> float:
    """Returns how many times the variance of one model's share on independent rows the mean's over seeds is."""
    share = float(right.mean())
    expected = share * (1 - share) / right.shape[1]
    variance = mean_spread(right.mean(axis=0), groups=groups).variance
    return variance / expected if expected and variance else 1.0


def _smallest(
    chance: float,
    variance: Callable[[float], float],
    *,
    deviation: float,
    freedom: float,
    seeds: int,
    rng: np.random.Generator,
) -> float | None:
    """Returns the smallest value that is shown to lie above `chance` in `POWER` of the repetitions.

    Args:
      chance: what is to be excluded.
      variance: over items, of a value.
      deviation: the standard deviation of one seed.
      freedom: degrees of freedom of the variance over items.
      seeds: how many are trained.
      rng: draws the repetitions.
    """
    if freedom <= 0 or chance >= 1:
        return None
    of_items, of_seeds = rng.standard_normal(_REPETITIONS), deviation * rng.standard_normal((_REPETITIONS, seeds))
    needed = _quantile(freedom) * math.sqrt(variance(chance))
    if seeds > 1 and deviation:
        over_seeds = of_seeds.var(axis=1, ddof=1) / seeds
        both = variance(chance) + over_seeds
        needed = np.maximum(needed, _quantile(seeds - 1) * np.sqrt(over_seeds))
        needed = np.maximum(needed, _quantile(_freedom(both, over_seeds, seeds)) * np.sqrt(both))

    def power(value: float) -> float:
        means = value + math.sqrt(variance(value)) * of_items + of_seeds.mean(axis=1)
        return float(np.mean(np.minimum(means, 1.0) - chance > needed))  # no figure exceeds 1

    low, high = chance, 1.0
    if power(high) < POWER:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle) < POWER else (low, middle)
    return high


def _deviation(values: Float[np.ndarray, " seeds"]) -> float:
    """Returns the standard deviation of seeds without the bias that few have: of three, 11 % too small on average."""
    if values.size < 2:
        return 0.0
    half = (values.size - 1) / 2
    bias = math.exp(special.gammaln(half + 0.5) - special.gammaln(half)) / math.sqrt(half)
    return float(np.std(values, ddof=1)) / bias


def _quantile(freedom: Any) -> Any:
    return special.stdtrit(np.minimum(freedom, 1e9), (1 + CONFIDENCE) / 2)
