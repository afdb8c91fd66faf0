"""The bytes of shards, however many there are and wherever they lie.

Local shards are read through the descriptors of those that were read last. A bucket answers each request after tens of
milliseconds, so a shard there is copied once, whole, to this machine's disk, and rows are read from the copy; what
finds no room there is read by requests of its own, of which many may be under way at a time.
"""

import os
import pathlib
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from etils import epath

from lingjax.errors import first_line
from lingjax.files import is_in_bucket, retried

Result = TypeVar("Result")

REQUESTS_AT_ONCE = 64
"""Threads that are worth having where each waits for a bucket."""

_PIECE_BYTES = 2**22  # of a shard that is being copied; so much memory a thread
_FREE_FRACTION = 0.2  # of the disk that copies leave free
_MOST_OPEN = 128  # the usual limit of a process is 1,024, and 256 on some systems


class _Descriptor:
    """An open file that closes when its last reader lets go of it."""

    def __init__(self, number: int):
        self.number = number

    def __del__(self):
        os.close(self.number)


class _OpenFiles:
    """The descriptors of the local shards that were read last, over all sources of this process."""

    def __init__(self):
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, _Descriptor] = OrderedDict()

    def get(self, key: int, path: epath.Path) -> _Descriptor:
        with self._lock:
            descriptor = self._kept.pop(key, None)
            if descriptor is None:
                descriptor = _Descriptor(os.open(path, os.O_RDONLY))
            self._kept[key] = descriptor
            if len(self._kept) > _MOST_OPEN:
                self._kept.popitem(last=False)
        return descriptor

    def forget(self, key: int) -> None:
        with self._lock:
            self._kept.pop(key, None)


_open_files = _OpenFiles()


class LocalCopies:
    """Copies of a bucket's shards, one after another in a nameless file: no kill leaves it behind."""

    def __init__(self):
        self._lock = threading.Lock()
        self._file: _Descriptor | None = None
        self._end = 0

    def __reduce__(self):
        return LocalCopies, ()

    def make(self, path: epath.Path, size: int) -> int | None:
        """Copies a shard and returns where its copy begins; None where the disk has no room for it."""
        with self._lock:
            if self._file is None:
                number, name = tempfile.mkstemp(prefix="lingjax-")
                self._file = _Descriptor(number)
                pathlib.Path(name).unlink()
            disk = shutil.disk_usage(tempfile.gettempdir())
            if disk.free - size < _FREE_FRACTION * disk.total:
                return None
            start = self._end
            try:
                os.posix_fallocate(self._file.number, start, max(size, 1))  # so that room seen is room had
            except OSError:
                return None
            self._end += size
        for offset in range(0, size, _PIECE_BYTES):
            piece = read_range(path, offset, min(_PIECE_BYTES, size - offset))
            os.pwrite(self._file.number, piece, start + offset)
        return start

    def read(self, offset: int, size: int) -> bytes:
        """Reads from the copies, by any thread."""
        return os.pread(self._file.number, size, offset)


def read_range(path: epath.Path, offset: int, size: int) -> bytes:
    """Reads a part of a bucket's file by a request of its own, again where it failed for a passing reason."""

    def read() -> bytes:
        from etils.epath import backend

        try:
            file_system = backend.fsspec_backend.fs(path)
        except ImportError:  # the bucket is read by another library than fsspec's
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(size)
        return file_system.cat_file(os.fspath(path), start=offset, end=offset + size)

    return _asked(read)


def _asked(work: Callable[[], Result]) -> Result:
    """Asks a bucket; what its library raises becomes the error of a file that cannot be read."""
    try:
        return retried(work)
    except OSError:
        raise
    except Exception as error:  # each library has its own
        raise OSError(first_line(error)) from error


class ShardFile:
    """One file, local or remote, that any thread may read at any offset; opened at its first read.

    Args:
      path: where the file lies.
      copies: where a bucket's file may be copied to; without one every read is a request.
    """

    def __init__(self, path: epath.PathLike, copies: LocalCopies | None = None):
        self.path = epath.Path(path)
        self.is_remote = is_in_bucket(path)
        self._copies = copies
        self._lock = threading.Lock()
        self._copy_start: int | None = None
        self._asked_to_copy = False

    def __reduce__(self):
        return ShardFile, (os.fspath(self.path), self._copies)

    def __del__(self):
        if not getattr(self, "is_remote", True):
            _open_files.forget(id(self))

    def size_and_modified(self) -> tuple[int, float]:
        """Returns the file's bytes, and when it was changed last."""
        if self.is_remote:
            stat = _asked(self.path.stat)
            return stat.length, float(stat.mtime)
        stat = pathlib.Path(self.path).stat()  # epath's own has whole seconds, too coarse to tell which file is newer
        return stat.st_size, stat.st_mtime

    def read_whole(self) -> bytes:
        """Reads all of a small file."""
        return _asked(self.path.read_bytes) if self.is_remote else self.path.read_bytes()

    def read(self, offset: int, size: int) -> bytes:
        """Reads so many bytes, or fewer at the end of the file."""
        if not self.is_remote:
            return os.pread(_open_files.get(id(self), self.path).number, size, offset)
        start = self._copy()
        return read_range(self.path, offset, size) if start is None else self._copies.read(start + offset, size)

    def _copy(self) -> int | None:
        if self._copies is None:
            return None
        with self._lock:  # others wait for the copy, which is what they would ask for too
            if not self._asked_to_copy:
                self._copy_start = self._copies.make(self.path, self.size_and_modified()[0])
                self._asked_to_copy = True
        return self._copy_start
