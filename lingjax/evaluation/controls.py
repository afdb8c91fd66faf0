"""What simple means reach on the same target: the figures that a transferred model must beat.

A control scores pairs, higher meaning "more alike, so label 1". Its threshold comes from the source dev set, never from
the target; without a source dev set its accuracy is unknown and only its ranking (AUROC) is reported.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from lingjax.evaluation.auroc_interval import Groups, Interval, auroc_interval
from lingjax.evaluation.metrics import Labels, PairPredictions, auroc, checked_labels, pair_metrics
from lingjax.evaluation.statistics import shared_labels
from lingjax.evaluation.text_similarity import jaccard

CONTROL_NAMES = (
    "majority",
    "token_jaccard",
    "kmer_jaccard",
    "edit_similarity",
    "length_only",
    "composition_only",
    "not_finetuned",
    "random_init",
    "shuffled_labels",
)
"""Controls that every report names."""

OPTIONAL_CONTROL_NAMES = ("local_alignment",)
"""Controls that a report may name besides."""


@dataclasses.dataclass(frozen=True)
class ControlResult:
    """One control on one target.

    `ci95` is the interval over items of the AUROC. `scores` [seeds rows] are kept for paired comparison with the model
    and stay out of the report; `rows` says which of the target's rows they belong to, None meaning all in order.
    `seeds` holds a trained control's metrics by seed, `settings` what the control was set to and how that was chosen.
    """

    accuracy: float | None
    auroc: float | None
    ci95: Interval | None
    scores: Float[np.ndarray, "seeds rows"] | None = dataclasses.field(default=None, repr=False, compare=False)
    rows: Int[np.ndarray, " rows"] | None = dataclasses.field(default=None, repr=False, compare=False)
    seeds: tuple[dict[str, Any], ...] | None = None
    settings: Mapping[str, str | float | bool | None] | None = None

    @property
    def is_trained(self) -> bool:
        """Whether the control is a model, and so an experiment with seeds of its own."""
        return self.seeds is not None

    def to_json(self) -> dict[str, Any]:
        """The control's entry in the report."""
        entry = {"accuracy": self.accuracy, "auroc": self.auroc, "ci95": None if self.ci95 is None else list(self.ci95)}
        if self.seeds is not None:
            entry["seeds"] = [dict(seed) for seed in self.seeds]
        if self.settings is not None:
            entry["settings"] = dict(self.settings)
        return entry


@dataclasses.dataclass(frozen=True)
class SkippedControl:
    """A control that was not run, and why.

    `is_missing` says that it applies to the target and was asked for, so that nobody knows whether it would have been
    beaten; it is False for one that does not apply, or that the configuration leaves out.
    """

    reason: str
    is_missing: bool = False

    def to_json(self) -> dict[str, str]:
        """The control's entry in the report."""
        return {"skipped": self.reason}


Control = ControlResult | SkippedControl


@dataclasses.dataclass(frozen=True)
class LabelledScores:
    """A control's scores on the source dev set, on which its threshold is chosen."""

    scores: Float[np.ndarray, " rows"]
    labels: Labels


def majority(labels: Labels) -> ControlResult:
    """Returns the best that a constant prediction can reach: the share of the target's commoner label, AUROC 0.5."""
    positive = checked_labels(labels, labels)
    if not positive.size:
        return ControlResult(accuracy=None, auroc=None, ci95=None)
    share = float(positive.mean())
    ranks_at_random = 0.5 if 0 < share < 1 else None
    return ControlResult(
        accuracy=max(share, 1 - share),
        auroc=ranks_at_random,
        ci95=None if ranks_at_random is None else (0.5, 0.5),
        scores=np.zeros((1, positive.size)),
    )


def token_overlap(
    first: Sequence[Int[np.ndarray, " _"]], second: Sequence[Int[np.ndarray, " _"]]
) -> Float[np.ndarray, " rows"]:
    """Returns the Jaccard index of the two sentences' sets of token ids: shared over all; 1 if both are empty.

    >>> token_overlap([np.array([1, 2, 2])], [np.array([2, 3])]).round(3).tolist()
    [0.333]
    """
    if len(first) != len(second):
        raise ValueError(f"got {len(first)} first and {len(second)} second sentences")
    return np.array([jaccard(set(a.tolist()), set(b.tolist())) for a, b in zip(first, second, strict=True)], np.float64)


