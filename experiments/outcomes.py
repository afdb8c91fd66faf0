"""What the finished cells of a grid found, as one table: JSON, CSV and Markdown."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from experiments.grid import Cell
from experiments.jobs import CellOutcome
from lingjax.files import find_paths, write_json, write_text
from lingjax.reporting import TransferReport, as_csv, as_markdown, read_report, table_rows
from lingjax.reporting.numbers import figure
from lingjax.reporting.table import interval_text, source_dev_accuracy
from lingjax.training.run_folder import is_described, read_result, read_run_description

_EMPTY = "–"

CHOICE_NOTE = (
    "Choose settings by the source's dev accuracy (`source_dev_accuracy`), never by a figure of a target: the best of "
    "several figures on a target is too good, and no longer says how well anything transfers without labels."
)


def read_reports(cell: Cell) -> dict[str, TransferReport]:
    """Returns the reports of a finished transfer by target, in the order of its targets' names."""
    return {path.stem: read_report(path) for path in find_paths(cell.folder, "reports/*.json")}


def measured(report: TransferReport) -> dict[str, Any]:
    """Returns a report's main figures, first what was reached on the source; intervals are those over items."""
    figures: dict[str, Any] = {"seeds": len(report.seeds), "source_dev_accuracy": source_dev_accuracy(report)}
    for name in ("accuracy", "auroc"):
        figures |= {name: report.summary[name]["mean"], f"{name}_ci95": report.summary[name]["ci95_over_items"]}
    return figures | {
        "best_control": table_rows([report])[0].best_control,
        "above_best_control": report.verdict["above_best_control"],
        "orientation": report.verdict["orientation"],
        "warnings": len(report.verdict["warnings"]),
    }


def write_outcomes(workdir: Path, outcomes: Sequence[CellOutcome]) -> str:
    """Writes `sweep.json`, `sweep.csv` and `sweep.md`, and returns the last.

    A row is a cell and one of its results: a target of a transfer, a seed of a fine-tuning, or a pretraining. A cell
    that failed is one row without results.
    """
    cells = [
        {
            "name": outcome.cell.name,
            "command": outcome.cell.command,
            "varied": outcome.cell.varied,
            "error": outcome.error,
            "seconds": outcome.seconds,
            "results": [] if outcome.error else _results(outcome.cell),
        }
        for outcome in outcomes
    ]
    write_json(workdir / "sweep.json", {"experiment": outcomes[0].cell.experiment, "cells": cells})
    rows = [
        {**{key.removeprefix("config."): value for key, value in cell["varied"].items()}, **result}
        for cell in cells
        for result in (cell["results"] or [{}])
    ]
    spread = [_spread(row) for row in rows]
    columns = _columns(spread)
    write_text(workdir / "sweep.csv", as_csv([{name: row.get(name) for name in columns} for row in spread]))
    failed = "".join(f"\n`{cell['name']}` failed: {cell['error']}\n" for cell in cells if cell["error"])
    note = f"\n{CHOICE_NOTE}\n" if outcomes[0].cell.experiment == "transfer" else ""
    table = as_table(rows) + note + failed
    write_text(workdir / "sweep.md", table)
    return table


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """Returns a Markdown table; `NAME_ci95` stands in brackets behind NAME, and what a row lacks is a dash."""
    columns = [column for column in _columns(rows) if not column.endswith("_ci95")]
    cells = [SimpleNamespace(**{column: _cell(row, column) for column in columns}) for row in rows]
    return as_markdown(cells, {column: column for column in columns})


def with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    """Returns a figure with its interval for people, as in `0.712 [0.600, 0.800]`."""
    if value is None:
        return _EMPTY
    return figure(value) + (f" {interval_text(interval)}" if interval else "")


def _results(cell: Cell) -> list[dict[str, Any]]:
    if cell.experiment == "transfer":
        return [{"target": target, **measured(report)} for target, report in read_reports(cell).items()]
    if cell.experiment == "pretrain":
        result = read_result(cell.folder)
        return [{"step": result["total_steps"], **_figures(result["history"][-1])}]
    folders = [cell.folder] if is_described(cell.folder) else find_paths(cell.folder, "seed*")
    return sorted(map(_best, folders), key=lambda result: result["seed"])


def _best(folder: Path) -> dict[str, Any]:
    result, seed = read_result(folder), read_run_description(folder)["settings"]["request"]["seed"]
    return {"seed": seed, "best_step": result["best_step"], **_figures(result["best"])}


def _figures(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sorted(entry.items()) if name not in ("step", "score")}


def _columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _cell(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if isinstance(value, float):
        return with_interval(value, row.get(f"{column}_ci95"))
    return _EMPTY if value is None else str(value)


def _spread(row: dict[str, Any]) -> dict[str, Any]:
    """Gives each end of an interval a column of its own."""
    spread = {}
    for name, value in row.items():
        if name.endswith("_ci95"):
            low, high = value or ("", "")
            spread |= {f"{name}_low": low, f"{name}_high": high}
        else:
            spread[name] = value
    return spread
