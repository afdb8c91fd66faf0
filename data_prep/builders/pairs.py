"""Dataset `pairs`: tables with columns sentence1, sentence2 and label; data_prep/README.md states the rules."""

import collections
import difflib
from collections.abc import Sequence
from pathlib import Path

from data_prep import writer
from data_prep.builders.pair_rows import ID_COLUMNS, read_pair
from data_prep.formats.tables import Table, read_table
from data_prep.sources import distinct_names, find_files
from data_prep.splits import choose_split, parse_splits
from lingjax.errors import InputError, raise_problems

REQUIRED_COLUMNS = ("sentence1", "sentence2", "label")
_OPTIONAL_COLUMNS = ("identity", "source")
_ROW_NUMBER_COLUMNS = ("", "index", "Unnamed: 0")  # what pandas calls the index that it writes along


def build(
    data_dir: Path | str,
    *,
    name: str,
    source: Sequence[str],
    split: str | None = None,
    splits: Sequence[str] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Builds one dataset from tables and returns its folder.

    Args:
      data_dir: folder of all datasets.
      name: the dataset's name.
      source: files or glob patterns.
      split: the one split that receives every row; "train" if `splits` is not given either.
      splits: `SPLIT:FRACTION` texts whose fractions sum to 1; a row's split depends on nothing but its pair_id.
      overwrite: whether an existing dataset of this name built from other input is replaced.

    Raises:
      InputError: the files or flags cannot be used; problems of all rows of all files are reported together.
    """
    if split and splits:
        raise InputError("--split puts every row into one split and --splits divides them; give one of the two")
    fractions = parse_splits(splits) if splits else {split or "train": 1.0}
    paths = find_files(source)
    request = {
        "dataset": "pairs",
        "sources": writer.describe_sources(paths),
        "split_fractions": [*map(list, fractions.items())],
    }
    if built := writer.find_built(data_dir, name, request, overwrite=overwrite):
        return [built]
    records, optional, dropped = read_pairs(paths)
    by_split = {part: [] for part in fractions}
    for record in records:
        by_split[choose_split(record["pair_id"], fractions)].append(record)
    folder = writer.write_dataset(
        data_dir,
        name,
        by_split,
        kind="pairs",
        description="Pairs of texts, labelled 1 if they say the same and 0 otherwise.",
        request=request,
        info={"dropped": dropped, "synthetic": False},
        optional=optional,
        overwrite=overwrite,
    )
    return [folder]


def read_pairs(paths: Sequence[Path]) -> tuple[list[dict], tuple[str, ...], dict[str, int]]:
    """Reads the pair records of all files.

    Returns:
      The records in order; which optional features all of them have; counts of what was left out, by what it is.

    Raises:
      InputError: the problems of all rows of all files together, among them why a file cannot be read at all.
    """
    records, problems, dropped = [], [], collections.Counter()
    first_use = {}
    for path, label in zip(paths, distinct_names(paths), strict=True):
        try:
            table = read_table(path)
        except InputError as error:
            problems.append(str(error))
            continue
        if missing := _describe_missing_columns(table):
            problems.append(f"{path}: {missing}")
            continue
        problems += table.problems
        for column in table.columns:
            if column not in (*REQUIRED_COLUMNS, *ID_COLUMNS, *_OPTIONAL_COLUMNS, *_ROW_NUMBER_COLUMNS):
                dropped[f"values of column '{column}'"] += len(table.rows)
        for number, row in enumerate(table.rows, start=1):
            record, faults = read_pair(row, default_id=f"{label}:{number}")
            problems += [f"{row.place}: {fault}" for fault in faults]
            if faults:
                continue
            pair_id = record["pair_id"]
            if pair_id in first_use:
                problems.append(f"{row.place}: pair_id '{pair_id}' is already that of {first_use[pair_id]}")
            first_use[pair_id] = row.place
            records.append(record)
    raise_problems("the pairs cannot be used", problems)
    optional = []
    for column in _OPTIONAL_COLUMNS:
        present = sum(column in record for record in records)
        if present == len(records):
            optional.append(column)
        elif present:
            dropped[f"values of column '{column}', which not every row has"] += present
    features = ("pair_id", *REQUIRED_COLUMNS, *optional)
    return [{feature: record[feature] for feature in features} for record in records], tuple(optional), dict(dropped)


def _describe_missing_columns(table: Table) -> str:
    missing = [column for column in REQUIRED_COLUMNS if column not in table.columns]
    # A table without any row has no columns either, but problems that say why.
    if not missing or not table.columns:
        return ""
    others = [column for column in table.columns if column not in REQUIRED_COLUMNS]
    close = [(match, column) for column in missing for match in difflib.get_close_matches(column, others, n=1)]
    renaming = f"; rename {' and '.join(f'{match!r} to {column!r}' for match, column in close)}?" if close else ""
    seen = ", ".join(repr(column) for column in table.columns)
    return f"no column {' and '.join(repr(column) for column in missing)}; the columns are {seen}{renaming}"
