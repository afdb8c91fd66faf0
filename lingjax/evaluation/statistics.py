"""Intervals over items (which pairs were drawn), over seeds (which training run was drawn) and over both, at 95 %."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy import special, stats

from lingjax.evaluation.auroc_interval import (
    CONFIDENCE,
    NORMAL_QUANTILE,
    Groups,
    Interval,
    auroc_interval,
    effective_groups,
    together,
)
from lingjax.evaluation.bootstrap import METRICS, ItemSpread, metric_spreads
from lingjax.evaluation.metrics import PairPredictions, expected_ece_if_calibrated, pair_metrics

# The ranges, to which intervals over seeds are cut, of the metrics that do not lie within 0 to 1.
_BOUNDS: dict[str, Interval] = {"mcc": (-1.0, 1.0), "log_loss": (0.0, math.inf)}
_PROPORTIONS = ("accuracy", "flipped_accuracy", "predicted_positive_fraction")


@dataclasses.dataclass(frozen=True)
class MetricSummary:
    """One metric over all seeds; None where it is undefined, where one seed cannot tell, or where nothing varies.

    Left out of the report where they do not apply: `expected_if_calibrated`, the `ece` that honest probabilities would
    have on as many rows; `group_widening`, how many times wider the interval over items of the AUROC is because rows
    come in groups.
    """

    mean: float | None
    std_over_seeds: float | None
    ci95_over_items: Interval | None
    ci95_over_seeds: Interval | None
    ci95_over_both: Interval | None
    expected_if_calibrated: float | None = None
    group_widening: float | None = None

    def to_json(self) -> dict[str, float | list[float] | None]:
        """The summary with intervals as `[lo, hi]`."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
            if value is not None or name not in ("expected_if_calibrated", "group_widening")
        }


def wilson_interval(successes: int, count: int) -> Interval:
    """Returns the score interval of a proportion, which holds its 95 % also near 0 and 1 and for few trials.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.

    Raises:
      ValueError: `count` is not positive or `successes` lies outside 0 to `count`.
    """
    if count < 1 or not 0 <= successes <= count:
        raise ValueError(f"a proportion needs 0 <= successes <= count and count >= 1, got {successes} of {count}")
    interval = stats.binomtest(successes, count).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def seed_interval(values: Sequence[float], *, bounds: Interval = (-math.inf, math.inf)) -> Interval | None:
    """Returns Student's t interval of the mean over independent training runs, cut to `bounds`.

    None for one run, and for runs that do not differ at all: they do not tell how far others would.
    """
    if len(values) < 2 or len(set(values)) == 1:
        return None
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(special.stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * deviation / math.sqrt(len(values))
    return max(bounds[0], mean - half), min(bounds[1], mean + half)


def crossed_interval(
    values: Sequence[float], spread: ItemSpread, *, bounds: Interval = (-math.inf, math.inf)
) -> Interval | None:
    """Returns the interval of the mean for other items and other training runs alike; None for one run.

    Items and seeds are crossed random effects: every seed is scored on every item. The variance of the mean is that
    over items plus that over seeds, with Student's t and Satterthwaite's degrees of freedom for the few seeds. Both
    parts hold how far seeds disagree about items; counting that twice keeps the interval on the safe side. As its
    question is wider, it is never narrower than Student's t interval over seeds. Resampling the seeds, as a
    hierarchical bootstrap does, knows too little of their spread: of three seeds drawn with replacement two are mostly
    the same.

    Source: Satterthwaite 1946, doi:10.2307/3002019.

    Args:
      values: the metric by seed.
      spread: how the same metric varies over items.
      bounds: the range to which the interval is cut.
    """
    if len(values) < 2 or spread.variance is None:
        return None
    over_seeds = float(np.var(values, ddof=1)) / len(values)
    variance = spread.variance + over_seeds
    freedom = (len(values) - 1) * (variance / over_seeds) ** 2 if over_seeds else math.inf
    half = max(_half(freedom, variance), _half(len(values) - 1, over_seeds))
    mean = float(np.mean(values))
    return max(bounds[0], mean - half), min(bounds[1], mean + half)


def difference_interval(
    first: Sequence[float],
    second: Sequence[float],
    *,
    over_items: Interval,
    bounds: Interval = (-1.0, 1.0),
    paired: bool = False,
) -> Interval | None:
    """Returns the interval of mean(second) - mean(first) for other items and other training runs; None for one run.

    As `crossed_interval`, with two groups of seeds: the variance over items plus those over the seeds of either run,
    Student's t and Satterthwaite's degrees of freedom for the few seeds, and never narrower than Welch's interval over
    the seeds alone.

    Source: Welch 1947, doi:10.1093/biomet/34.1-2.28; Satterthwaite 1946, doi:10.2307/3002019.

    Args:
      first: the metric by seed.
      second: likewise, of the other run.
      over_items: 95 % interval of the difference over items, whose width tells the variance over items.
      bounds: the range to which the interval is cut.
      paired: whether the runs at the same place share a seed, whose effect then cancels: what varies is their
        difference, with one degree of freedom less than there are seeds.

    Raises:
      ValueError: paired, and the two have not equally many runs.
    """
    if min(len(first), len(second)) < 2:
        return None
    varying = [np.subtract(second, first)] if paired else [first, second]
    over_seeds = [float(np.var(values, ddof=1)) / len(values) for values in varying]
    spread = sum(one**2 / (len(values) - 1) for one, values in zip(over_seeds, varying, strict=True))
    items = ((over_items[1] - over_items[0]) / (2 * NORMAL_QUANTILE)) ** 2
    variances = (items + sum(over_seeds), sum(over_seeds))
    half = max(_half(variance**2 / spread if spread else math.inf, variance) for variance in variances)
    value = float(np.mean(second) - np.mean(first))
    return max(value - half, bounds[0]), min(value + half, bounds[1])


def _half(freedom: float, variance: float) -> float:
    return float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)


