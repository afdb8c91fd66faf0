"""Tokenizer folders that are complete or absent, and that say in a report which call wrote them."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lingjax.errors import InputError
from lingjax.files import write_json
from lingjax.sealed import SUMS_NAME, check_sums, write_sums

REPORT_NAME = "tokenizer_report.json"


def is_built(out: Path, request: Mapping[str, Any], *, overwrite: bool) -> bool:
    """Says whether `out` holds what `request` asks for.

    Raises:
      InputError: it holds another tokenizer and `overwrite` is False, or it holds anything else.
    """
    if not out.exists():
        return False
    try:
        built = json.loads((out / REPORT_NAME).read_text(encoding="utf-8"))["request"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        # Not a tokenizer of ours: not even --overwrite deletes a folder that may hold anything.
        raise InputError(f"{out} exists and is no tokenizer that this command wrote; choose another --out") from error
    if built == request:
        check_sums(out, [path.name for path in out.iterdir() if path.is_file() and path.name != SUMS_NAME])
        return True
    if overwrite:
        return False
    raise InputError(f"{out} holds a tokenizer that was made otherwise; choose another --out, or use --overwrite")


def write_folder(out: Path, save: Callable[[Path], None], report: Mapping[str, Any]) -> None:
    """Writes a tokenizer's files and its report under a temporary name, then renames; what `out` held is replaced.

    Args:
      out: the folder.
      save: writes the tokenizer's files into the folder that it is given.
      report: holds at least `request`.

    Raises:
      InputError: the folder cannot be written.
    """
    incomplete = out.with_name(f".{out.name}.incomplete")
    shutil.rmtree(incomplete, ignore_errors=True)
    try:
        incomplete.mkdir(parents=True)
        save(incomplete)
        write_json(incomplete / REPORT_NAME, report)
        write_sums(incomplete, [path.name for path in incomplete.iterdir() if path.is_file()])
        if out.exists():
            shutil.rmtree(out)
        incomplete.rename(out)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(incomplete, ignore_errors=True)
