"""Many reports as one table."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from etils import epath

from lingjax.reporting.formats import write_formats
from lingjax.reporting.numbers import figure
from lingjax.reporting.report import TransferReport
from lingjax.reporting.verdict_words import orientation_text

HEADINGS = {
    "model": "Model",
    "source": "Source",
    "target": "Target",
    "seeds": "Seeds",
    "accuracy": "Accuracy",
    "flipped_accuracy": "Flipped accuracy",
    "auroc": "AUROC",
    "best_control": "Best control (AUROC)",
    "above_best_control": "Above it",
    "adds_to_best_control": "Adds to it",
    "orientation": "Orientation",
    "warnings": "Warnings",
}
# For reports of several runs: which one each is of.
RUN_HEADINGS = {"run": "Run", **HEADINGS}
SUMMARY_NOTE = (
    "Mean over seeds ± standard deviation over seeds (not a standard error) [95 % interval: over items and seeds where "
    "there are several seeds, else over items, which speaks of this one trained model only]. Controls: AUROC [95 % "
    "interval over items], whether the model is above it, and whether it adds to it: control and model tell "
    "more of the labels than the control alone, as the verdict says."
)


_YES_OR_NO = {True: "yes", False: "no", None: "–"}


@dataclasses.dataclass(frozen=True)
class TableRow:
    """One report as text: means with `± std over seeds` and `[95 % interval]`, over items and seeds if it is known."""

    model: str
    source: str
    target: str
    seeds: str
    accuracy: str
    flipped_accuracy: str
    auroc: str
    best_control: str
    above_best_control: str
    adds_to_best_control: str
    orientation: str
    warnings: str
    run: str = ""


def table_rows(reports: Sequence[TransferReport], runs: Sequence[str] | None = None) -> list[TableRow]:
    """Returns one row a report, in the order given.

    Args:
      reports: from any runs.
      runs: names, one a report, if the reports are of several runs; shown with `RUN_HEADINGS`.
    """
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
            above_best_control=_YES_OR_NO[report.verdict["above_best_control"]],
            adds_to_best_control=_YES_OR_NO[report.verdict.get("adds_to_best_control")],
            orientation=orientation_text(report.verdict),
            warnings=str(len(report.verdict["warnings"])),
            run=run,
        )
        for report, run in zip(reports, runs or [""] * len(reports), strict=True)
    ]


def write_table(path: epath.PathLike, reports: Sequence[TransferReport]) -> None:
    """Writes the reports as a table in the format that the file's ending names; CSV has bare numbers and more columns.

    Args:
      path: the file.
      reports: all from one run.

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


def table_records(reports: Sequence[TransferReport], runs: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Returns one record a report for further computation: bare numbers, intervals in columns of their own.

    Args:
      reports: from any runs.
      runs: names, one a report, if the reports are of several runs; then each record begins with its run.
    """
    if not runs:
        return [_record(report) for report in reports]
    return [{"run": run} | _record(report) for report, run in zip(reports, runs, strict=True)]


def model_name(model: dict[str, Any]) -> str:
    """Returns a model's short name: its family and where its weights came from, by the last folder that names it."""
    source = model["init"]["source"] or model["init"]["kind"]
    folders = [folder for folder in source.split("/") if folder]
    named = [folder for folder in folders if folder != "model"] or folders
    return f"{model['family']} ({named[-1]})"


def source_dev_accuracy(report: TransferReport) -> float | None:
    """Returns the mean over seeds of what was reached on the source's dev set, None if that is not known."""
    development = report.source and report.source["dev"]
    accuracies = list(development["accuracy"].values()) if development else []
    return sum(accuracies) / len(accuracies) if accuracies else None


def interval_columns(name: str, interval: Sequence[float] | None) -> dict[str, float | None]:
    """Returns `name_low` and `name_high`, both None if there is no interval."""
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def source_name(report: TransferReport) -> str:
    """Returns the source's name, or what to say where it is not known."""
    return "an unknown source" if report.source is None else report.source["dataset"]


def with_spread(summary: dict[str, Any]) -> str:
    """Returns `mean ± std over seeds`, the mean alone for one seed."""
    spread = summary["std_over_seeds"]
    return figure(summary["mean"]) + ("" if spread is None else f" ± {figure(spread)}")


def with_uncertainty(summary: dict[str, Any]) -> str:
    """Returns `mean ± std over seeds [interval]`: over items and seeds if that is known, else over items."""
    interval = summary.get("ci95_over_both") or summary["ci95_over_items"]
    return with_spread(summary) + ("" if interval is None else f" {interval_text(interval)}")


def interval_text(interval: Sequence[float] | None) -> str:
    """Returns `[low, high]`, a dash if there is no interval."""
    return "–" if interval is None else f"[{figure(interval[0])}, {figure(interval[1])}]"


def strongest_control(controls: dict[str, Any]) -> tuple[str, float] | None:
    """Returns the name and AUROC of a report's control of highest AUROC, None if none was measured."""
    measured = {name: one["auroc"] for name, one in controls.items() if one.get("auroc") is not None}
    return max(measured.items(), key=lambda item: item[1]) if measured else None


def _best_control(controls: dict[str, Any]) -> str:
    best = strongest_control(controls)
    if best is None:
        return "–"
    interval = controls[best[0]]["ci95"]
    return f"{best[0]} {figure(best[1])}" + ("" if interval is None else f" {interval_text(interval)}")


def _record(report: TransferReport) -> dict[str, Any]:
    record: dict[str, Any] = {
        "model": model_name(report.model),
        "source": "" if report.source is None else report.source["dataset"],
        "target": report.target["dataset"],
        "synthetic": report.synthetic,
        "split": report.target["split"],
        "rows": report.target["rows"],
        "source_dev_accuracy": source_dev_accuracy(report),
        "seeds": len(report.seeds),
    }
    for name, summary in report.summary.items():
        record |= {f"{name}_mean": summary["mean"], f"{name}_std_over_seeds": summary["std_over_seeds"]}
        record |= interval_columns(f"{name}_ci95", summary["ci95_over_items"])
        # Reports of earlier versions lack it.
        record |= interval_columns(f"{name}_ci95_over_both", summary.get("ci95_over_both"))
    name, auroc = strongest_control(report.controls) or ("", "")
    added = report.verdict.get("added_value")
    return record | {
        "best_control": name,
        "best_control_auroc": auroc,
        **interval_columns("best_control_auroc_ci95", report.controls[name]["ci95"] if name else None),
        "above_best_control": report.verdict["above_best_control"],
        # Reports of earlier versions lack what follows.
        "adds_to_best_control": report.verdict.get("adds_to_best_control"),
        "log_loss_gain": added["log_loss_gain"]["mean"] if added else None,
        "smallest_auroc_shown": (report.verdict.get("power") or {}).get("auroc"),
        "no_transfer_shown": (report.verdict.get("equivalence") or {}).get("shown"),
        "above_chance": report.verdict["above_chance"],
        "orientation": report.verdict["orientation"],
        "warnings": len(report.verdict["warnings"]),
    }
