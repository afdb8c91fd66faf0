"""Predictions of a two-class model, row by row, and the metrics of one seed."""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special

from lingjax.data import PairBatch
from lingjax.evaluation.recorded import Recorded
from lingjax.evaluation.tally import BinaryTally

Labels = Int[np.ndarray, " rows"] | Bool[np.ndarray, " rows"]

CALIBRATION_BINS = 15
# A probability of exactly 0 or 1 would make the log loss of a wrong prediction infinite.
_SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)


@dataclasses.dataclass(frozen=True)
class PairPredictions:
    """The logits of one model on one dataset, sorted by `row_ids` (a row's index in its source)."""

    row_ids: Int[np.ndarray, " rows"]
    labels: Int[np.ndarray, " rows"]
    logits: Float[np.ndarray, "rows 2"]

    @property
    def positive_probability(self) -> Float[np.ndarray, " rows"]:
        """The model's probability of label 1, in float64."""
        logits = self.logits.astype(np.float64)
        return special.expit(logits[:, 1] - logits[:, 0])


@dataclasses.dataclass(frozen=True)
class PairMetrics(Recorded):
    """The metrics of one seed; None where a metric is undefined, never NaN.

    `confusion` is `[[tn, fp], [fn, tp]]`; `log_loss` is in nats; `ece` is the expected calibration error.
    """

    accuracy: float | None
    flipped_accuracy: float | None
    auroc: float | None
    f1: float | None
    mcc: float | None
    log_loss: float | None
    ece: float | None
    confusion: list[list[int]]
    predicted_positive_fraction: float | None


def collect_predictions(
    forward: Callable[[PairBatch], Float[np.ndarray, "rows slots 2"]],
    batches: Iterable[PairBatch],
    num_rows: int,
    progress: Callable[[int], None] | None = None,
) -> PairPredictions:
    """Runs `forward` over all batches and joins its logits to the dataset's rows.

    Args:
      forward: the model; its logits at filler slots are ignored.
      batches: batches in any order; together they hold rows 0 to `num_rows - 1`, each once.
      num_rows: rows of the dataset.
      progress: called after each batch with the number of pairs in it.

    Raises:
      ValueError: a row is missing, comes twice or is out of range, or a logit is not finite.
    """
    logits = np.zeros((num_rows, 2), np.float32)
    labels = np.zeros(num_rows, np.int32)
    seen = np.zeros(num_rows, np.int64)
    out_of_range = 0
    for batch in batches:
        is_real = np.asarray(batch.is_real)
        batch_logits = np.asarray(forward(batch), np.float32)
        if batch_logits.shape != (*is_real.shape, 2):
            raise ValueError(f"forward returned logits of shape {batch_logits.shape}, expected {(*is_real.shape, 2)}")
        row_ids = np.asarray(batch.row_ids)[is_real]
        known = (row_ids >= 0) & (row_ids < num_rows)
        out_of_range += int((~known).sum())
        logits[row_ids[known]] = batch_logits[is_real][known]
        labels[row_ids[known]] = np.asarray(batch.labels)[is_real][known]
        np.add.at(seen, row_ids[known], 1)
        if progress is not None:
            progress(int(is_real.sum()))

    _check_each_row_once(seen, out_of_range)
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if broken.size:
        raise ValueError(f"the logits of {broken.size} of {num_rows} rows are not finite, first at row {broken[0]}")
    return PairPredictions(row_ids=np.arange(num_rows, dtype=np.int32), labels=labels, logits=logits)


def _check_each_row_once(seen: Int[np.ndarray, " rows"], out_of_range: int) -> None:
    missing, repeated = np.flatnonzero(seen == 0), np.flatnonzero(seen > 1)
    if missing.size or repeated.size or out_of_range:
        first = f", first missing row {missing[0]}" if missing.size else ""
        first += f", first repeated row {repeated[0]}" if repeated.size else ""
        raise ValueError(
            f"every one of {seen.size} rows must come exactly once; {missing.size} missing, {repeated.size} repeated, "
            f"{out_of_range} out of range{first}"
        )


