"""Splits the text of a table into records: plain TSV, CSV and quoted TSV, JSON lines, JSON arrays.

Each parser yields `(place, record)` in order: where the record starts, as a line from 1 or as `FILE:LINE`, and a list
of fields or a JSON value, or an `Unreadable` in its stead.
"""

import csv
import dataclasses
import io
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator

from lingjax.errors import InputError

_QUOTED_FIELD = re.compile(r'"(?:[^"]|"")*"')
_JSON_SPACE = re.compile(r"[ \t\r\n]*")


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """Stands where a record should be; `reason` says what is there."""

    reason: str


def parse_plain_tsv(text: str) -> Iterator[tuple[int, list[str]]]:
    """Parses lines of fields between tabs, in which a quote mark is a character like any other."""
    # Not `splitlines`: it also breaks at U+0085, U+2028 and other characters that are part of sentences.
    for line, content in enumerate(text.split("\n"), start=1):
        content = content.removesuffix("\r")
        if content:
            yield line, content.split("\t")


def parse_quoted(text: str, delimiter: str) -> Iterator[tuple[int, list[str] | Unreadable]]:
    """Parses fields that may stand in quote marks and then hold delimiters, line breaks and doubled quote marks."""
    csv.field_size_limit(sys.maxsize)  # the default of 131,072 characters is less than a long sequence
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            yield line, Unreadable(f"broken quoting ({error}); the rest of the file was not read")
            return
        if fields is None:
            return
        if fields:
            yield line, fields
        line = reader.line_num + 1


def is_quoted_tsv(text: str) -> bool:
    """Tells a TSV with CSV-style quoting from a plain one.

    PAWS files are plain: sentences begin and end with lone quote marks. A file is taken as quoted only if it parses as
    quoted from end to end and shows that it is: its header is quoted, or a quoted field holds a doubled quote mark, a
    tab or a line break. But lines that are rows by themselves are never one row: between the lone mark that begins one
    sentence and the lone mark that ends another lie rows, not a text.
    """
    if '"' not in text:
        return False
    plain = [fields for _, fields in parse_plain_tsv(text)]
    quoted = [fields for _, fields in parse_quoted(text, "\t")]
    width = len(quoted[0]) if isinstance(quoted[0], list) else 0
    if any(isinstance(fields, Unreadable) or len(fields) != width for fields in quoted):
        return False
    if all(_QUOTED_FIELD.fullmatch(field) for field in plain[0]):
        return True
    for fields in quoted:
        tabs = [line.count("\t") for line in "\t".join(fields).split("\n")]
        if tabs.count(width - 1) > 1:
            return False
    # A line break or a tab inside a quoted field makes lines of another width.
    breaks_lines = any(len(fields) != width for fields in plain)
    doubles_marks = any('""' in field[1:-1] and _QUOTED_FIELD.fullmatch(field) for fields in plain for field in fields)
    return breaks_lines or doubles_marks


def parse_json(lines: Iterable[str], name: str) -> Iterator[tuple[str, object]]:
    """Parses one JSON value a line, or the elements of one array if the text begins with a bracket.

    Args:
      lines: the lines of a file, their ends included; blank ones are nothing. Those of an array are held together.
      name: what the file is called in places.

    Yields:
      The place of each value, `NAME:LINE`, and the value, or an `Unreadable` in its stead.

    Raises:
      InputError: the array is empty.
    """
    lines = iter(lines)
    leading = []
    for line in lines:
        leading.append(line)
        if line.strip():
            break
    lines = itertools.chain(leading, lines)
    if not leading or not leading[-1].lstrip().startswith("["):
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"{name}:{number}", _parse_json_line(line)
        return
    element = 0
    for element, (number, value) in enumerate(_parse_json_array("".join(lines)), start=1):
        # An array may stand on one line, so that the line alone would not tell its elements apart.
        yield f"{name}:{number} (element {element})", value
    if not element:
        raise InputError(f"{name} holds an empty array")


def _parse_json_line(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return Unreadable(f"not JSON: {_first_words(error)}")


def _parse_json_array(text: str) -> Iterator[tuple[int, object]]:
    """Parses the elements of one array, one by one, because only so is the line of each known."""
    decoder = json.JSONDecoder()
    position = text.index("[") + 1
    line, counted = 1, 0
    expects_comma = False
    while True:
        position = _JSON_SPACE.match(text, position).end()
        line, counted = line + text.count("\n", counted, position), position
        if text.startswith("]", position):
            if rest := text[position + 1 :].strip():
                yield line, Unreadable(f"not JSON: {rest[:20]!r} follows the end of the array")
            return
        if expects_comma:
            if not text.startswith(",", position):
                found = repr(text[position : position + 20]) if position < len(text) else "the end of the file"
                yield line, Unreadable(f"not JSON: expected ',' or ']', found {found}")
                return
            position = _JSON_SPACE.match(text, position + 1).end()
            line, counted = line + text.count("\n", counted, position), position
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            yield line, Unreadable(f"not JSON: {_first_words(error)}; the rest of the file was not read")
            return
        yield line, value
        expects_comma = True


def _first_words(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error).split(";")[0]
