"""What is doubtful about the figures of one transfer, in words: the warnings of a verdict."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from lingjax.evaluation.audit import LARGEST_UNKNOWN_FRACTION, TargetAudit
from lingjax.evaluation.bootstrap import FEW_ROWS_OF_A_CLASS, FEWEST_ROWS_OF_A_CLASS
from lingjax.evaluation.controls import Control, ControlResult, SkippedControl, best_control
from lingjax.evaluation.metrics import PairPredictions
from lingjax.evaluation.power import CHANCE_AUROC
from lingjax.evaluation.shortcuts import PredictedLabel
from lingjax.evaluation.statistics import MetricSummary, shared_labels

_COLLAPSED_FRACTION = 0.95
_MANY_TRUNCATED_FRACTION = 0.05
_MANY_DUPLICATES_FRACTION = 0.01
_MANY_SIMILAR_FRACTION = 0.01
_MANY_ENCODING_NEGATIVES_FRACTION = 0.05
_WIDE_SEED_INTERVAL = 0.2
_LENGTH_RATIO_RANGE = (0.67, 1.5)
_ACCURACY_MARGIN = 0.02
_CLEAR_AUROC = 0.6
# Among thousands of rows a trifle is significant; what natural pairs show (paraphrases are of similar length) passes.
_NOTICEABLE_AUROC = 0.55
_CLEAR_WIDENING = 1.2
_WHAT_IT_MEANS = {
    "length": "a model can tell the classes apart without reading the texts",
    "composition": "a model can tell the classes apart by counting letters",
}

Orientation = Literal["direct", "flipped", "undetermined"]


@dataclasses.dataclass(frozen=True)
class SourceEvidence:
    """How well the source task was learned, and how long its pairs are.

    `dev_accuracy` is by training seed; `dev_majority_fraction` the share of the dev set's commoner label;
    `median_tokens` that of the source's pairs.
    """

    dev_accuracy: Mapping[int, float]
    dev_majority_fraction: float
    median_tokens: float


def find_doubts(
    predictions: Mapping[int, PairPredictions],
    *,
    summary: Mapping[str, MetricSummary],
    controls: Mapping[str, Control],
    audit: TargetAudit,
    source: SourceEvidence | None,
    synthetic: bool,
    orientation: Orientation,
    above_best_control: bool | None,
) -> tuple[str, ...]:
    """Returns reasons why figures may not mean what they seem to, a sentence each; the data's come first.

    Args:
      predictions, summary, controls, audit, source, synthetic: as in `lingjax.evaluation.assess`.
      orientation, above_best_control: what the intervals say.
    """
    return (
        *_data_warnings(shared_labels(predictions), audit, synthetic=synthetic),
        *_giveaway_warnings(audit),
        *_source_warnings(source, audit),
        *_prediction_warnings(predictions, summary),
        *_control_warnings(controls, orientation),
        *_result_warnings(summary, controls, orientation, above_control=above_best_control),
    )


def _control_warnings(controls: Mapping[str, Control], orientation: Orientation) -> Iterator[str]:
    for name, control in controls.items():
        if isinstance(control, SkippedControl) and control.is_missing:
            yield f"The control {name} applies but was not run ({control.reason}); whether it is beaten is unknown."
    single = [name for name, one in controls.items() if isinstance(one, ControlResult) and len(one.seeds or ()) == 1]
    if orientation == "direct" and single:
        yield (
            f"Controls that are models with one seed: {', '.join(single)}. How far another training run of theirs "
            "would come is unknown, and so whether the model beats them; set control_seeds (and seeds) to 2 or more."
        )


def _data_warnings(labels: np.ndarray, audit: TargetAudit, *, synthetic: bool) -> Iterator[str]:
    rows = labels.size
    if synthetic:
        yield "Synthetic data: made by a simulator, so the figures say nothing about real language or biology."
    if min(labels.sum(), rows - labels.sum()) < FEWEST_ROWS_OF_A_CLASS:
        positives = int(labels.sum())
        yield f"Too few rows to judge: {rows - positives} with label 0 and {positives} with label 1."
    elif min(labels.sum(), rows - labels.sum()) < FEW_ROWS_OF_A_CLASS:
        yield f"Few rows of one label, {min(labels.sum(), rows - labels.sum())}: the intervals are rough."
    if max(audit.unknown_token_fraction, audit.rows_all_unknown / max(rows, 1)) > LARGEST_UNKNOWN_FRACTION:
        yield (
            f"{audit.unknown_token_fraction:.1%} of the tokens are unknown to the tokenizer, "
            f"and {audit.rows_all_unknown} rows hold nothing else."
        )
    if audit.truncated_rows > _MANY_TRUNCATED_FRACTION * rows:
        yield f"{audit.truncated_rows / rows:.1%} of the rows were truncated to the maximum length."
    if audit.conflicting_label_rows:
        yield f"Rows of a pair that occurs with both labels: {audit.conflicting_label_rows}."
    if audit.duplicate_rows > _MANY_DUPLICATES_FRACTION * rows:
        yield f"Rows that repeat an earlier pair: {audit.duplicate_rows}; they tell less than as many others."
    if audit.rows_shared_with_source:
        yield f"Rows that also occur in the source training set: {audit.rows_shared_with_source}."
    if (audit.rows_similar_to_source or 0) > _MANY_SIMILAR_FRACTION * rows:
        yield (
            f"Rows of which a text is a near-copy of one in the source training set: {audit.rows_similar_to_source}; "
            "the model may remember it."
        )
    if (audit.negatives_that_encode_fraction or 0) > _MANY_ENCODING_NEGATIVES_FRACTION:
        yield (
            f"{audit.negatives_that_encode_fraction:.0%} of the negatives hold DNA that encodes part of their protein, "
            "so their labels are doubtful."
        )
    for what, predicted in (
        ("length", audit.length_predicts_label),
        ("composition", audit.composition_predicts_label),
    ):
        if predicted is not None and _clearly_above(predicted):
            low, high = predicted.ci95
            yield (
                f"The labels follow from {what} alone: AUROC {predicted.auroc:.3f} [{low:.3f}, {high:.3f}] by logistic "
                f"regression, cross-validated on this target; {_WHAT_IT_MEANS[what]}."
            )


def _giveaway_warnings(audit: TargetAudit) -> Iterator[str]:
    """Yields the most telling give-away of each text, and what counting found that other warnings do not say."""
    if audit.giveaways is None:
        return
    said: set[str] = set()
    for told in audit.giveaways.families:
        if told.is_giveaway and told.reads not in said:
            said.add(told.reads)
            low, high = told.ci95
            yield (
                f"A give-away: {told.reads} tells the label, by {told.family}: AUROC {told.auroc:.3f} [{low:.3f}, "
                f"{high:.3f}] on rows that were not fitted on; a model need not compare the texts."
            )
    for finding in audit.giveaways.findings:
        if finding.name in ("composition twins of opposite label", "shuffled texts"):
            yield finding.words


def _clearly_above(predicted: PredictedLabel) -> bool:
    if predicted.ci95 is None or predicted.auroc <= _NOTICEABLE_AUROC:
        return False
    return predicted.ci95_widened[0] > CHANCE_AUROC


def _source_warnings(source: SourceEvidence | None, audit: TargetAudit) -> Iterator[str]:
    if source is None:
        return
    learned = float(np.mean(list(source.dev_accuracy.values())))
    if learned <= source.dev_majority_fraction + _ACCURACY_MARGIN:
        yield (
            f"The source task was not learned: accuracy {learned:.3f} on its dev set, where always giving the commoner "
            f"label reaches {source.dev_majority_fraction:.3f}."
        )
    ratio = audit.tokens_per_row["p50"] / source.median_tokens
    if not _LENGTH_RATIO_RANGE[0] <= ratio <= _LENGTH_RATIO_RANGE[1]:
        yield (
            f"Pairs have a median of {audit.tokens_per_row['p50']:g} tokens here and {source.median_tokens:g} in the "
            "source; a difference in length alone can move the predictions."
        )


def _prediction_warnings(
    predictions: Mapping[int, PairPredictions], summary: Mapping[str, MetricSummary]
) -> Iterator[str]:
    collapsed = []
    for seed, one in predictions.items():
        share = float(np.mean(one.positive_probability > 0.5)) if one.labels.size else 0.5
        if max(share, 1 - share) > _COLLAPSED_FRACTION:
            collapsed.append(f"seed {seed} says {int(share > 0.5)} for {max(share, 1 - share):.1%}")
    if collapsed:
        yield "Collapsed predictions: " + ", ".join(collapsed) + " of the rows."
    if len(predictions) == 1:
        yield (
            "One seed only: how far another training run would move these figures is unknown; they speak of this "
            "trained model."
        )
    widening = summary["auroc"].group_widening
    if widening is not None and widening > _CLEAR_WIDENING:
        yield (
            "Rows that share texts or a named group hang together: counted so, as the report does, the interval over "
            "items of the AUROC "
            f"is {widening:.1f} times as wide as if every row stood for itself."
        )
    over_seeds = summary["auroc"].ci95_over_seeds
    if over_seeds is not None and over_seeds[1] - over_seeds[0] > _WIDE_SEED_INTERVAL:
        yield (
            f"Seeds disagree: the mean AUROC lies anywhere from {over_seeds[0]:.2f} to {over_seeds[1]:.2f} "
            f"given these {len(predictions)} training runs."
        )


def _result_warnings(
    summary: Mapping[str, MetricSummary],
    controls: Mapping[str, Control],
    orientation: Orientation,
    *,
    above_control: bool | None,
) -> Iterator[str]:
    auroc, accuracy = summary["auroc"].mean, summary["accuracy"].mean
    if auroc is None:
        yield "The target holds one label only, so ranking cannot be judged."
        return
    if orientation == "flipped":
        yield f"Orientation flipped: the model ranks unlike pairs above like ones (AUROC {auroc:.3f})."
    majority = controls["majority"].accuracy
    if orientation == "direct" and auroc >= _CLEAR_AUROC and accuracy <= majority + _ACCURACY_MARGIN:
        yield (
            f"The decision threshold does not transfer: AUROC {auroc:.3f}, but accuracy {accuracy:.3f} beside "
            f"{majority:.3f} for always giving the commoner label."
        )
    best = best_control(controls)
    if orientation == "direct" and best is not None and above_control is False:
        name, rival = best
        yield f"The control {name} (AUROC {rival.auroc:.3f}) is not clearly beaten by the model (AUROC {auroc:.3f})."
