"""Files that are there whole or not at all."""

import json
import os
from typing import Any

from etils import epath

from lingjax.errors import InputError


def write_text(path: epath.PathLike, text: str) -> None:
    """Writes UTF-8 as `write_bytes` writes."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: epath.PathLike, content: bytes) -> None:
    """Writes under a temporary name in the same folder, then renames; makes the folder if need be."""
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.partial"
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: epath.PathLike, value: Any) -> None:
    """Writes sorted, indented JSON at once.

    Raises:
      ValueError: the value holds NaN or an infinity, which JSON cannot say.
    """
    write_text(path, json.dumps(value, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: epath.PathLike) -> Any:
    """Reads JSON.

    Raises:
      InputError: the file is missing or is not JSON.
    """
    path = epath.Path(path)
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from error
