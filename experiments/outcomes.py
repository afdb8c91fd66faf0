"""What the finished cells of a grid found, as one table: JSON, CSV and Markdown."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from experiments.grid import Cell
from experiments.jobs import CellOutcome
from lingjax.files import find_paths, write_json, write_text
from lingjax.reporting import (
    TransferReport,
    as_csv,
    as_markdown,
    compare_runs,
    comparison_records,
    match_reports,
    read_judged_run,
    read_report,
    table_rows,
)
from lingjax.reporting.numbers import figure
from lingjax.reporting.table import interval_text, source_dev_accuracy
from lingjax.training.run_folder import is_described, read_result, read_run_description

_EMPTY = "–"

CHOICE_NOTE = (
    "Choose settings by the source's dev accuracy (`source_dev_accuracy`), never by a figure of a target: the best of "
    "several figures on a target is too good, and no longer says how well anything transfers without labels."
)

_ARMS_NOTE = (
    "Differences of means over seeds, with 95 % intervals over items (both arms on the same pairs, drawn together) and "
    "over items and seeds (arms that share their seeds are compared seed by seed)."
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


def write_outcomes(workdir: Path, outcomes: Sequence[CellOutcome], *, arms: str | None = None) -> str:
    """Writes `sweep.json`, `sweep.csv` and `sweep.md`, and returns the last.

    A row is a cell and one of its results: a target of a transfer, a seed of a fine-tuning, or a pretraining. A cell
    that failed is one row without results. `arms` names a setting, `config` or `config.KEY`, whose values are compared
    two by two: `sweep.json` has `differences`, `sweep.md` a second table.
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
    differences = [] if arms is None else compare_arms(outcomes, arms)
    of_arms = {} if arms is None else {"arms": arms, "differences": differences}
    write_json(workdir / "sweep.json", {"experiment": outcomes[0].cell.experiment, "cells": cells, **of_arms})
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
    table = as_table(rows) + note + failed + (_arms_table(differences) if arms else "")
    write_text(workdir / "sweep.md", table)
    return table


def compare_arms(outcomes: Sequence[CellOutcome], arms: str) -> list[dict[str, Any]]:
    """Returns how far each two values of a setting lie apart on each target, where all else varies alike.

    Args:
      outcomes: finished transfers; those that failed are left out.
      arms: the setting, `config` or `config.KEY`.
    """
    cells = [outcome.cell for outcome in outcomes if not outcome.error]
    differences = []
    for first, second in itertools.combinations(cells, 2):
        others = [{key: value for key, value in cell.varied.items() if key != arms} for cell in (first, second)]
        if others[0] != others[1] or first.varied[arms] == second.varied[arms]:
            continue
        pairs, _ = match_reports(first.folder, second.folder)
        compared = [compare_runs(*map(read_judged_run, paths), pair_seeds=True) for paths in pairs]
        settings = {key.removeprefix("config."): value for key, value in others[0].items()}
        for record in comparison_records(compared):
            named = {"first": first.varied[arms], "second": second.varied[arms]}
            differences.append({**settings, **record, **named})
    return differences


def _arms_table(differences: Sequence[dict[str, Any]]) -> str:
    """Returns a table of second - first for people."""

    def ends(difference: dict[str, Any], name: str) -> list[float] | None:
        low, high = difference[f"{name}_low"], difference[f"{name}_high"]
        return None if low in ("", None) else [low, high]

    rows = []
    for one in differences:
        row = {"target": one["target"], "difference": f"{one['second']} - {one['first']}"}
        for metric in ("auroc", "accuracy"):
            name = f"{metric}_difference"
            row |= {metric: one[name], f"{metric}_ci95": ends(one, f"{name}_ci95_over_items")}
            over_both = ends(one, f"{name}_ci95_over_both")
            row[f"{metric}, over items and seeds"] = _EMPTY if over_both is None else interval_text(over_both)
        rows.append(row)
    return f"\n{as_table(rows)}\n{_ARMS_NOTE}\n" if rows else ""


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
