"""The verdict on one transfer: is it above chance, above the best control, which way round, and what is doubtful."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from lingjax.evaluation.added_value import AddedValue, added_value
from lingjax.evaluation.audit import LARGEST_UNKNOWN_FRACTION, TargetAudit
from lingjax.evaluation.auroc_interval import NORMAL_QUANTILE, Groups, RankedRows, auroc_difference_interval
from lingjax.evaluation.bootstrap import FEW_ROWS_OF_A_CLASS, FEWEST_ROWS_OF_A_CLASS, ItemSpread
from lingjax.evaluation.controls import Control, ControlResult, SkippedControl, best_control
from lingjax.evaluation.metrics import PairPredictions
from lingjax.evaluation.permutation_tests import CHANCE, PermutationTest, false_discovery, permutation_tests
from lingjax.evaluation.power import CHANCE_AUROC, Equivalence, Power, detectable, equivalence
from lingjax.evaluation.shortcuts import PredictedLabel
from lingjax.evaluation.statistics import (
    MetricSummary,
    crossed_interval,
    difference_interval,
    seed_interval,
    shared_labels,
)

_COLLAPSED_FRACTION = 0.95
_MANY_TRUNCATED_FRACTION = 0.05
_MANY_DUPLICATES_FRACTION = 0.01
_MANY_SIMILAR_FRACTION = 0.01
_MANY_ENCODING_NEGATIVES_FRACTION = 0.05
_WIDE_SEED_INTERVAL = 0.2
_LENGTH_RATIO_RANGE = (0.67, 1.5)
_ACCURACY_MARGIN = 0.02
_CLEAR_AUROC = 0.6
_SIGNIFICANT = 0.05
# Among thousands of rows a trifle is significant; what natural pairs show (paraphrases are of similar length) passes.
_NOTICEABLE_AUROC = 0.55
_CLEAR_WIDENING = 1.2
_WHAT_IT_MEANS = {
    "length": "a model can tell the classes apart without reading the texts",
    "composition": "a model can tell the classes apart by counting letters",
}

Correction = Literal["bonferroni", "benjamini_hochberg"]
_IN_WORDS = {"bonferroni": "", "benjamini_hochberg": " by false discovery rate"}

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


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The report's `verdict`.

    `orientation` says on which side of 0.5 the intervals of the AUROC lie (over items and, with several seeds, over
    seeds and over both): above (direct), below (flipped), or neither. `above_chance` means direct; `above_best_control`
    means direct, and better than the control of highest AUROC, and than every control that is a model. All that are
    known of three intervals of the difference must lie above 0: over items, over seeds, and over both, in which a
    control that is a model has seeds of its own. It is None where that cannot be told (a control that is a model has
    one seed; a control that applies was not run). Both are None if the AUROC is undefined. `sign_tests` repeats the
    question by permutation tests, corrected for `targets_judged_together`: against `chance` and each control that is
    no model, by name; the warnings say where the two disagree.

    `added_value` says whether the model knows of the labels what the control of highest AUROC does not; None without
    such a control. `power` is what would have been shown, `equivalence` whether the AUROC is shown to be near 0.5; None
    where there are too few rows to judge. `findings` are the warnings but those of tests; `claims` holds what the
    intervals claim, in words, by the name of the test that asks the same.
    """

    above_chance: bool | None
    above_best_control: bool | None
    orientation: Orientation
    findings: tuple[str, ...]
    sign_tests: Mapping[str, PermutationTest]
    targets_judged_together: int = 1
    added_value: AddedValue | None = None
    power: Power | None = None
    equivalence: Equivalence | None = None
    correction: Correction = "bonferroni"
    claims: tuple[tuple[str, str], ...] = ()

    @property
    def adds_to_best_control(self) -> bool | None:
        """Whether control and model together predict labels better than the control alone; None if that is unknown."""
        return None if self.added_value is None else self.added_value.adds

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons why figures may not mean what they seem to, a sentence each."""
        return (*self.findings, *self._disagreements())

    def _disagreements(self) -> Iterator[str]:
        together = self.targets_judged_together
        corrected = f", corrected for {together} targets{_IN_WORDS[self.correction]}" if together > 1 else ""
        for name, claim in self.claims:
            p = self.sign_tests[name].p_corrected
            if p > _SIGNIFICANT:
                yield f"The intervals put the model {claim}, a permutation test does not: p = {p:.2g}{corrected}."

    def to_json(self) -> dict[str, Any]:
        """The verdict as the report holds it."""
        parts = {name: getattr(self, name) for name in ("added_value", "power", "equivalence")}
        return {
            "above_chance": self.above_chance,
            "above_best_control": self.above_best_control,
            "adds_to_best_control": self.adds_to_best_control,
            "orientation": self.orientation,
            "warnings": list(self.warnings),
            "correction": self.correction,
            "sign_tests": {name: test.to_json() for name, test in self.sign_tests.items()},
            "targets_judged_together": self.targets_judged_together,
            **{name: part and part.to_json() for name, part in parts.items()},
        }


def assess(
    predictions: Mapping[int, PairPredictions],
    *,
    summary: Mapping[str, MetricSummary],
    controls: Mapping[str, Control],
    audit: TargetAudit,
    source: SourceEvidence | None,
    synthetic: bool,
    num_targets: int = 1,
    groups: Groups | None = None,
    seed: int = 0,
) -> Verdict:
    """Judges one transfer.

    Args:
      predictions: by training seed.
      summary: `summarise(predictions)`.
      source: None if the checkpoint's source task is not known.
      synthetic: whether the source or the target is made by a simulator.
      num_targets: how many targets are judged together, for the correction of the sign tests.
      groups: the group of every row (see `text_groups`), None if every row stands for itself.
      seed: decides the permutations.
    """
    labels = shared_labels(predictions)
    positives = int(labels.sum())
    few = min(positives, labels.size - positives) < FEWEST_ROWS_OF_A_CLASS
    orientation = "undetermined" if few else _orientation(summary["auroc"])
    above_chance = above_control = None
    if summary["auroc"].mean is not None:
        above_chance = orientation == "direct"
        above_control = above_chance and _beats_controls(predictions, controls, groups)
    tests = permutation_tests(predictions, controls, num_targets=num_targets, groups=groups, seed=seed)
    warnings = [
        *_data_warnings(labels, audit, few=few, synthetic=synthetic),
        *_giveaway_warnings(audit),
        *_source_warnings(source, audit),
        *_prediction_warnings(predictions, summary),
        *_control_warnings(controls, orientation),
        *_result_warnings(summary, controls, orientation, above_control=above_control),
    ]
    return Verdict(
        above_chance,
        above_control,
        orientation,
        tuple(warnings),
        tests,
        num_targets,
        added_value=_added_value(predictions, controls, groups),
        power=detectable(predictions, groups=groups, seed=seed),
        equivalence=equivalence(predictions, groups=groups),
        claims=tuple(_claims(tests, controls, above_chance=above_chance, above_control=above_control)),
    )


def _orientation(auroc: MetricSummary) -> Orientation:
    candidates = (auroc.ci95_over_items, auroc.ci95_over_seeds, auroc.ci95_over_both)
    intervals = [interval for interval in candidates if interval is not None]
    if intervals and all(low > CHANCE_AUROC for low, _ in intervals):
        return "direct"
    if intervals and all(high < CHANCE_AUROC for _, high in intervals):
        return "flipped"
    return "undetermined"


def _beats_controls(
    predictions: Mapping[int, PairPredictions], controls: Mapping[str, Control], groups: Groups | None
) -> bool | None:
    """Says whether the model beats the best control and every control that is a model; None if that is unknown."""
    best = best_control(controls)
    if best is None:
        return None
    ranked = [one for one in controls.values() if isinstance(one, ControlResult) and one.auroc is not None]
    rivals = [one for one in ranked if one.is_trained or one is best[1]]
    beaten = [_beats(predictions, rival, groups) for rival in rivals]
    if False in beaten:
        return False
    unknown = None in beaten or any(isinstance(one, SkippedControl) and one.is_missing for one in controls.values())
    return None if unknown else True


def _beats(predictions: Mapping[int, PairPredictions], rival: ControlResult, groups: Groups | None) -> bool | None:
    scores = np.stack([one.positive_probability for one in predictions.values()])
    labels = shared_labels(predictions)
    if rival.rows is not None:  # a control of a sample of the rows is compared on these
        labels, scores = labels[rival.rows], scores[:, rival.rows]
        groups = None if groups is None else groups[rival.rows]
    over_items = auroc_difference_interval(labels, scores, rival.scores, groups=groups)
    if over_items is None or over_items[0] <= 0:
        return False
    ours, theirs = (RankedRows.of(labels, one).aurocs.tolist() for one in (scores, rival.scores))
    if rival.is_trained:
        over_both = difference_interval(theirs, ours, over_items=over_items)
        return None if over_both is None else over_both[0] > 0
    gains = [one - theirs[0] for one in ours]
    variance = ((over_items[1] - over_items[0]) / (2 * NORMAL_QUANTILE)) ** 2
    intervals = (seed_interval(gains), crossed_interval(gains, ItemSpread(over_items, variance)))
    return all(interval is None or interval[0] > 0 for interval in intervals)


def _added_value(
    predictions: Mapping[int, PairPredictions], controls: Mapping[str, Control], groups: Groups | None
) -> AddedValue | None:
    best = best_control(controls)
    if best is None or best[1].scores is None:
        return None
    added = added_value(predictions, name=best[0], control=best[1], groups=groups)
    missing = [name for name, one in controls.items() if isinstance(one, SkippedControl) and one.is_missing]
    if added.adds and missing:
        return dataclasses.replace(added, adds=None, reason=f"a control that applies was not run: {missing[0]}")
    return added


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


def _data_warnings(labels: np.ndarray, audit: TargetAudit, *, few: bool, synthetic: bool) -> Iterator[str]:
    rows = labels.size
    if synthetic:
        yield "Synthetic data: made by a simulator, so the figures say nothing about real language or biology."
    if few:
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


def _claims(
    tests: Mapping[str, PermutationTest],
    controls: Mapping[str, Control],
    *,
    above_chance: bool | None,
    above_control: bool | None,
) -> Iterator[tuple[str, str]]:
    best = best_control(controls)
    if above_chance:
        yield CHANCE, "above chance"
    if above_control and best is not None and best[0] in tests:
        yield best[0], f"above the control {best[0]}"


def corrected_by(correction: Correction, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """Returns the verdicts of targets judged together, with their permutation tests corrected in this way.

    Args:
      correction: `bonferroni` leaves them as `assess` made them.
      verdicts: by target; all that were judged together.
    """
    if correction == "bonferroni":
        return dict(verdicts)
    tests = false_discovery({target: verdict.sign_tests for target, verdict in verdicts.items()})
    return {
        target: dataclasses.replace(verdict, sign_tests=tests[target], correction=correction)
        for target, verdict in verdicts.items()
    }
