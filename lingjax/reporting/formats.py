"""Rows of texts as a table: plain text, Markdown, CSV, HTML or LaTeX; a file's ending chooses."""

import csv
import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etils import epath

from lingjax.errors import InputError, printable
from lingjax.files import write_text
from lingjax.reporting.page import as_page

# Field of a row -> heading.
Headings = Mapping[str, str]

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
_INTERVAL = re.compile(r"\[(?:[\d., –+-]|&lt;|&gt;)+\]")
_LONG_NAME = re.compile(r"\w{16,}")  # may be broken after an underscore, so that a table keeps to its page


def _cells(row: Any, headings: Headings) -> list[str]:
    return [getattr(row, field) for field in headings]


def as_text(rows: Sequence[Any], headings: Headings) -> str:
    """Returns a table of fixed width for the terminal."""
    lines = [[*headings.values()], *[[*map(printable, _cells(row, headings))] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def as_markdown(rows: Sequence[Any], headings: Headings) -> str:
    """Returns a GitHub-flavoured Markdown table; characters with a meaning in Markdown are escaped."""
    lines = [[*headings.values()], ["---"] * len(headings)]
    lines += [
        [_MARKDOWN_SPECIAL.sub(r"\\\g<0>", " ".join(cell.split())) for cell in _cells(row, headings)] for row in rows
    ]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def as_latex(rows: Sequence[Any], headings: Headings) -> str:
    """Returns a LaTeX `tabular` with the rules of the package booktabs; characters with a meaning are escaped."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join(" ".join(cell.split()).translate(_LATEX_SPECIAL) for cell in cells) + r" \\" + "\n"

    head = line([*headings.values()])
    body = "".join(line(_cells(row, headings)) for row in rows)
    columns = "l" * len(headings)
    return (
        f"% \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\\midrule\n{body}"
        "\\bottomrule\n\\end{tabular}\n"
    )


def as_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """Returns CSV with a header; every record has the same keys. What is None stays empty.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    Source: https://owasp.org/www-community/attacks/CSV_Injection
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _no_formula(value) for name, value in record.items()} for record in records)
    return text.getvalue()


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def as_html(rows: Sequence[Any], headings: Headings) -> str:
    """Returns a `<table>` that `page.js` makes sortable; texts are escaped, long names can be broken."""
    head = "".join(f'<th scope="col">{html.escape(heading)}</th>' for heading in headings.values())
    body = "".join(
        "<tr>" + "".join(f"<td>{_html_cell(cell)}</td>" for cell in _cells(row, headings)) + "</tr>\n" for row in rows
    )
    return f'<table class="sortable">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n'


def scrolling(table: str, label: str) -> str:
    """Returns a frame in which a wide table scrolls by itself, also by keyboard."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(label, quote=True)}">{table}</div>'


def write_formats(
    path: epath.PathLike,
    rows: Sequence[Any],
    headings: Headings,
    *,
    records: Callable[[], Sequence[Mapping[str, Any]]],
    title: str,
    note: str,
) -> None:
    """Writes a table in the format that the file's ending names.

    Args:
      path: the file.
      rows: dataclasses whose fields are texts.
      headings: by field, in order.
      records: for CSV, the same with bare numbers.
      title: what the HTML page is headed.
      note: what the figures are, below the table of the HTML page.

    Raises:
      InputError: the ending is none of `.md`, `.csv`, `.html`, `.tex`, `.txt`.
    """
    ending = epath.Path(path).suffix
    writers = {
        ".md": lambda: as_markdown(rows, headings),
        ".csv": lambda: as_csv(records()),
        ".html": lambda: as_page(title, _section(title, as_html(rows, headings), note)),
        ".tex": lambda: as_latex(rows, headings),
        ".txt": lambda: as_text(rows, headings),
    }
    if ending not in writers:
        raise InputError(f"cannot write a table to {path}: the file must end in one of {', '.join(writers)}")
    write_text(path, writers[ending]())


def _section(title: str, table: str, note: str) -> str:
    return (
        f'<main><h1>{html.escape(title)}</h1><section class="wide">{scrolling(table, title)}'
        f'<p class="muted">{html.escape(note)}</p></section></main>\n'
    )


def _html_cell(text: str) -> str:
    escaped = _LONG_NAME.sub(lambda name: name[0].replace("_", "_<wbr>"), html.escape(text))
    return _INTERVAL.sub(r'<span class="interval">\g<0></span>', escaped.replace(" ± ", "&nbsp;±&nbsp;"))
