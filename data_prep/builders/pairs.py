"""Dataset `pairs`: tables with columns sentence1, sentence2 and label; data_prep/README.md states the rules."""

import collections
import dataclasses
import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep import writer
from data_prep.builders.dataset import NAME, SHARES, SPLIT, as_function, flag
from data_prep.builders.pair_rows import ID_COLUMNS, find_gap, read_pair
from data_prep.builders.table_dataset import TASK, Rows, TableDataset, divide
from data_prep.card import CardFacts
from data_prep.formats import parquet
from data_prep.formats.tables import Table, read_table
from data_prep.sources import distinct_names, find_files
from data_prep.splits import choose_fractions
from lingjax.errors import InputError, raise_problems

REQUIRED_COLUMNS = ("sentence1", "sentence2", "label")
# How the name of a class begins that says that two texts do not match, as GLUE's RTE names its class 1.
_DIFFERENT = re.compile(
    r"((not|non|no|false|negative|other|contradiction|neutral)($|[\W_])|different|unrelated|dissimilar|unequal|distinct)",
    re.IGNORECASE,
)
_OPTIONAL_COLUMNS = ("identity", "source", "group")
_ROW_NUMBER_COLUMNS = ("", "index", "Unnamed: 0")  # what pandas calls the index that it writes along


@dataclasses.dataclass(frozen=True)
class Pairs(TableDataset):
    """The rows of tables, in one split or divided by the hash of their ids."""

    dataset = "pairs"

    name: str = flag(NAME)
    source: Sequence[str] = flag("files or glob patterns")
    split: str | None = flag(f"{SPLIT}; without --splits, train", None)
    splits: Sequence[str] | None = flag(SHARES, None)

    @property
    def fractions(self) -> dict[str, float]:
        """The share of each split."""
        return choose_fractions(self.split, self.splits, default=["train:1"])

    def check(self) -> None:
        """Checks the flags; as `TableDataset.check`."""
        choose_fractions(self.split, self.splits)

    def find(self) -> list[Path]:
        """Finds the files; as `TableDataset.find`."""
        return find_files(self.source)

    def request(self, found: Sequence[Path]) -> dict[str, object]:
        """Returns all that decides the content; as `TableDataset.request`."""
        return {"sources": writer.describe_sources(found), "split_fractions": [*map(list, self.fractions.items())]}

    def read(self, found: Sequence[Path]) -> Rows:
        """Reads the rows; as `TableDataset.read`."""
        table = read_pairs(found)
        return Rows(divide(table.records, self.fractions), table.optional, table.dropped, table.label_names)

    def card(self, found: Sequence[Path], sources: Sequence[Mapping[str, str]]) -> CardFacts:
        """Returns what the card says; as `TableDataset.card`."""
        split = None if self.splits else self.split or "train"
        named = {"name": self.name, "source": [source["path"] for source in sources]}
        command = self.command({**named, "split": split, "splits": self.splits})
        return CardFacts(title=f"{self.name}: pairs of texts", task=TASK, command=command, sources=sources)

    def describe(self, found: Sequence[Path]) -> str:
        """Returns one sentence for TFDS."""
        return "Pairs of texts, labelled 1 if they say the same and 0 otherwise."


build = as_function(Pairs)


@dataclasses.dataclass(frozen=True)
class PairTable:
    """The pairs of some files.

    Attributes:
      records: in order.
      optional: the optional features that all of them have.
      dropped: counts of what was left out, by what it is.
      label_names: what each file calls labels 0 and 1, without repetition; files that do not say are left out.
    """

    records: list[dict]
    optional: tuple[str, ...]
    dropped: dict[str, int]
    label_names: tuple[tuple[str, ...], ...]


def read_pairs(paths: Sequence[Path], *, published: bool = False) -> PairTable:
    """Reads the pair records of all files.

    Args:
      paths: tables.
      published: whether they are those of a repository: rows without a label or text are left out and counted, instead
        of refused, and messages name the folder of the cache once.

    Raises:
      InputError: the problems of all rows of all files together, among them why a file cannot be read at all.
    """
    records, problems, dropped, label_names = [], [], collections.Counter(), {}
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
        if table.label_names:
            label_names[table.label_names] = None
        if fault := _find_other_labels(table.label_names):
            problems.append(f"{path}: {fault}")
        for column in table.columns:
            if column not in (*REQUIRED_COLUMNS, *ID_COLUMNS, *_OPTIONAL_COLUMNS, *_ROW_NUMBER_COLUMNS):
                dropped[f"values of column '{column}'"] += len(table.rows)
        for number, row in enumerate(table.rows, start=1):
            if published and (gap := find_gap(row)):
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
    folder = os.path.commonpath([path.parent for path in paths]) if published else ""
    raise_problems(
        f"the pairs{folder and ' in '}{folder} cannot be used",
        [problem.replace(f"{folder}{os.sep}", "") for problem in problems] if folder else problems,
    )
    optional = []
    for column in _OPTIONAL_COLUMNS:
        present = sum(column in record for record in records)
        if present == len(records):
            optional.append(column)
        elif present:
            dropped[f"values of column '{column}', which not every row has"] += present
    features = ("pair_id", *REQUIRED_COLUMNS, *optional)
    records = [{feature: record[feature] for feature in features} for record in records]
    return PairTable(records, tuple(optional), dict(dropped), tuple(label_names))


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
