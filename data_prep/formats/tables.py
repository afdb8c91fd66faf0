"""Reads tables of records: TSV, CSV, JSON lines and JSON arrays, each also gzip-compressed.

Problems of single rows are collected in the table, so that a caller can report those of all files together; a file that
cannot be read at all raises at once.
"""

import dataclasses
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.formats.records import (
    Unreadable,
    is_quoted_tsv,
    parse_json,
    parse_plain_tsv,
    parse_quoted,
)
from data_prep.formats.streams import decode_lines
from lingjax.errors import InputError

_FORMATS = {".tsv": "tsv", ".tab": "tsv", ".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One record: `place` is the `FILE:LINE` where it starts, `values` maps each column to text or to a JSON value."""

    place: str
    values: dict[str, object]


@dataclasses.dataclass(frozen=True)
class Table:
    """The rows of one file in order.

    Attributes:
      columns: in the order of the file.
      rows: the records.
      problems: for each other record a text that begins with its place.
      label_names: what the file calls the values 0, 1, ... of its column "label"; empty if it does not say.
    """

    columns: tuple[str, ...]
    rows: list[Row]
    problems: list[str]
    label_names: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """Reads a file whole.

    Raises:
      InputError: the file is missing, empty, not UTF-8 text, cut off, or not a table; the message names file and place.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the files in it, for example '{path}/*.tsv'")
    if not path.exists():
        raise InputError(f"{path} does not exist")
    try:
        return parse_table(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def parse_table(data: bytes, name: str) -> Table:
    """Parses the content of a file; `name` is its name for messages, and its extension tells the format.

    An unknown extension is no obstacle: JSON begins with a bracket, TSV has a tab in its first line, CSV a comma.

    Raises:
      InputError: as `read_table`.
    """
    text = "".join(decode_lines(io.BytesIO(data), name))
    if not text.strip():
        raise InputError(f"{name} is empty")
    table_format = _FORMATS.get(Path(name.removesuffix(".gz")).suffix.lower()) or _guess_format(text, name)
    if table_format == "json":
        return _collect_objects(parse_json(io.StringIO(text), name))
    if table_format == "csv" or is_quoted_tsv(text):
        return _collect_fields(parse_quoted(text, "," if table_format == "csv" else "\t"), name)
    return _collect_fields(parse_plain_tsv(text), name)


def _guess_format(text: str, name: str) -> str:
    first_line = text.lstrip().split("\n", 1)[0]
    if first_line.startswith(("[", "{")):
        return "json"
    for delimiter, table_format in (("\t", "tsv"), (",", "csv")):
        if delimiter in first_line:
            return table_format
    raise InputError(
        f"{name} is no table: its first line {first_line[:60]!r} has neither tab nor comma and is not JSON; "
        "known are .tsv, .csv, .jsonl and .json, each also .gz"
    )


def _collect_fields(parsed: Iterator[tuple[int, Sequence[str] | Unreadable]], name: str) -> Table:
    line, columns = next(parsed)
    if isinstance(columns, Unreadable):
        raise InputError(f"{name}:{line}: {columns.reason}")
    repeated = [column for column, times in Counter(columns).items() if times > 1]
    if repeated:
        raise InputError(f"{name}:{line}: the header names column '{repeated[0]}' more than once")
    rows, problems, widths = [], [], Counter()
    for line, fields in parsed:
        if isinstance(fields, Unreadable):
            problems.append(f"{name}:{line}: {fields.reason}")
        elif len(fields) != len(columns):
            widths[len(fields)] += 1
            problems.append(f"{name}:{line}: {len(fields)} fields where the header has {len(columns)}")
        else:
            rows.append(Row(f"{name}:{line}", dict(zip(columns, fields, strict=True))))
    if not rows and set(widths) == {len(columns) + 1}:
        raise InputError(
            f"{name}: every row has {len(columns) + 1} fields and the header {len(columns)}, as R's write.table writes "
            "row names; write it with row.names=FALSE"
        )
    if not rows and not problems:
        raise InputError(f"{name} has a header but no rows")
    return Table(tuple(columns), rows, problems)


def _collect_objects(parsed: Iterator[tuple[str, object]]) -> Table:
    rows, problems = [], []
    for place, value in parsed:
        if isinstance(value, Unreadable):
            problems.append(f"{place}: {value.reason}")
        elif not isinstance(value, dict):
            problems.append(f"{place}: {json.dumps(value)[:40]} is not an object with a key for each column")
        else:
            rows.append(Row(place, value))
    return Table(tuple(dict.fromkeys(column for row in rows for column in row.values)), rows, problems)
