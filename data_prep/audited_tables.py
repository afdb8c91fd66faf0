"""Reads what `data_prep.audit` looks at: tables of pairs or single texts, and built datasets of pairs."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from data_prep.builders.pair_rows import ID_COLUMNS, read_label, read_text
from data_prep.builders.pairs import read_pairs
from data_prep.formats import parquet
from data_prep.formats.tables import Table, read_table
from data_prep.sources import distinct_names, find_files
from lingjax.data import TFRecordSource, open_split, parse_example, split_reference
from lingjax.errors import InputError, raise_problems

TEXT_COLUMNS = ("sentence", "text", "sequence")
"""What the one column of a table of single texts may be called."""

FILE_COLUMNS = ("file", "filename", "file_name", "origin")
"""Columns that say where a row is from, where there is no `source`."""

_FILE_AND_ROW = re.compile(r"(.+):\d+")


@dataclasses.dataclass(frozen=True)
class AuditedTable:
    """The rows of some files or of a split.

    Attributes:
      name: for messages and files.
      records: as they were read: `sentence1` and `sentence2`, or `sentence`; `label`; others.
      ids: None where the rows have no names but their numbers.
      sources: None where all are from one.
    """

    name: str
    records: Sequence[dict]
    ids: Sequence[str] | None
    sources: Sequence[str] | None

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns of texts."""
        return ("sentence",) if "sentence" in self.records[0] else ("sentence1", "sentence2")

    @staticmethod
    def of(name: str, records: Sequence[dict]) -> "AuditedTable":
        """Takes ids and sources from the records; ids that are a file's name and a row's number say which file."""
        ids: list[str] | None = [str(record["pair_id"]) for record in records]
        sources = [record["source"] for record in records] if all("source" in one for one in records) else None
        numbered = [_FILE_AND_ROW.fullmatch(one) for one in ids]
        if all(numbered):
            files = [match[1] for match in numbered]
            # Ids of a database, as "uniprot:123", look the same but are all of one kind.
            if sources is None and len(set(files)) > 1:
                sources = files
            ids = None
        if sources is not None and len(set(sources)) < 2:
            sources = None
        return AuditedTable(name, records, ids, sources)


def read_audited(references: Sequence[str], *, flag: str) -> list[AuditedTable]:
    """Reads files, or the splits of a dataset.

    Args:
      references: paths and glob patterns of tables, or one `DATA_DIR/NAME` or `DATA_DIR/NAME@SPLIT`.
      flag: what messages call the flag.

    Returns:
      One table for all files, or one a split, `train` first.

    Raises:
      InputError: as the files or the dataset are at fault.
    """
    if len(references) == 1 and Path(split_reference(references[0])[0]).expanduser().is_dir():
        return _read_dataset(references[0])
    paths = find_files(references, flag=flag)
    records = _read_texts(paths) if _is_single(paths[0]) else read_pairs(paths).records
    if records and "source" not in records[0] and (origins := _origins(paths)):
        records = [record | {"source": origin} for record, origin in zip(records, origins, strict=True)]
    if not records:
        raise InputError(f"{flag}={','.join(references)}: no rows")
    return [AuditedTable.of(flag.removeprefix("--"), records)]


def _read_dataset(reference: str) -> list[AuditedTable]:
    path, split = split_reference(reference)
    path = str(Path(path).expanduser())
    opened = open_split(reference if split else path, default=("train", "test", "validation", "dev"))
    others = [] if split else sorted(set(opened.info["splits"]) - {opened.split})
    tables = []
    for one in [opened.split, *others]:
        opened = open_split(f"{path}@{one}", default=())
        if opened.info.get("kind") != "pairs":
            raise InputError(f"{opened.path}: holds {opened.info.get('kind')}, where pairs are audited")
        records = [_decoded(payload) for payload in TFRecordSource(opened.shard_paths())]
        tables.append(AuditedTable.of(one, records))
    return tables


def _decoded(payload: bytes) -> dict:
    record = {name: values[0] for name, values in parse_example(payload).items() if values}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in record.items()}


def _read(path: Path) -> Table:
    return parquet.read_parquet(path) if path.suffix == parquet.EXTENSION else read_table(path)


def _is_single(path: Path) -> bool:
    """Says whether a table has one column of texts; a table that cannot be read is left to who reads pairs."""
    try:
        columns = _read(path).columns
    except InputError:
        return False
    return not {"sentence1", "sentence2"} & set(columns) and bool(set(TEXT_COLUMNS) & set(columns))


def _origins(paths: Sequence[Path]) -> list[str]:
    """Returns what a column that names files holds, row by row; empty unless every row has it."""
    rows = [row.values for path in paths for row in _read(path).rows]
    for column in FILE_COLUMNS:
        if all(row.get(column) not in (None, "") for row in rows):
            return [str(row[column]) for row in rows]
    return []


def _read_texts(paths: Sequence[Path]) -> list[dict]:
    records, problems = [], []
    for path, name in zip(paths, distinct_names(paths), strict=True):
        table = _read(path)
        problems += table.problems
        column = next((one for one in TEXT_COLUMNS if one in table.columns), None)
        if column is None or "label" not in table.columns:
            seen = ", ".join(map(repr, table.columns))
            problems.append(f"{path}: no columns 'sentence' and 'label'; the columns are {seen}")
            continue
        for number, row in enumerate(table.rows, start=1):
            faults: list[str] = []
            given = next((row.values[one] for one in ID_COLUMNS if row.values.get(one) not in (None, "")), None)
            record = {
                "pair_id": f"{name}:{number}" if given is None else str(given),
                "sentence": read_text(row.values.get(column), column, faults),
                "label": read_label(row.values.get("label"), faults),
            }
            if row.values.get("source") not in (None, ""):
                record["source"] = str(row.values["source"])
            problems += [f"{row.place}: {fault}" for fault in faults]
            records.append(record)
    raise_problems("the texts cannot be used", problems)
    return records
