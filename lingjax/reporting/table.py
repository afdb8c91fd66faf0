"""Many reports as one table: plain text, Markdown, CSV, HTML or LaTeX."""

import csv
import dataclasses
import html
import io
import re
from collections.abc import Sequence
from typing import Any

from etils import epath

from lingjax.errors import InputError
from lingjax.files import write_text
from lingjax.reporting.report import TransferReport

_HEADINGS = {
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
# Underscores inside words and brackets that no link follows mean nothing in Markdown and stay readable.
_MARKDOWN_SPECIAL = re.compile(r"[\\`*<>|&]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|(?<=\])\(")
_LATEX_SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"$\pm$",
        "–": "--",
        # Right after a row's end, LaTeX would read these as arguments of the line break.
        "[": "{[}",
        "*": "{*}",
    }
)
_INTERVAL = re.compile(r"\[[\d., –]+\]")


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
            accuracy=_with_uncertainty(report.summary["accuracy"]),
            flipped_accuracy=figure(report.summary["flipped_accuracy"]["mean"]),
            auroc=_with_uncertainty(report.summary["auroc"]),
            best_control=_best_control(report.controls),
            orientation=report.verdict["orientation"],
            warnings=str(len(report.verdict["warnings"])),
        )
        for report in reports
    ]


def as_text(rows: Sequence[TableRow]) -> str:
    """Returns a table of fixed width for the terminal."""
    lines = [[*_HEADINGS.values()], *[[*dataclasses.astuple(row)] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def as_markdown(rows: Sequence[TableRow]) -> str:
    """Returns a GitHub-flavoured Markdown table; characters with a meaning in Markdown are escaped."""
    lines = [[*_HEADINGS.values()], ["---"] * len(_HEADINGS)]
    lines += [
        [_MARKDOWN_SPECIAL.sub(r"\\\g<0>", " ".join(cell.split())) for cell in dataclasses.astuple(row)] for row in rows
    ]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def as_latex(rows: Sequence[TableRow]) -> str:
    """Returns a LaTeX `tabular` with the rules of the package booktabs; characters with a meaning are escaped."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join(" ".join(cell.split()).translate(_LATEX_SPECIAL) for cell in cells) + r" \\" + "\n"

    head = line([*_HEADINGS.values()])
    body = "".join(line(dataclasses.astuple(row)) for row in rows)
    columns = "l" * len(_HEADINGS)
    return (
        f"% \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\\midrule\n{body}"
        "\\bottomrule\n\\end{tabular}\n"
    )


def as_csv(reports: Sequence[TransferReport]) -> str:
    """Returns CSV for further computation: bare numbers, intervals in columns of their own, empty where unknown."""
    records = [_csv_record(report) for report in reports]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def as_html(rows: Sequence[TableRow], *, columns: Sequence[str] = tuple(_HEADINGS)) -> str:
    """Returns a `<table>` element; every text is escaped, intervals are in `<span class="interval">`.

    Args:
      columns: the fields of `TableRow` to show, in order.
    """
    head = "".join(f'<th scope="col">{html.escape(_HEADINGS[column])}</th>' for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{_html_cell(getattr(row, column))}</td>" for column in columns) + "</tr>\n"
        for row in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def write_table(path: epath.PathLike, reports: Sequence[TransferReport]) -> None:
    """Writes the table in the format that the file's ending names.

    Raises:
      InputError: the ending is none of `.md`, `.csv`, `.html`, `.tex`, `.txt`.
    """
    ending = epath.Path(path).suffix
    writers = {
        ".md": lambda: as_markdown(table_rows(reports)),
        ".csv": lambda: as_csv(reports),
        ".html": lambda: (
            '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>lingjax transfer</title>\n'
            f"{as_html(table_rows(reports))}</html>\n"
        ),
        ".tex": lambda: as_latex(table_rows(reports)),
        ".txt": lambda: as_text(table_rows(reports)),
    }
    if ending not in writers:
        raise InputError(f"cannot write a table to {path}: the file must end in one of {', '.join(writers)}")
    write_text(path, writers[ending]())


def model_name(model: dict[str, Any]) -> str:
    """Returns a model's short name: its family and where its weights came from."""
    source = model["init"]["source"]
    return f"{model['family']} ({model['init']['kind'] if not source else source.rstrip('/').rsplit('/', 1)[-1]})"


def figure(value: float | None, digits: int = 3) -> str:
    """Returns a figure for people; a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def _with_uncertainty(summary: dict[str, Any]) -> str:
    text = figure(summary["mean"])
    if summary["std_over_seeds"] is not None:
        text += f" ± {figure(summary['std_over_seeds'])}"
    if summary["ci95_over_items"] is not None:
        low, high = summary["ci95_over_items"]
        text += f" [{figure(low)}, {figure(high)}]"
    return text


def _html_cell(text: str) -> str:
    return _INTERVAL.sub(r'<span class="interval">\g<0></span>', html.escape(text).replace(" ± ", "&nbsp;±&nbsp;"))


def _strongest_control(controls: dict[str, Any]) -> tuple[str, float] | None:
    measured = {name: one["auroc"] for name, one in controls.items() if one.get("auroc") is not None}
    return max(measured.items(), key=lambda item: item[1]) if measured else None


def _best_control(controls: dict[str, Any]) -> str:
    best = _strongest_control(controls)
    return "–" if best is None else f"{best[0]} {figure(best[1])}"


def _csv_record(report: TransferReport) -> dict[str, Any]:
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
        record |= dict(
            zip((f"{name}_ci95_low", f"{name}_ci95_high"), summary["ci95_over_items"] or ("", ""), strict=True)
        )
    name, auroc = _strongest_control(report.controls) or ("", "")
    return record | {
        "best_control": name,
        "best_control_auroc": auroc,
        "orientation": report.verdict["orientation"],
        "warnings": len(report.verdict["warnings"]),
    }
