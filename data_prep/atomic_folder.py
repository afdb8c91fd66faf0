"""Folders that are complete or absent: written under a hidden name, then renamed.

A lock on the hidden folder shows that its writer lives. The kernel drops the lock when the writer dies, however it
dies; the next run removes what is no longer locked.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lingjax.errors import InputError

_INCOMPLETE, _REPLACED = ".incomplete", ".replaced"


@contextlib.contextmanager
def incomplete_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yields an empty hidden folder in `parent` that vanishes at the end, unless `put_in_place` has renamed it by then.

    Raises:
      InputError: a living process writes the folder of that name.
    """
    clean_up_after_killed_runs(parent)
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f".{name}{_INCOMPLETE}"
    folder.mkdir(exist_ok=True)
    with _lock(folder) as descriptor:
        if descriptor is None:
            raise InputError(f"another process is writing {folder}; wait for it to end")
        try:
            yield folder
        finally:
            if _is_named(descriptor, folder):
                shutil.rmtree(folder, ignore_errors=True)


def put_in_place(folder: Path, target: Path) -> None:
    """Renames a finished incomplete folder to `target` = PARENT/NAME/VERSION, which is replaced if it exists."""
    target.parent.mkdir(exist_ok=True)
    replaced = folder.with_name(f".{target.parent.name}-{target.name}{_REPLACED}")
    if target.exists():
        target.rename(replaced)
    folder.rename(target)
    shutil.rmtree(replaced, ignore_errors=True)


def clean_up_after_killed_runs(parent: Path) -> None:
    """Removes folders that nobody writes any more, and puts back one whose run was killed while replacing it."""
    for incomplete in parent.glob(f".*{_INCOMPLETE}"):
        with _lock(incomplete) as descriptor:
            if descriptor is not None:
                shutil.rmtree(incomplete)
    for replaced in parent.glob(f".*{_REPLACED}"):
        name, _, version = replaced.name[1 : -len(_REPLACED)].rpartition("-")
        # A living run passes between its two renames in microseconds, and still holds its incomplete folder then.
        if (parent / f".{name}-{version}{_INCOMPLETE}").exists():
            continue
        if (parent / name / version).exists():
            shutil.rmtree(replaced, ignore_errors=True)
        else:
            replaced.rename(parent / name / version)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[int | None]:
    """Yields the descriptor of a folder that this process now has to itself, or None."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Between opening and locking, its writer may have renamed it: then it is a finished dataset, not ours to empty.
        yield descriptor if _is_locked(descriptor) and _is_named(descriptor, folder) else None
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_named(descriptor: int, folder: Path) -> bool:
    return folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat())
