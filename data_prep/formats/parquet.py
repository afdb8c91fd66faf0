"""Reads Parquet files as tables; pyarrow comes with TFDS."""

import json
from collections.abc import Mapping
from pathlib import Path

from data_prep.formats.tables import Row, Table
from lingjax.errors import InputError

EXTENSION = ".parquet"


def read_parquet(path: Path) -> Table:
    """Reads a file whole; a row's place is `FILE:ROW`, from 1.

    Raises:
      InputError: the file is missing, is no Parquet, or has no rows.
    """
    from pyarrow import ArrowException, parquet

    if not path.exists():
        raise InputError(f"{path} does not exist")
    try:
        content = parquet.ParquetFile(path).read()
    except (ArrowException, OSError) as error:
        raise InputError(f"{path} is no readable Parquet file: {str(error).splitlines()[0]}") from error
    if not content.num_rows:
        raise InputError(f"{path} has a header but no rows")
    rows = [Row(f"{path}:{number}", values) for number, values in enumerate(content.to_pylist(), start=1)]
    return Table(tuple(content.column_names), rows, [], _read_label_names(content.schema.metadata or {}))


def _read_label_names(metadata: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """Returns the names that `datasets` stores with a column of classes; none if the file is not its work."""
    try:
        label = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]["label"]
        return tuple(map(str, label.get("names", ())))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
