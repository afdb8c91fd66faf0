"""Many reports as one table."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from etils import epath

from lingjax.reporting.formats import write_formats
from lingjax.reporting.report import TransferReport

HEADINGS = {
    "model": "Model",
    "source": "Source",
    "target": "Target",
    "seeds": "Seeds",
    "accuracy": "Accuracy",
    "flipped_accuracy": "Flipped accuracy",
    "auroc": "AUROC",
    "best_control": "Best control (AUROC)",
    "orientation": "Orientation",
    "warnings": "Warnings",
}
SUMMARY_NOTE = "Mean over seeds ± standard deviation over seeds [95 % interval over items]."


@dataclasses.dataclass(frozen=True)
class TableRow:
    """One report as text: means with `± std over seeds` and `[95 % interval over items]`."""

    model: str
    source: str
    target: str
    seeds: str
    accuracy: str
    flipped_accuracy: str
    auroc: str
    best_control: str
    orientation: str
    warnings: str


def table_rows(reports: Sequence[TransferReport]) -> list[TableRow]:
    """Returns one row a report, in the order given."""
    return [
        TableRow(
            model=model_name(report.model),
            source="unknown" if report.source is None else report.source["dataset"],
            target=report.target["dataset"] + (" (synthetic)" if report.target["synthetic"] else ""),
            seeds=str(len(report.seeds)),
            accuracy=with_uncertainty(report.summary["accuracy"]),
            flipped_accuracy=figure(report.summary["flipped_accuracy"]["mean"]),
            auroc=with_uncertainty(report.summary["auroc"]),
            best_control=_best_control(report.controls),
            orientation=report.verdict["orientation"],
            warnings=str(len(report.verdict["warnings"])),
        )
        for report in reports
    ]


def write_table(path: epath.PathLike, reports: Sequence[TransferReport]) -> None:
    """Writes the reports as a table in the format that the file's ending names; CSV has bare numbers and more columns.

    Raises:
      InputError: the ending is none of `.md`, `.csv`, `.html`, `.tex`, `.txt`.
    """
    write_formats(
        path,
        table_rows(reports),
        HEADINGS,
        records=lambda: table_records(reports),
        title="Transfer",
        note=SUMMARY_NOTE,
    )


def table_records(reports: Sequence[TransferReport]) -> list[dict[str, Any]]:
    """Returns one record a report for further computation: bare numbers, intervals in columns of their own."""
    return [_record(report) for report in reports]


def model_name(model: dict[str, Any]) -> str:
    """Returns a model's short name: its family and where its weights came from."""
    source = model["init"]["source"]
    return f"{model['family']} ({model['init']['kind'] if not source else source.rstrip('/').rsplit('/', 1)[-1]})"


def interval_columns(name: str, interval: Sequence[float] | None) -> dict[str, float | None]:
    """Returns `name_low` and `name_high`, both None if there is no interval."""
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def figure(value: float | None, digits: int = 3) -> str:
    """Returns a figure for people; a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def with_spread(summary: dict[str, Any]) -> str:
    """Returns `mean ± std over seeds`, the mean alone for one seed."""
    spread = summary["std_over_seeds"]
    return figure(summary["mean"]) + ("" if spread is None else f" ± {figure(spread)}")


def with_uncertainty(summary: dict[str, Any]) -> str:
    """Returns `mean ± std over seeds [interval over items]` as far as they are known."""
    text = with_spread(summary)
    if summary["ci95_over_items"] is not None:
        low, high = summary["ci95_over_items"]
        text += f" [{figure(low)}, {figure(high)}]"
    return text


def _strongest_control(controls: dict[str, Any]) -> tuple[str, float] | None:
    measured = {name: one["auroc"] for name, one in controls.items() if one.get("auroc") is not None}
    return max(measured.items(), key=lambda item: item[1]) if measured else None


def _best_control(controls: dict[str, Any]) -> str:
    best = _strongest_control(controls)
    return "–" if best is None else f"{best[0]} {figure(best[1])}"


def _record(report: TransferReport) -> dict[str, Any]:
    record: dict[str, Any] = {
        "model": model_name(report.model),
        "source": "" if report.source is None else report.source["dataset"],
        "target": report.target["dataset"],
        "synthetic": report.synthetic,
        "rows": report.target["rows"],
        "seeds": len(report.seeds),
    }
    for name in ("accuracy", "flipped_accuracy", "auroc"):
        summary = report.summary[name]
        record |= {f"{name}_mean": summary["mean"], f"{name}_std_over_seeds": summary["std_over_seeds"]}
        record |= interval_columns(f"{name}_ci95", summary["ci95_over_items"])
        # Reports of earlier versions lack it.
        record |= interval_columns(f"{name}_ci95_over_both", summary.get("ci95_over_both"))
    name, auroc = _strongest_control(report.controls) or ("", "")
    return record | {
        "best_control": name,
        "best_control_auroc": auroc,
        "orientation": report.verdict["orientation"],
        "warnings": len(report.verdict["warnings"]),
    }