def summarise(
    predictions: Mapping[int, PairPredictions],
    *,
    groups: Groups | None = None,
    seed: int = 0,
    replicates: int = 1000,
) -> dict[str, MetricSummary]:
    """Summarises every metric over training seeds.

    `ci95_over_items` is a percentile bootstrap over items of the seed-averaged metric (the same resample for all
    seeds; see `bootstrap.metric_spreads`), for the AUROC `auroc_interval`. With a single seed the three proportions
    (accuracy, flipped accuracy, predicted-positive fraction) get Wilson's interval instead, which does not collapse at
    0 and 1; the mean of several is never narrower than Wilson's by more than the square root of the number of seeds.
    `ci95_over_seeds` is Student's t interval of the mean over seeds, on these items; `ci95_over_both` that for other
    items and other seeds (see `crossed_interval`), which holds the other two.

    Args:
      predictions: by training seed; all on the same rows.
      groups: the group of every row (see `text_groups`); None if every row stands for itself.
      seed: decides the resamples.
      replicates: number of resamples.

    Raises:
      ValueError: no predictions, or seeds that saw different rows or labels.
    """
    labels = shared_labels(predictions)
    per_seed = [pair_metrics(labels, one.positive_probability).to_json() for one in predictions.values()]
    probabilities = [one.positive_probability for one in predictions.values()]
    groups = together(groups)
    spreads = metric_spreads(labels, probabilities, groups=groups, seed=seed, replicates=replicates)
    if labels.size:
        right = {
            name: np.array([_counted(name, one) for one in predictions.values()], np.float64) for name in _PROPORTIONS
        }
        spreads |= {name: _proportion_spread(right[name], spreads[name], groups) for name in _PROPORTIONS}
    summary = {}
    for name in METRICS:
        values = [metrics[name] for metrics in per_seed]
        if None in values:
            summary[name] = MetricSummary(None, None, None, None, None)
            continue
        bounds = _BOUNDS.get(name, (0.0, 1.0))
        by_items = _cut(spreads[name].interval, bounds)
        by_seeds = seed_interval(values, bounds=bounds)
        summary[name] = MetricSummary(
            mean=float(np.mean(values)),
            std_over_seeds=float(np.std(values, ddof=1)) if len(values) > 1 else None,
            ci95_over_items=by_items,
            ci95_over_seeds=by_seeds,
            ci95_over_both=_holding(crossed_interval(values, spreads[name], bounds=bounds), by_items, by_seeds),
        )
    if summary["ece"].mean is not None:
        expected = float(np.mean([expected_ece_if_calibrated(one, seed=seed) for one in probabilities]))
        summary["ece"] = dataclasses.replace(summary["ece"], expected_if_calibrated=expected)
    auroc = summary["auroc"]
    if groups is not None and auroc.ci95_over_items is not None:
        alone = auroc_interval(labels, np.stack(probabilities))
        widening = (auroc.ci95_over_items[1] - auroc.ci95_over_items[0]) / (alone[1] - alone[0])
        summary["auroc"] = dataclasses.replace(auroc, group_widening=widening)
    return summary


def _counted(name: str, predictions: PairPredictions) -> Float[np.ndarray, " rows"]:
    predicted = predictions.positive_probability > 0.5
    if name == "predicted_positive_fraction":
        return predicted
    return (predicted == predictions.labels) if name == "accuracy" else (predicted != predictions.labels)


def _proportion_spread(
    counted: Float[np.ndarray, "seeds rows"], spread: ItemSpread, groups: Groups | None
) -> ItemSpread:
    """Returns the spread with Wilson's interval, which has a width where nothing varies.

    Groups count for as many rows as they tell of: for one row each where all rows are counted alike.
    """
    seeds, rows = counted.shape
    share, count = float(counted.mean()), rows
    if groups is not None:
        means = counted.mean(axis=0)
        plain, units = means.var(), effective_groups(groups)
        count = int(units) if not plain or not spread.variance else min(rows, round(plain / spread.variance))
        count = max(count, 1)
    trials = seeds * count
    wilson = wilson_interval(min(trials, round(share * trials)), trials)
    interval = wilson if seeds == 1 and groups is None else _holding(wilson, spread.interval)
    implied = ((wilson[1] - wilson[0]) / (2 * NORMAL_QUANTILE)) ** 2
    return ItemSpread(interval, max(implied, spread.variance or 0.0))


def _cut(interval: Interval | None, bounds: Interval) -> Interval | None:
    return None if interval is None else (max(bounds[0], interval[0]), min(bounds[1], interval[1]))


def _holding(interval: Interval | None, *others: Interval | None) -> Interval | None:
    """Returns the interval, stretched until it holds the others."""
    if interval is None:
        return None
    known = [interval, *(one for one in others if one is not None)]
    return min(low for low, _ in known), max(high for _, high in known)


def shared_labels(predictions: Mapping[int, PairPredictions]) -> Int[np.ndarray, " rows"]:
    """Returns the labels that all seeds were scored on.

    Raises:
      ValueError: no predictions, or seeds that saw different rows or labels.
    """
    if not predictions:
        raise ValueError("predictions of at least one seed are needed")
    first_seed, first = next(iter(predictions.items()))
    for seed, other in predictions.items():
        if not np.array_equal(first.row_ids, other.row_ids) or not np.array_equal(first.labels, other.labels):
            raise ValueError(f"seeds {first_seed} and {seed} were evaluated on different rows or labels")
    return first.labels
