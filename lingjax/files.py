"""Files that are there whole or not at all, on this machine or in a bucket, and failures that pass by themselves."""

import contextlib
import errno
import fnmatch
import json
import os
import pathlib
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from etils import epath

from lingjax.errors import InputError, first_line

Result = TypeVar("Result")

# Sleeps between tries; what a busy bucket or disk refuses is mostly given within seconds.
WAITS_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)

_PASSING_ERRNOS = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.ECONNABORTED,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.EINTR,
    errno.EMFILE,
    errno.ENETUNREACH,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EPIPE,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
# What HTTP, gRPC (https://grpc.io/docs/guides/status-codes/) and TensorStore say of a service that is busy. A bare
# number would be found in a path too.
_PASSING_CODES = {408, 429, 500, 502, 503, 504}
_PASSING_WORDS = re.compile(
    r"UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|ABORTED|deadline exceeded"
    r"|\b(http|status|code|error)\W{1,3}(408|429|50[0234])\b|\b(408|429|50[0234])[:,]? (?=[a-z])"
    r"|too many requests|service unavailable|bad gateway|internal server error|rate limit|try again|temporar"
    r"|tim(ed?|e-?) ?out|connection (reset|refused|aborted|closed)|server disconnected",
    re.IGNORECASE,
)


def is_in_bucket(path: epath.PathLike) -> bool:
    """Says whether a path is a bucket's, such as `gs://BUCKET/FOLDER`."""
    return "://" in os.fspath(path)


def are_newer(made: Sequence[epath.PathLike], *, than: Sequence[epath.PathLike]) -> bool:
    """Says whether all files are there and were written after those that they are made from, or at the same time."""
    outputs, inputs = ([epath.Path(path) for path in paths] for paths in (made, than))
    if not all(path.exists() for path in outputs):
        return False
    return min(path.stat().mtime for path in outputs) >= max(path.stat().mtime for path in inputs)


def is_passing(error: BaseException) -> bool:
    """Says whether a failure may pass by itself: a time-out, a busy service, too many open files."""
    if isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)):
        return False
    if isinstance(error, (TimeoutError, ConnectionError)):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _PASSING_ERRNOS
    code = getattr(error, "code", None) or getattr(error, "status", None)
    if str(code).isdecimal():
        return int(code) in _PASSING_CODES
    if _PASSING_WORDS.search(str(error)) or "Timeout" in type(error).__name__:
        return True
    return error.__cause__ is not None and is_passing(error.__cause__)


def retried(work: Callable[[], Result]) -> Result:
    """Does work that may fail for a passing reason, again after each wait; the last failure is raised."""
    for seconds in WAITS_SECONDS:
        try:
            return work()
        except Exception as error:
            if not is_passing(error):
                raise
            time.sleep(seconds)
    return work()


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
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or first_line(error)}") from error
    except (ValueError, RecursionError) as error:  # also UTF-8 that is none, and numbers of thousands of digits
        raise InputError(f"{path}: not a JSON file ({first_line(error)})") from error


def read_object(path: epath.PathLike, *, needed: Sequence[str] = ()) -> dict[str, Any]:
    """Reads a file that holds one JSON object.

    Args:
      path: where the file lies.
      needed: keys without which the object is of no use.

    Raises:
      InputError: the file is missing, is not JSON, holds another kind of value, or lacks a key.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(value).__name__}")
    missing = [key for key in needed if key not in value]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}")
    return value


def find_paths(folder: epath.PathLike, pattern: str) -> list[epath.Path]:
    """Returns the paths in a folder that match `NAME/NAME`, in order; in the names `*` stands for any characters.

    The folder's own name may hold anything, which `Path.glob` would take for a part of the pattern.
    """
    found = [epath.Path(folder)]
    for name in pattern.split("/"):
        if "*" not in name:
            found = [path / name for path in found if retried((path / name).exists)]
            continue
        listed = [retried(lambda path=path: list(path.iterdir())) for path in found if retried(path.is_dir)]
        found = [path for paths in listed for path in paths if fnmatch.fnmatchcase(path.name, name)]
    return sorted(found)


def copy_folder(source: epath.PathLike, target: epath.PathLike) -> None:
    """Copies the files of a folder, those of folders below too, between any of disk and bucket.

    Raises:
      InputError: there is no such folder.
    """
    source, target = epath.Path(source), epath.Path(target)
    if not retried(source.is_dir):
        raise InputError(f"{source}: no such folder")
    for path in retried(lambda: list(source.iterdir())):
        if path.is_dir():
            copy_folder(path, target / path.name)
        else:
            write_bytes(target / path.name, retried(path.read_bytes))


@contextlib.contextmanager
def local_copy(folder: epath.PathLike) -> Iterator[pathlib.Path]:
    """Yields a folder of this machine that holds what a folder, of a bucket too, holds; it lasts as long as the block.

    Raises:
      InputError: there is no such folder.
    """
    with tempfile.TemporaryDirectory(prefix="lingjax-") as temporary:
        copy_folder(folder, temporary)
        yield pathlib.Path(temporary)
