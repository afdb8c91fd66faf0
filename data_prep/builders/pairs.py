"""Dataset `pairs`: tables with columns sentence1, sentence2 and label; data_prep/README.md states the rules."""

import collections
import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep import writer
from data_prep.builders.pair_rows import ID_COLUMNS, find_gap, read_pair
from data_prep.card import CardFacts, write_card
from data_prep.formats import parquet
from data_prep.formats.tables import Table, read_table
from data_prep.sources import distinct_names, find_files
from data_prep.splits import choose_split, parse_splits
from lingjax.errors import InputError, raise_problems

REQUIRED_COLUMNS = ("sentence1", "sentence2", "label")
TASK = (
    "Label 1: the two texts say the same, or belong together in the way that the sources state. Label 0: they do not."
)
# How the name of a class begins that says that two texts do not match, as GLUE's RTE names its class 1.
_DIFFERENT = re.compile(
    r"((not|non|no|false|negative|other|contradiction|neutral)($|[\W_])|different|unrelated|dissimilar|unequal|distinct)",
    re.IGNORECASE,
)
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
    sources = request["sources"]
    divided = f"--splits={','.join(splits)}" if splits else f"--split={split or 'train'}"
    facts = CardFacts(
        title=f"{name}: pairs of texts",
        task=TASK,
        command=f"python -m data_prep.build --dataset=pairs --name={name} "
        f"--source={','.join(described['path'] for described in sources)} {divided} --data_dir=DIR",
        sources=sources,
    )
    folder = write_rows(
        data_dir,
        name,
        by_split,
        optional=optional,
        dropped=dropped,
        description="Pairs of texts, labelled 1 if they say the same and 0 otherwise.",
        request=request,
        facts=facts,
        overwrite=overwrite,
    )
    return [folder]


def write_rows(
    data_dir: Path | str,
    name: str,
    by_split: Mapping[str, Sequence[Mapping[str, object]]],
    *,
    optional: Sequence[str],
    dropped: Mapping[str, int],
    description: str,
    request: Mapping[str, object],
    facts: CardFacts,
    overwrite: bool,
) -> Path:
    """Writes rows of tables with their card and returns the dataset's folder.

    Args:
      by_split: the records of each split, as `read_pairs` returns them.
      optional, dropped: as `read_pairs` returns them.
      facts: for the card; its filters are completed here.
      data_dir, name, description, request, overwrite: as `writer.write_dataset`.
    """
    left_out = {f"left out: {what}": count for what, count in dropped.items()}
    filters = {**facts.filters, **left_out, "rows": sum(map(len, by_split.values()))}
    facts = dataclasses.replace(facts, filters=filters)
    return writer.write_dataset(
        data_dir,
        name,
        by_split,
        kind="pairs",
        description=description,
        request=request,
        info={"dropped": dict(dropped), "synthetic": False},
        optional=optional,
        beside=lambda folder: write_card(folder, by_split, facts),
        overwrite=overwrite,
    )


def read_pairs(
    paths: Sequence[Path], *, leave_out_gaps: bool = False
) -> tuple[list[dict], tuple[str, ...], dict[str, int]]:
    """Reads the pair records of all files.

    Args:
      paths: tables.
      leave_out_gaps: whether rows without a label or text are left out and counted, instead of refused.

    Returns:
      The records in order; which optional features all of them have; counts of what was left out, by what it is.

    Raises:
      InputError: the problems of all rows of all files together, among them why a file cannot be read at all.
    """
    records, problems, dropped = [], [], collections.Counter()
    first_use = {}
    for path, label in zip(paths, distinct_names(paths), strict=True):
        try:
            table = parquet.read_parquet(path) if path.suffix == parquet.EXTENSION else read_table(path)
        except InputError as error:
            problems.append(str(error))
            continue
        if missing := _describe_missing_columns(table):
            problems.append(f"{path}: {missing}")
            continue
        problems += table.problems
        if fault := _find_other_labels(table.label_names):
            problems.append(f"{path}: {fault}")
        for column in table.columns:
            if column not in (*REQUIRED_COLUMNS, *ID_COLUMNS, *_OPTIONAL_COLUMNS, *_ROW_NUMBER_COLUMNS):
                dropped[f"values of column '{column}'"] += len(table.rows)
        for number, row in enumerate(table.rows, start=1):
            if leave_out_gaps and (gap := find_gap(row)):
                dropped[gap] += 1
                continue
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


def _find_other_labels(names: Sequence[str]) -> str:
    """Returns what is wrong with the names that a file gives to labels 0 and 1, "" if 1 may mean that texts match."""
    if not names:
        return ""
    listed = ", ".join(f"{label} is '{name}'" for label, name in enumerate(names))
    if len(names) != 2:
        return f"its column 'label' has {len(names)} classes ({listed}); pairs have two"
    if _DIFFERENT.match(names[1]) and not _DIFFERENT.match(names[0]):
        return f"its labels mean the opposite ({listed}); exchange 0 and 1, as here 1 says that two texts match"
    return ""


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
