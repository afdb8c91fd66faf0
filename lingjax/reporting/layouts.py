"""The same reports laid out in three ways: a row a report, a row a measured figure, or models by targets."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from etils import epath

from lingjax.errors import InputError
from lingjax.reporting.formats import Headings, as_text, write_formats
from lingjax.reporting.numbers import figure
from lingjax.reporting.report import TransferReport
from lingjax.reporting.table import (
    HEADINGS,
    RUN_HEADINGS,
    SUMMARY_NOTE,
    interval_columns,
    interval_text,
    model_name,
    source_dev_accuracy,
    table_records,
    table_rows,
)

_LONG_HEADINGS = {
    "run": "Run",
    "model": "Model",
    "source": "Source",
    "target": "Target",
    "seed": "Seed",
    "metric": "Metric",
    "value": "Value",
}
_LONG_NOTE = (
    "One figure of one training seed on one target; source_dev_accuracy is that seed's on the source's dev set."
)
_PIVOT_HEADINGS = {
    "run": "Run",
    "model": "Model",
    "source": "Source",
    "seeds": "Seeds",
    "source_dev_accuracy": "Source dev accuracy",
}
_PIVOT_NOTE = (
    "AUROC, mean over seeds [95 % interval: over items and seeds where there are several seeds, else over items, which "
    "speaks of this one trained model only]."
)


@dataclasses.dataclass(frozen=True)
class Table:
    """Reports as texts under headings, and as records of bare numbers for CSV."""

    rows: Sequence[Any]
    headings: Headings
    records: Sequence[Mapping[str, Any]]
    note: str

    def write(self, path: epath.PathLike) -> None:
        """Writes the format that the file's ending names.

        Raises:
          InputError: the ending is none of `.md`, `.csv`, `.html`, `.tex`, `.txt`.
        """
        write_formats(path, self.rows, self.headings, records=lambda: self.records, title="Transfer", note=self.note)

    def __str__(self) -> str:
        return as_text(self.rows, self.headings)


def _wide(reports: Sequence[TransferReport], runs: Sequence[str]) -> Table:
    named = runs if len(set(runs)) > 1 else None
    headings = RUN_HEADINGS if named else HEADINGS
    return Table(table_rows(reports, named), headings, table_records(reports, named), SUMMARY_NOTE)


def _long(reports: Sequence[TransferReport], runs: Sequence[str]) -> Table:
    records = [
        {
            "run": run,
            "model": model_name(report.model),
            "source": _source(report),
            "target": target,
            "seed": seed["seed"],
            "metric": metric,
            "value": value,
        }
        for report, run, target in zip(reports, runs, _target_names(reports), strict=True)
        for seed in report.seeds
        for metric, value in _figures(report, seed).items()
    ]
    rows = [
        SimpleNamespace(**record | {"seed": str(record["seed"]), "value": _text(record["value"])}) for record in records
    ]
    return Table(rows, _LONG_HEADINGS, records, _LONG_NOTE)


def _pivot(reports: Sequence[TransferReport], runs: Sequence[str]) -> Table:
    targets = _target_names(reports)
    cells: dict[tuple[Any, ...], dict[str, TransferReport]] = {}
    for report, run, target in zip(reports, runs, targets, strict=True):
        model = (run, model_name(report.model), _source(report), len(report.seeds), source_dev_accuracy(report))
        if cells.setdefault(model, {}).setdefault(target, report) is not report:
            raise InputError(f"{run} has two reports on {target}; name one of them, or lay them out wide")
    columns = {f"target{number}": target for number, target in enumerate(dict.fromkeys(targets))}
    rows, records = [], []
    for model, found in cells.items():
        record = dict(zip(_PIVOT_HEADINGS, model, strict=True))
        texts = record | {"seeds": str(record["seeds"]), "source_dev_accuracy": _text(record["source_dev_accuracy"])}
        for field, target in columns.items():
            auroc, interval = _auroc(found.get(target))
            texts[field] = _text(auroc) + (f" {interval_text(interval)}" if interval else "")
            record |= {f"{target}_auroc": auroc, **interval_columns(f"{target}_auroc_ci95", interval)}
        rows.append(SimpleNamespace(**texts))
        records.append(record)
    return Table(rows, _PIVOT_HEADINGS | columns, records, _PIVOT_NOTE)


LAYOUTS: Mapping[str, Callable[[Sequence[TransferReport], Sequence[str]], Table]] = {
    "wide": _wide,
    "long": _long,
    "pivot": _pivot,
}
"""By name, what lays out reports, given the name of the run of each."""


def _figures(report: TransferReport, seed: Mapping[str, Any]) -> dict[str, Any]:
    development = report.source and report.source["dev"]
    reached = {"source_dev_accuracy": development["accuracy"].get(str(seed["seed"]))} if development else {}
    return reached | {name: seed[name] for name in report.summary}


def _target_names(reports: Sequence[TransferReport]) -> list[str]:
    """Returns the datasets' names, with split and fingerprint as far as different data would share a name."""
    targets = [report.target for report in reports]
    candidates = [
        [target["dataset"] for target in targets],
        [f"{target['dataset']}@{target['split']}" for target in targets],
        [f"{target['dataset']}@{target['split']} {target['fingerprint'][:8]}" for target in targets],
    ]
    data = [target["fingerprint"] for target in targets]
    chosen = []
    for place, names in enumerate(zip(*candidates, strict=True)):
        for name, level in zip(names, candidates, strict=True):
            if {one for one, other in zip(data, level, strict=True) if other == name} == {data[place]}:
                break
        chosen.append(name)
    return chosen


def _auroc(report: TransferReport | None) -> tuple[float | None, Sequence[float] | None]:
    if report is None:
        return None, None
    summary = report.summary["auroc"]
    return summary["mean"], summary.get("ci95_over_both") or summary["ci95_over_items"]


def _source(report: TransferReport) -> str:
    return "unknown" if report.source is None else report.source["dataset"]


def _text(value: float | None) -> str:
    return "–" if value is None else figure(value)
