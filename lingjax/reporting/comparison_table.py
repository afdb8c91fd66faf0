"""Comparisons of two runs as a table."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from etils import epath

from lingjax.reporting.compare import Comparison, Difference, Interval
from lingjax.reporting.formats import write_formats
from lingjax.reporting.numbers import figure, p_text
from lingjax.reporting.table import interval_columns, model_name, with_spread

COMPARISON_HEADINGS = {
    "target": "Target",
    "pairs": "Pairs",
    "first": "First",
    "second": "Second",
    "auroc_first": "AUROC, first",
    "auroc_second": "AUROC, second",
    "auroc_difference": "AUROC, second - first",
    "auroc_over_both": "over items and seeds",
    "accuracy_first": "Accuracy, first",
    "accuracy_second": "Accuracy, second",
    "accuracy_difference": "Accuracy, second - first",
    "accuracy_over_both": "over items and seeds",
    "mcnemar": "Right in one only: first, second",
    "log_loss_difference": "Log loss, second - first",
    "log_loss_over_both": "over items and seeds",
}
COMPARISON_NOTE = (
    "Each run: mean over seeds ± standard deviation over seeds. Differences: second - first [95 % interval over items, "
    "both runs on the same resampled pairs], which speaks of these trained models; over items and seeds: 95 % interval "
    "for other training runs on other pairs. Right in one only: pairs (or groups of them) that one run has right in "
    "more of its seeds and the other wrong, with McNemar's exact p, two-sided. The lower log loss is the better."
)

_METRICS = ("auroc", "accuracy", "log_loss")


@dataclasses.dataclass(frozen=True)
class ComparisonRow:
    """One comparison as text."""

    target: str
    pairs: str
    first: str
    second: str
    auroc_first: str
    auroc_second: str
    auroc_difference: str
    auroc_over_both: str
    accuracy_first: str
    accuracy_second: str
    accuracy_difference: str
    accuracy_over_both: str
    mcnemar: str
    log_loss_difference: str
    log_loss_over_both: str


def comparison_rows(comparisons: Sequence[Comparison]) -> list[ComparisonRow]:
    """Returns one row a comparison, in the order given."""
    return [
        ComparisonRow(
            target=one.first.report.target["dataset"] + (" (synthetic)" if one.first.report.synthetic else ""),
            pairs=f"{one.first.labels.size:,}",
            first=one.first.name,
            second=one.second.name,
            auroc_first=with_spread(one.first.report.summary["auroc"]),
            auroc_second=with_spread(one.second.report.summary["auroc"]),
            auroc_difference=_difference_text(one.auroc),
            auroc_over_both=_interval_text(one.auroc.over_both) or "–",
            accuracy_first=with_spread(one.first.report.summary["accuracy"]),
            accuracy_second=with_spread(one.second.report.summary["accuracy"]),
            accuracy_difference=_difference_text(one.accuracy),
            accuracy_over_both=_interval_text(one.accuracy.over_both) or "–",
            mcnemar=f"{one.mcnemar.first_only:,}, {one.mcnemar.second_only:,} ({p_text(one.mcnemar.p)})",
            log_loss_difference=_difference_text(one.log_loss),
            log_loss_over_both=_interval_text(one.log_loss.over_both) or "–",
        )
        for one in comparisons
    ]


def comparison_records(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Returns one record a comparison for further computation: bare numbers, bounds in columns of their own."""
    return [_record(one) for one in comparisons]


def _record(comparison: Comparison) -> dict[str, Any]:
    target = comparison.first.report.target
    record: dict[str, Any] = {"target": target["dataset"], "split": target["split"], "rows": target["rows"]}
    for place, run in (("first", comparison.first), ("second", comparison.second)):
        record |= {place: str(run.path), f"{place}_model": model_name(run.report.model)}
        record |= {f"{place}_seeds": len(run.report.seeds)}
        record |= {f"{place}_{metric}": run.report.summary[metric]["mean"] for metric in _METRICS}
    for metric in _METRICS:
        difference: Difference = getattr(comparison, metric)
        record |= {f"{metric}_difference": difference.value}
        record |= interval_columns(f"{metric}_difference_ci95_over_items", difference.over_items)
        record |= interval_columns(f"{metric}_difference_ci95_over_both", difference.over_both)
    test = comparison.mcnemar
    return record | {"first_only_right": test.first_only, "second_only_right": test.second_only, "mcnemar_p": test.p}


def write_comparison(path: epath.PathLike, comparisons: Sequence[Comparison]) -> None:
    """Writes the comparisons in the format that the file's ending names.

    Raises:
      InputError: the ending is none of `.md`, `.csv`, `.html`, `.tex`, `.txt`.
    """
    write_formats(
        path,
        comparison_rows(comparisons),
        COMPARISON_HEADINGS,
        records=lambda: comparison_records(comparisons),
        title="Comparison of two runs",
        note=COMPARISON_NOTE,
    )


def _difference_text(difference: Difference) -> str:
    if difference.value is None:
        return "–"
    return f"{_signed(difference.value)} {_interval_text(difference.over_items)}".rstrip()


def _interval_text(interval: Interval | None) -> str:
    return "" if interval is None else f"[{_signed(interval[0])}, {_signed(interval[1])}]"


def _signed(value: float) -> str:
    """Returns a figure with its sign, also where it is not negative."""
    text = figure(value)
    return text if text[0] in "-<>" else f"+{text}"
