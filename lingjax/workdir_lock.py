"""One process at a time writes into a workdir; another is told in a line who does.

On this machine's disks the kernel holds the lock, and drops it when its holder ends, however it ends. In a bucket there
is only a file that the holder writes anew every half minute: whoever finds one waits to see whether it still changes.
"""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from etils import epath

from lingjax.errors import InputError
from lingjax.files import is_in_bucket, read_json, write_json

LOCK_NAME = ".lock"
_BEAT_SECONDS = 30.0
_STALE_SECONDS = 75.0


@contextlib.contextmanager
def hold(
    workdir: epath.PathLike, *, is_first_process: bool = True, sleep: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """Keeps other processes out of a workdir inside the block; makes the folder, and removes it again if left empty.

    A process that was killed leaves no lock that counts. Nobody else can write where this process may not, so that a
    folder that is read-only needs no lock.

    Args:
      workdir: on disk or in a bucket.
      is_first_process: the lock is held by the first alone of several.
      sleep: waits so many seconds.

    Raises:
      InputError: another process writes there; says which, on which host, since when.
    """
    if not is_first_process:
        yield
        return
    workdir = epath.Path(workdir)
    missing = [] if is_in_bucket(workdir) else [each for each in (workdir, *workdir.parents) if not each.exists()]
    workdir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_empty, missing)
        stack.enter_context(_in_bucket(workdir, sleep) if is_in_bucket(workdir) else _on_disk(workdir))
        yield


def _remove_empty(folders: Sequence[epath.Path]) -> None:
    """Removes folders, the innermost first, until one holds something."""
    with contextlib.suppress(OSError):
        for folder in folders:
            os.rmdir(folder)  # noqa: PTH106 - epath's own removes what is in it too


def _describe() -> dict[str, Any]:
    since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": since}


def _refusal(workdir: epath.Path, holder: Any) -> InputError:
    holder = holder if isinstance(holder, dict) else {}
    who = ", ".join(f"{name} {holder[name]}" for name in ("host", "pid", "since") if name in holder)
    return InputError(
        f"{workdir}: another process writes there ({who or 'it does not say which'}); wait for it to end, or take "
        "another --workdir"
    )


@contextlib.contextmanager
def _on_disk(workdir: epath.Path) -> Iterator[None]:
    path = os.fspath(workdir / LOCK_NAME)
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            content = os.read(descriptor, 4096)
            os.close(descriptor)
            try:
                holder = json.loads(content)
            except ValueError:  # it is being written
                holder = None
            raise _refusal(workdir, holder) from None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # noqa: PTH116
                break
        os.close(descriptor)  # its holder removed it after we had opened it
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(_describe()).encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - before the lock is dropped
        os.close(descriptor)


@contextlib.contextmanager
def _in_bucket(workdir: epath.Path, sleep: Callable[[float], None]) -> Iterator[None]:
    path, ours = workdir / LOCK_NAME, _describe()
    if path.exists():
        before = _read(path)
        dead = before is not None and before.get("host") == ours["host"] and not _is_alive(before.get("pid"))
        if not dead:
            sleep(_STALE_SECONDS)
            after = _read(path) if path.exists() else before
            if after != before:
                raise _refusal(workdir, after)
    ended = threading.Event()
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1
        write_json(path, {**ours, "beats": beats})

    def go_on() -> None:
        while not ended.wait(_BEAT_SECONDS):
            with contextlib.suppress(Exception):  # a busy bucket; the next one may get through
                beat()

    beat()
    thread = threading.Thread(target=go_on, name="workdir lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(Exception):
            path.unlink(missing_ok=True)


def _read(path: epath.Path) -> dict[str, Any] | None:
    try:
        content = read_json(path)
    except InputError:
        return None
    return content if isinstance(content, dict) else None


def _is_alive(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
