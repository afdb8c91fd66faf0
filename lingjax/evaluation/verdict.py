"""The verdict on one transfer: is it above chance, above the best control, which way round, and what is doubtful."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from lingjax.evaluation.added_value import AddedValue, added_value
from lingjax.evaluation.audit import TargetAudit
from lingjax.evaluation.auroc_interval import NORMAL_QUANTILE, Groups, RankedRows, auroc_difference_interval
from lingjax.evaluation.bootstrap import FEWEST_ROWS_OF_A_CLASS, ItemSpread
from lingjax.evaluation.controls import Control, ControlResult, SkippedControl, best_control
from lingjax.evaluation.doubts import Orientation, SourceEvidence, find_doubts
from lingjax.evaluation.metrics import PairPredictions
from lingjax.evaluation.permutation_tests import CHANCE, PermutationTest, false_discovery, permutation_tests
from lingjax.evaluation.power import CHANCE_AUROC, Equivalence, Power, detectable, equivalence
from lingjax.evaluation.statistics import (
    MetricSummary,
    crossed_interval,
    difference_interval,
    seed_interval,
    shared_labels,
)

_SIGNIFICANT = 0.05

Correction = Literal["bonferroni", "benjamini_hochberg"]
_IN_WORDS = {"bonferroni": "", "benjamini_hochberg": " by false discovery rate"}


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
    few = min(labels.sum(), labels.size - labels.sum()) < FEWEST_ROWS_OF_A_CLASS
    orientation = "undetermined" if few else _orientation(summary["auroc"])
    above_chance = above_control = None
    if summary["auroc"].mean is not None:
        above_chance = orientation == "direct"
        above_control = above_chance and _beats_controls(predictions, controls, groups)
    tests = permutation_tests(predictions, controls, num_targets=num_targets, groups=groups, seed=seed)
    warnings = find_doubts(
        predictions,
        summary=summary,
        controls=controls,
        audit=audit,
        source=source,
        synthetic=synthetic,
        orientation=orientation,
        above_best_control=above_control,
    )
    return Verdict(
        above_chance,
        above_control,
        orientation,
        warnings,
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
