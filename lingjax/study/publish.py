"""What people look at, from reports: a table, a page, plots."""

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lingjax.errors import printable
from lingjax.files import are_newer, find_paths
from lingjax.reporting import (
    TABLE_HEADINGS,
    TransferReport,
    added_text,
    as_text,
    finding,
    power_text,
    read_report,
    report_paths,
    table_records,
    table_rows,
    why_undetermined,
    write_plots,
    write_report_page,
    write_table,
)
from lingjax.training.metrics import read_metrics

_TERMINAL_WIDTH = 100


def read_reports(place: str | os.PathLike) -> list[dict[str, Any]]:
    """Returns the main figures of reports as flat records, ready for `pandas.DataFrame`.

    Args:
      place: a workdir, or one report.

    Raises:
      InputError: there is no report, or one cannot be read.

    >>> import lingjax
    >>> record = lingjax.read_reports(tiny_transfer)[0]
    >>> record["target"], record["seeds"], 0 <= record["auroc_mean"] <= 1
    ('tiny', 1, True)
    """
    return table_records([read_report(path) for path in report_paths(os.fspath(place))])


def publish(workdir: Path, paths: Sequence[Path]) -> None:
    """Writes `table.md`, `report.html` and `plots/` from reports, unless they are newer than these and say the same."""
    reports = [read_report(path) for path in paths]
    table, page = workdir / "table.md", workdir / "report.html"
    before = table.read_text() if table.exists() else ""
    write_table(table, reports)
    drawn = [page, *(workdir / "plots" / f"{path.stem}.scores.svg" for path in paths)]
    if table.read_text() == before and are_newer(drawn, than=paths):
        return
    write_report_page(page, reports, training_curves(workdir))
    write_plots(workdir / "plots", {path.stem: report for path, report in zip(paths, reports, strict=True)})


def summarise(workdir: Path, paths: Sequence[Path]) -> str:
    """Returns what the terminal shows of published reports: what was found, the table, each verdict, and the page."""
    reports = [read_report(path) for path in paths]
    told = "".join(f"\n{path.stem}: {_verdict(report)}\n" for path, report in zip(paths, reports, strict=True))
    return f"{in_short(reports)}{printable(told)}\n{workdir / 'report.html'}\n"


def in_short(reports: Sequence[TransferReport]) -> str:
    """Returns what was found in a sentence or two, and the table."""
    found = textwrap.fill(finding(reports), _TERMINAL_WIDTH, break_long_words=False, break_on_hyphens=False)
    return f"{found}\n\n{as_text(table_rows(reports), TABLE_HEADINGS)}"


def training_curves(workdir: Path) -> dict[str, list[tuple[int, float]]]:
    """Returns the training losses of all runs in a workdir, by their folders in it: points (step, loss)."""
    return {
        str(folder.parent.relative_to(workdir)): [(line["step"], line["loss"]) for line in lines if line.get("loss")]
        for folder in _logs(workdir)
        if (lines := read_metrics(folder.parent))
    }


def _verdict(report: TransferReport) -> str:
    """The verdict in words, with a line for each of its warnings."""
    verdict = report.verdict
    above = {True: "above chance", False: "not above chance", None: "chance cannot be told"}[verdict["above_chance"]]
    beaten = {
        True: "beats the best control",
        False: "does not clearly beat the best control",
        None: "cannot be compared with a control",
    }[verdict["above_best_control"]]
    more = [why_undetermined(verdict), added_text(verdict), power_text(verdict)]
    said = [f"{above}, {beaten}", *(f"\n  {text}" for text in more if text)]
    return "".join([*said, *(f"\n  warning: {text}" for text in verdict["warnings"])])


def _logs(workdir: Path) -> list[Path]:
    """The logs of all runs in a workdir, by the patterns they can have: a bucket is not searched through."""
    patterns = ("metrics.jsonl", "seed*/metrics.jsonl", "*/seed*/metrics.jsonl")
    return sorted(path for pattern in patterns for path in find_paths(workdir, pattern))