def pair_metrics(labels: Labels, positive_probability: Float[np.ndarray, " rows"]) -> PairMetrics:
    """Computes every metric of one seed; class 1 is predicted where its probability exceeds 0.5.

    Raises:
      ValueError: lengths differ, a label is neither 0 nor 1, or a probability is not within 0 to 1.
    """
    labels = checked_labels(labels, positive_probability)
    probability = np.asarray(positive_probability, np.float64)
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("positive_probability holds values outside 0 to 1 or NaN")
    predicted = probability > 0.5
    tally = BinaryTally(
        true_negative=int((~predicted & ~labels).sum()),
        false_positive=int((predicted & ~labels).sum()),
        false_negative=int((~predicted & labels).sum()),
        true_positive=int((predicted & labels).sum()),
        log_loss_sum=float(log_losses(labels, probability).sum()),
    )
    return PairMetrics(
        **tally.rates(),
        auroc=auroc(labels, probability),
        ece=_expected_calibration_error(labels, probability),
        confusion=tally.confusion,
    )


def auroc(labels: Labels, scores: np.ndarray) -> float | None:
    """Returns the area under the ROC curve: how often a positive outranks a negative, a tie counting one half.

    None if only one class occurs. Source: Mann-Whitney U by midranks, Hanley and McNeil 1982,
    doi:10.1148/radiology.143.1.7063747.

    >>> auroc(np.array([0, 1, 1]), np.array([0.2, 0.2, 0.9]))
    0.75
    """
    labels = checked_labels(labels, scores)
    positives = int(labels.sum())
    negatives = labels.size - positives
    if not positives or not negatives:
        return None
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    midranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = midranks[group][labels].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


def log_losses(
    labels: Bool[np.ndarray, " rows"], positive_probability: Float[np.ndarray, " rows"]
) -> Float[np.ndarray, " rows"]:
    """Returns the negative log-likelihood of each label in nats; probabilities are kept 2.2e-16 away from 0 and 1."""
    of_label = np.where(labels, positive_probability, 1 - positive_probability)
    return -np.log(np.maximum(of_label, _SMALLEST_PROBABILITY))


def calibration_bins(positive_probability: Float[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
    """Returns the bin, 0 to 14, of each row's confidence: the probability of the class that it predicts."""
    confidence = np.maximum(positive_probability, 1 - positive_probability)
    return np.maximum(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0)


def _expected_calibration_error(
    labels: Bool[np.ndarray, " rows"], positive_probability: Float[np.ndarray, " rows"]
) -> float | None:
    """Mean |accuracy - confidence| over 15 equal-width bins, weighted by rows. Source: Guo et al. 2017, eq. 3."""
    if not labels.size:
        return None
    confidence = np.maximum(positive_probability, 1 - positive_probability)
    correct = (positive_probability > 0.5) == labels
    gaps = np.bincount(calibration_bins(positive_probability), correct - confidence, CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / labels.size)


def expected_ece_if_calibrated(
    positive_probability: Float[np.ndarray, " rows"], *, seed: int = 0, simulations: int = 200
) -> float:
    """Returns the calibration error that honest probabilities would have on as many rows: what is due to chance alone.

    The mean over simulations in which every label is drawn by the probability itself.
    """
    probability = np.asarray(positive_probability, np.float64)
    rng = np.random.default_rng(seed)
    if not probability.size:
        return 0.0
    labels = rng.random((simulations, probability.size)) < probability
    gaps = (labels == (probability > 0.5)) - np.maximum(probability, 1 - probability)
    in_bin = calibration_bins(probability)[:, None] == np.arange(CALIBRATION_BINS)
    return float(np.abs(gaps @ in_bin.astype(np.float64)).sum(axis=1).mean() / probability.size)


def checked_labels(labels: Labels, scores: np.ndarray) -> Bool[np.ndarray, " rows"]:
    """Returns the labels as booleans.

    Raises:
      ValueError: a label is neither 0 nor 1, or the number of scores differs.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.shape != np.shape(scores):
        raise ValueError(f"labels of shape {labels.shape} do not match scores of shape {np.shape(scores)}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"labels must be 0 or 1, got {sorted(set(labels.tolist()) - {0, 1})[:5]}")
    return labels.astype(bool)
