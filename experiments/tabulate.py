"""Turns reports into one table, or compares two runs.

python -m experiments.tabulate WORKDIR|REPORT.json... --out=table.md --layout=wide|long|pivot
python -m experiments.tabulate WORKDIR... --page=report.html
python -m experiments.tabulate WORKDIR|REPORT.json WORKDIR|REPORT.json --compare --out=comparison.md
"""

import os
import sys
from pathlib import Path
from typing import Any

from absl import flags

from lingjax import command
from lingjax.errors import InputError

_OUT = flags.DEFINE_string("out", None, "File to write, .md, .csv, .html, .tex or .txt. Empty: print.")
_PLOTS = flags.DEFINE_string("plots", None, "Folder for plots of every report, PNG and SVG. Empty: none.")
_PAGE = flags.DEFINE_string("page", None, "File for one page of all reports, as report.html of a workdir. Empty: none.")
_LAYOUT = flags.DEFINE_enum(
    "layout",
    "wide",
    ["wide", "long", "pivot"],
    "wide: a row a report; long: a row a run, target, seed and metric; pivot: a row a model and a column a target.",
)
_COMPARE = flags.DEFINE_bool(
    "compare", False, "Takes two runs, and tells how far the second differs from the first on each target of both."
)


def main(places: list[str]) -> None:
    """Reads, checks and tabulates."""
    if not places:
        raise InputError("name at least one workdir or report, as in runs/NAME or runs/NAME/reports/TARGET.json")
    if _COMPARE.value:
        _compare(places)
    else:
        _tabulate(places)


def _tabulate(places: list[str]) -> None:
    from lingjax.reporting import LAYOUTS, read_report, report_paths, write_plots

    if _PAGE.value and not _PAGE.value.endswith(".html"):
        raise InputError(f"--page={_PAGE.value}: the file must end in .html")

    paths = [path for place in places for path in report_paths(place)]
    reports = [read_report(path) for path in paths]
    if _PLOTS.value:
        write_plots(_PLOTS.value, dict(zip(_short_names(paths), reports, strict=True)))
    table = LAYOUTS[_LAYOUT.value](reports, _run_names(paths))
    if _OUT.value:
        table.write(_OUT.value)
    if _PAGE.value:
        sys.stdout.write(_write_page(_PAGE.value, reports, places))
    elif not _OUT.value:
        sys.stdout.write(f"{table}\n")


def _write_page(page: str, reports: list[Any], places: list[str]) -> str:
    """Writes the page, and returns what the terminal shows of it."""
    from etils import epath

    from lingjax.reporting import write_report_page
    from lingjax.study.publish import in_short, training_curves

    folders = [epath.Path(place) for place in places if epath.Path(place).is_dir()]
    curves = {}
    for folder in folders:
        # A workdir may lie in another, which then has its curves too.
        before = "" if folder == folders[0] else f"{os.path.relpath(folder, folders[0])}/"
        curves |= {f"{before}{name}": points for name, points in training_curves(folder).items()}
    write_report_page(page, reports, curves)
    return f"{in_short(reports)}\n{page}\n"


def _run_names(paths: list[Any]) -> list[str]:
    """Returns each report's workdir, as many of its last folders as tell all of them apart.

    A report that lies in no workdir stands for itself.
    """
    absolute = [path if "://" in str(path) else Path(path).absolute() for path in paths]
    places = [path.parent.parent if path.parent.name == "reports" else path.with_suffix("") for path in absolute]
    distinct = len(set(places))
    for depth in range(1, max(len(place.parts) for place in places)):
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == distinct:
            return names
    return [str(place) for place in places]


def _short_names(paths: list[Any]) -> list[str]:
    """Returns the reports' names, with their run before them if two are alike."""
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        names = [".".join(filter(None, [path.parent.parent.name, path.stem])) for path in paths]
    twice = next((path for path, name in zip(paths, names, strict=True) if names.count(name) > 1), None)
    if twice:
        raise InputError(f"--plots: {twice} has the name and folder of another report; plot them one by one")
    return names


def _compare(places: list[str]) -> None:
    if _LAYOUT.value != "wide":
        raise InputError(f"--layout={_LAYOUT.value} is for reports one by one; leave it or --compare out")
    if _PLOTS.value:
        raise InputError("--plots draws single runs; leave out --compare")
    if _PAGE.value:
        raise InputError("--page shows single runs; leave out --compare")
    if len(places) != 2:
        raise InputError(f"--compare takes two workdirs or two reports, got {len(places)}")
    from lingjax.reporting import (
        COMPARISON_HEADINGS,
        COMPARISON_NOTE,
        as_text,
        compare_runs,
        comparison_rows,
        match_reports,
        read_judged_run,
        write_comparison,
    )

    pairs, alone = match_reports(*places)
    comparisons = [compare_runs(read_judged_run(first), read_judged_run(second)) for first, second in pairs]
    for path in alone:
        sys.stderr.write(f"left out, its target is in one run only: {path}\n")
    if _OUT.value:
        write_comparison(_OUT.value, comparisons)
    else:
        sys.stdout.write(f"{as_text(comparison_rows(comparisons), COMPARISON_HEADINGS)}\n{COMPARISON_NOTE}\n")


if __name__ == "__main__":
    command.run(main, positional=True)
