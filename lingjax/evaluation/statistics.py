"""Intervals over items (which pairs were drawn), over seeds (which training run was drawn) and over both, at 95 %."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int
from scipy import special

from lingjax.evaluation.bootstrap import CONFIDENCE, METRICS, Interval, ItemSpread, metric_spreads
from lingjax.evaluation.metrics import PairPredictions, pair_metrics

# The ranges, to which intervals over seeds are cut, of the metrics that do not lie within 0 to 1.
_BOUNDS: dict[str, Interval] = {"mcc": (-1.0, 1.0), "log_loss": (0.0, math.inf)}
_PROPORTIONS = ("accuracy", "flipped_accuracy", "predicted_positive_fraction")


@dataclasses.dataclass(frozen=True)
class MetricSummary:
    """One metric over all seeds; None where it is undefined, or where one seed cannot tell."""

    mean: float | None
    std_over_seeds: float | None
    ci95_over_items: Interval | None
    ci95_over_seeds: Interval | None
    ci95_over_both: Interval | None

    def to_json(self) -> dict[str, float | list[float] | None]:
        """The summary with intervals as `[lo, hi]`."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }


def wilson_interval(successes: int, count: int) -> Interval:
    """Returns the score interval of a proportion, which holds its 95 % also near 0 and 1 and for few trials.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.

    Raises:
      ValueError: `count` is not positive or `successes` lies outside 0 to `count`.
    """
    if count < 1 or not 0 <= successes <= count:
        raise ValueError(f"a proportion needs 0 <= successes <= count and count >= 1, got {successes} of {count}")
    z = float(special.ndtri((1 + CONFIDENCE) / 2))
    share = successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def seed_interval(values: Sequence[float], *, bounds: Interval = (-math.inf, math.inf)) -> Interval | None:
    """Returns Student's t interval of the mean over independent training runs, cut to `bounds`; None for one run."""
    if len(values) < 2:
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
    parts hold how far seeds disagree about items; counting that twice keeps the interval on the safe side. The tests
    hold its coverage to 93 to 97 % for 3 and for 8 seeds; 2 seeds cover less. Resampling the seeds, as a hierarchical
    bootstrap does, knows too little of their spread: of three seeds drawn with replacement two are mostly the same.

    Source: Satterthwaite 1946, doi:10.2307/3002019.

    Args:
      values: the metric by seed.
      spread: of the same metric over items.
      bounds: the range to which the interval is cut.
    """
    if len(values) < 2 or spread.variance is None:
        return None
    over_seeds = float(np.var(values, ddof=1)) / len(values)
    variance = spread.variance + over_seeds
    freedom = (len(values) - 1) * (variance / over_seeds) ** 2 if over_seeds else math.inf
    half = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    mean = float(np.mean(values))
    return max(bounds[0], mean - half), min(bounds[1], mean + half)


def summarise(
    predictions: Mapping[int, PairPredictions], *, seed: int = 0, replicates: int = 1000
) -> dict[str, MetricSummary]:
    """Summarises every metric over training seeds.

    `ci95_over_items` is a percentile bootstrap over items of the seed-averaged metric (the same resample for all
    seeds; see `bootstrap.metric_spreads`). With a single seed the three proportions (accuracy, flipped accuracy,
    predicted-positive fraction) get Wilson's interval instead, which does not collapse at 0 and 1.
    `ci95_over_seeds` is Student's t interval of the mean over seeds, on these items; `ci95_over_both` that for other
    items and other seeds (see `crossed_interval`).

    Args:
      predictions: by training seed; all on the same rows.
      seed: of the resampling.
      replicates: number of resamples.

    Raises:
      ValueError: no predictions, or seeds that saw different rows or labels.
    """
    labels = shared_labels(predictions)
    per_seed = [pair_metrics(labels, one.positive_probability).to_json() for one in predictions.values()]
    probabilities = [one.positive_probability for one in predictions.values()]
    spreads = metric_spreads(labels, probabilities, seed=seed, replicates=replicates)
    by_items = {name: spread.interval for name, spread in spreads.items()}
    if len(predictions) == 1 and labels.size:
        for name in _PROPORTIONS:
            by_items[name] = wilson_interval(round(per_seed[0][name] * labels.size), labels.size)
    summary = {}
    for name in METRICS:
        values = [metrics[name] for metrics in per_seed]
        if None in values:
            summary[name] = MetricSummary(None, None, None, None, None)
            continue
        bounds = _BOUNDS.get(name, (0.0, 1.0))
        summary[name] = MetricSummary(
            mean=float(np.mean(values)),
            std_over_seeds=float(np.std(values, ddof=1)) if len(values) > 1 else None,
            ci95_over_items=by_items[name],
            ci95_over_seeds=seed_interval(values, bounds=bounds),
            ci95_over_both=crossed_interval(values, spreads[name], bounds=bounds),
        )
    return summary


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
