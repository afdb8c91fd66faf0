"""Turns one row of a table into a pair record, or says what is wrong with it."""

import decimal
import math

from data_prep.formats.tables import Row

ID_COLUMNS = ("pair_id", "id")
_MOST_SHOWN = 40
_UNLABELLED = (None, "", -1, "-1")  # as GLUE marks the rows of its test splits
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1}


def read_pair(row: Row, *, default_id: str) -> tuple[dict, list[str]]:
    """Returns the record of one row, and what is wrong with it; the record is usable only if nothing is.

    Args:
      row: the row; `pair_id`, `id`, `identity` and `source` are optional in it.
      default_id: the pair_id if the row brings none.
    """
    faults = []
    record = {"pair_id": default_id}
    for column in ID_COLUMNS:
        if column in row.values:
            record["pair_id"] = _read_id(row.values[column], column, faults)
            break
    for column in ("sentence1", "sentence2"):
        record[column] = read_text(row.values.get(column), column, faults)
    record["label"] = read_label(row.values.get("label"), faults)
    for column in ("source", "group"):
        if _has_value(row, column):
            record[column] = read_text(row.values[column], column, faults)
    if _has_value(row, "identity"):
        identity = _read_number(row.values["identity"], "identity", faults)
        if not math.isnan(identity):
            record["identity"] = identity
    return record, faults


def find_gap(row: Row) -> str:
    """Returns what a row lacks, in words for a count, or "": a published split may hold rows without label or text."""
    label = row.values.get("label")
    label = label.strip() if isinstance(label, str) else label
    if not isinstance(label, bool) and label in _UNLABELLED:
        return "rows without a label"
    for column in ("sentence1", "sentence2"):
        text = row.values.get(column)
        if text is None or (isinstance(text, str) and not text.strip()):
            return f"rows without {column}"
    return ""


def _has_value(row: Row, column: str) -> bool:
    return row.values.get(column) not in (None, "")


def _read_id(value: object, column: str, faults: list[str]) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return read_text(value, column, faults)


def read_text(value: object, column: str, faults: list[str]) -> str:
    """Returns a text as it stands, or "" after adding to the faults what is wrong with it."""
    if value is None:
        faults.append(f"{column} is missing")
    elif not isinstance(value, str):
        faults.append(f"{column} is {_show(value)}, not text")
    elif not value.strip():
        faults.append(f"{column} is empty")
    elif any("\ud800" <= character <= "\udfff" for character in value):
        faults.append(f"{column} holds half of a surrogate pair, which is no character")
    else:
        return value
    return ""


def read_label(value: object, faults: list[str]) -> int:
    """Returns 0 or 1, or 0 after adding to the faults what is wrong with the label."""
    # JSON has numbers and truth values, Parquet has decimals, text files have digits or what Python calls truth values,
    # space about them at times; pandas writes 1.0 where a column once had gaps.
    if isinstance(value, (bool, int, float, decimal.Decimal)) and value in (0, 1):
        return int(value)
    if isinstance(value, str) and value.strip() in _LABELS:
        return _LABELS[value.strip()]
    faults.append("label is missing" if value is None else f"label is {_show(value)}, not 0 or 1")
    return 0


def _read_number(value: object, column: str, faults: list[str]) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.inf
    if math.isinf(number):
        faults.append(f"{column} is {_show(value)}, not a number")
    return number


def _show(value: object) -> str:
    """Returns the beginning of a value, which may be a whole column in one."""
    shown = repr(value)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."
