"""What a verdict says, in words: the same sentences on the page, in tables and in the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from lingjax.reporting.numbers import figure, p_text
from lingjax.reporting.report import TransferReport

_ORIENTATIONS = {
    "direct": "The model ranks like pairs above unlike ones.",
    "flipped": "The model ranks the wrong way round: unlike pairs above like ones.",
    "undetermined": "No ranking can be told from chance.",
}
_BEATEN = {True: "It beats the best control.", False: "It does not clearly beat the best control.", None: ""}


def why_undetermined(verdict: Mapping[str, Any]) -> str:
    """Returns which of the two an undetermined orientation is; empty for others, and where reports do not say."""
    equivalence = verdict.get("equivalence")
    if verdict["orientation"] != "undetermined" or not equivalence:
        return ""
    if equivalence["shown"]:
        return f"no transfer beyond {equivalence['margin']:g} shown"
    return "these rows could not tell"


def orientation_text(verdict: Mapping[str, Any]) -> str:
    """Returns the orientation as a table has it."""
    why = why_undetermined(verdict)
    return verdict["orientation"] + (f": {why}" if why else "")


def verdict_sentences(report: TransferReport) -> Iterator[str]:
    """Yields the verdict sentence by sentence; what older reports do not hold is left out."""
    verdict = report.verdict
    yield _ORIENTATIONS[verdict["orientation"]]
    if why := why_undetermined(verdict):
        yield f"{why[0].upper()}{why[1:]}: {_equivalence_text(verdict['equivalence'])}."
    if beaten := _BEATEN[verdict["above_best_control"]]:
        yield beaten
    if added := added_text(verdict):
        yield f"{added[0].upper()}{added[1:]}."
    if power := power_text(verdict):
        yield f"{power[0].upper()}{power[1:]}."


def added_text(verdict: Mapping[str, Any]) -> str:
    """Returns whether the model knows what the best control does not, with the figures; empty if no report says."""
    added = verdict.get("added_value")
    if not added:
        return ""
    control = added["control"]
    said = {
        True: f"it adds to the control {control}",
        False: f"it is not shown to add anything to the control {control}",
        None: f"whether it adds to the control {control} cannot be told",
    }[verdict["adds_to_best_control"]]
    if added["reason"]:
        return f"{said}: {added['reason']}"
    gain = added["log_loss_gain"]
    interval = gain["ci95_over_both"] or gain["ci95_over_items"]
    spread = "" if interval is None else f" [{_signed(interval[0])}, {_signed(interval[1])}]"
    within = "" if added["auroc_within_strata"] is None else figure(added["auroc_within_strata"])
    return f"{said}: {_signed(gain['mean'])} nats a row{spread}" + (
        f", and an AUROC of {within} among rows that the control scores alike" if within else ""
    )


def power_text(verdict: Mapping[str, Any]) -> str:
    """Returns what would have been shown; empty where the report does not say."""
    power = verdict.get("power")
    if not power:
        return ""
    auroc, accuracy = (
        f"no {name}" if power[key] is None else f"an {name} of {figure(power[key])} or more"
        for key, name in (("auroc", "AUROC"), ("accuracy", "accuracy"))
    )
    often = f"{100 * power['of_repetitions']:.0f} %"
    return (
        f"in {often} of repetitions these rows and seeds would have shown {auroc} and {accuracy} "
        f"(above {figure(power['commoner_label'])}, the commoner label's share)"
    )


def _equivalence_text(equivalence: Mapping[str, Any]) -> str:
    shown = "lies" if equivalence["shown"] else "is not shown to lie"
    return (
        f"the AUROC {shown} within {equivalence['margin']:g} of 0.5 (two one-sided tests, {p_text(equivalence['p'])})"
    )


def _signed(value: float) -> str:
    text = figure(value)
    return text if text[0] in "-<>" else f"+{text}"
