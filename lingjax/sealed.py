"""Files that show whether they are as they were written: JSON objects, lines of JSON, and folders of files.

An object carries the SHA-256 of the rest of it under `content_sha256`; a line of a log the CRC-32C of itself and of
all lines before it; a folder that is written once a `lingjax.sha256`, which `sha256sum -c` reads too. What has none of
these was written by an older version, or elsewhere, and is read with a warning where it should have one.
"""

import functools
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
from etils import epath

from lingjax.errors import InputError, first_line
from lingjax.files import read_object, write_json, write_text

SEAL = "content_sha256"
SUMS_NAME = "lingjax.sha256"

_LOG = logging.getLogger(__name__)
_LINE_SEAL = "crc32c"
_SUMS_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\\\0]+)")
_RESTORE = "put back a whole copy, or have it written again"


def digest(content: Any) -> str:
    """Returns the SHA-256 of a plain value, which does not depend on how its JSON is laid out.

    >>> digest({"a": 1, "b": [0.5]}) == digest({"b": [0.5], "a": 1})
    True
    """
    # As it will be read: a tuple comes back as a list, a number that is a key as a text, which sorts otherwise.
    text = json.dumps(json.loads(json.dumps(content)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an object with its seal."""
    return {**content, SEAL: digest(dict(content))}


def write_sealed(path: epath.PathLike, content: Mapping[str, Any]) -> None:
    """Writes a JSON object with its seal, at once."""
    write_json(path, sealed(content))


def read_sealed(path: epath.PathLike, *, needed: Sequence[str] = ()) -> dict[str, Any]:
    """Reads what `write_sealed` wrote, without the seal.

    Args:
      path: the file.
      needed: keys without which the object is of no use.

    Raises:
      InputError: the file is missing, is no JSON object, lacks a key, or is not what was written.
    """
    return unsealed(path, read_object(path, needed=needed))


def unsealed(path: epath.PathLike, content: Mapping[str, Any]) -> dict[str, Any]:
    """Checks an object's seal and returns it without; one that has none is told once a process.

    Raises:
      InputError: the content is not that of the seal; names `path`.
    """
    content = dict(content)
    if SEAL not in content:
        _warn_once(f"{path}: has no {SEAL}, as files of older versions; it is not checked for damage")
        return content
    if content.pop(SEAL) != digest(content):
        raise InputError(
            f"{path}: is damaged or was changed: its content is not that of its {SEAL}; {_RESTORE}, or remove the key "
            f"{SEAL} if the change is meant"
        )
    return content


@functools.cache
def _warn_once(text: str) -> None:
    _LOG.warning(text)


def sealed_line(values: Mapping[str, Any], before: int) -> tuple[str, int]:
    """Returns a log's next line and the checksum that the line after it needs.

    Args:
      values: plain and finite.
      before: what this function returned for the line before; 0 for the first.
    """
    checksum = _checksum_of_line(values, before)
    return json.dumps({**values, _LINE_SEAL: checksum}, sort_keys=True, ensure_ascii=False) + "\n", checksum


def read_sealed_lines(path: epath.PathLike, *, may_be_cut: bool = False) -> list[dict[str, Any]]:
    """Reads lines that `sealed_line` made, without their checksums.

    Args:
      path: the file.
      may_be_cut: leave out a last line that a killed writer did not finish, and say so.

    Raises:
      InputError: the file is missing, or a line is no JSON object, changed, lost or repeated; names file and line.
    """
    try:
        # Not splitlines: a text may hold the separators of unicode.
        *whole, rest = epath.Path(path).read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)}); {_RESTORE}") from error
    if rest and may_be_cut:
        _warn_once(f"{path}: its last line is cut off, as by a kill, and is left out")
    elif rest:
        whole.append(rest)
    read, before, without = [], 0, 0
    for number, line in enumerate(whole, start=1):
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise ValueError(f"expected an object, found {type(values).__name__}")
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: line {number} is not JSON ({first_line(error)}); {_RESTORE}") from error
        checksum = values.pop(_LINE_SEAL, None)
        if checksum is None:
            without += 1
        else:
            before = _checksum_of_line(values, before)
        if checksum != (None if checksum is None else before) or (without and without != number):
            raise InputError(
                f"{path}: line {number} is not what was written there, or the one before it is missing or repeated; "
                f"{_RESTORE}"
            )
        read.append(values)
    if without:
        _warn_once(f"{path}: has no checksums, as files of older versions; it is not checked for damage")
    return read


def _checksum_of_line(values: Mapping[str, Any], before: int) -> int:
    return google_crc32c.extend(before, json.dumps(values, sort_keys=True).encode() + b"\n")


def write_sums(folder: epath.PathLike, names: Iterable[str]) -> None:
    """Writes the `lingjax.sha256` of some files of a folder beside them."""
    folder = epath.Path(folder)
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(names)]
    write_text(folder / SUMS_NAME, "".join(lines))


def check_sums(folder: epath.PathLike, names: Iterable[str]) -> None:
    """Compares files of a folder with its `lingjax.sha256`; does nothing where there is none.

    Args:
      folder: on this machine.
      names: the files that are about to be read; those that are neither there nor listed are passed over.

    Raises:
      InputError: a file is listed and missing, there and not listed, or not what was written.
    """
    folder = Path(folder)
    sums = _read_sums(folder)
    if sums is None:
        return
    for name in names:
        path = folder / name
        there = path.is_file()
        if name not in sums and not there:
            continue
        if not there:
            problem = "is missing"
        elif name not in sums:
            problem = "is not listed"
        elif file_sha256(path) != sums[name]:
            problem = "is not what was written"
        else:
            continue
        raise InputError(
            f"{path}: {problem}, by {folder / SUMS_NAME}; {_RESTORE}, or remove {SUMS_NAME} if the change is meant"
        )


def _read_sums(folder: Path) -> dict[str, str] | None:
    path = folder / SUMS_NAME
    try:
        lines = path.read_bytes().decode("utf-8").splitlines()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)}); {_RESTORE}, or remove it") from error
    matches = [_SUMS_LINE.fullmatch(line) for line in lines]
    if not lines or not all(matches):
        raise InputError(f"{path}: is damaged: expected lines `SHA-256  NAME`; {_RESTORE}, or remove it")
    return {match[2]: match[1] for match in matches}


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file of this machine; one that has not changed since is not read again."""
    stat = path.stat()
    return _file_sha256(os.fspath(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


@functools.lru_cache(maxsize=4096)
def _file_sha256(path: str, *_: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