def token_jaccard(
    first: Sequence[Int[np.ndarray, " _"]],
    second: Sequence[Int[np.ndarray, " _"]],
    labels: Labels,
    *,
    source: LabelledScores | None = None,
) -> ControlResult:
    """Returns the control that compares sets of token ids; arguments as in `token_overlap` and `threshold_control`."""
    return threshold_control(token_overlap(first, second), labels, source=source)


def threshold_control(
    scores: Float[np.ndarray, " rows"],
    labels: Labels,
    *,
    source: LabelledScores | None,
    groups: Groups | None = None,
    settings: Mapping[str, str | float | bool | None] | None = None,
) -> ControlResult:
    """Returns the control that says 1 where its score exceeds the source dev set's most accurate threshold.

    Args:
      source: the same score on the source dev set; None leaves the accuracy unknown.
      groups: the group of every row, None if every row stands for itself.
      settings: what the score was set to, for the report.
    """
    positive = checked_labels(labels, scores)
    scores = np.asarray(scores, np.float64)
    accuracy = None
    if source is not None and source.labels.size and positive.size:
        threshold = best_threshold(source.scores, checked_labels(source.labels, source.scores))
        accuracy = float(np.mean((scores > threshold) == positive))
    return ControlResult(
        accuracy=accuracy,
        auroc=auroc(positive, scores),
        ci95=auroc_interval(positive, scores[None], groups=groups),
        scores=scores[None],
        settings=settings,
    )


def best_threshold(scores: Float[np.ndarray, " rows"], positive: Bool[np.ndarray, " rows"]) -> float:
    """Returns the threshold t of the most accurate rule "1 where score > t"; of equally good ones, the lowest.

    Thresholds lie half way between neighbouring scores; -inf (all 1) and inf (all 0) are allowed.

    >>> best_threshold(np.array([0.1, 0.4, 0.8]), np.array([False, False, True])).__round__(3)
    0.6
    """
    values, group = np.unique(scores, return_inverse=True)
    # Raising the threshold past a group of equal scores wins its negatives and loses its positives.
    gains = np.bincount(group, np.where(positive, -1.0, 1.0), values.size)
    correct = positive.sum() + np.concatenate([[0.0], np.cumsum(gains)])
    thresholds = np.concatenate([[-np.inf], (values[:-1] + values[1:]) / 2, [np.inf]])
    return float(thresholds[np.argmax(correct)])


def model_control(predictions: Mapping[int, PairPredictions], *, groups: Groups | None = None) -> ControlResult:
    """Returns the control that is itself a model (untrained, not fine-tuned, shuffled labels), averaged over its seeds.

    Args:
      predictions: by seed; all on the target's rows.
      groups: the group of every row, None if every row stands for itself.
    """
    labels = shared_labels(predictions)
    per_seed = {seed: pair_metrics(labels, one.positive_probability) for seed, one in predictions.items()}
    scores = np.stack([one.positive_probability for one in predictions.values()])
    return ControlResult(
        accuracy=_mean_or_none([metrics.accuracy for metrics in per_seed.values()]),
        auroc=_mean_or_none([metrics.auroc for metrics in per_seed.values()]),
        ci95=auroc_interval(labels, scores, groups=groups),
        scores=scores,
        seeds=tuple({"seed": s, "accuracy": one.accuracy, "auroc": one.auroc} for s, one in per_seed.items()),
    )


def complete_controls(measured: Mapping[str, Control], *, reason: str) -> dict[str, Control]:
    """Returns every control of the report, and the optional ones measured; the others are skipped for `reason`.

    Raises:
      ValueError: `measured` holds a name that the report does not know.
    """
    unknown = sorted(set(measured) - {*CONTROL_NAMES, *OPTIONAL_CONTROL_NAMES})
    if unknown:
        raise ValueError(f"unknown controls {unknown}; the report knows {[*CONTROL_NAMES, *OPTIONAL_CONTROL_NAMES]}")
    names = (*CONTROL_NAMES, *(name for name in OPTIONAL_CONTROL_NAMES if name in measured))
    return {name: measured.get(name, SkippedControl(reason)) for name in names}


def best_control(controls: Mapping[str, Control]) -> tuple[str, ControlResult] | None:
    """Returns the name and result of the control with the highest AUROC; None if none has one."""
    ranked = [(name, one) for name, one in controls.items() if isinstance(one, ControlResult) and one.auroc is not None]
    return max(ranked, key=lambda item: item[1].auroc) if ranked else None


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    return None if not values or None in values else float(np.mean(values))
