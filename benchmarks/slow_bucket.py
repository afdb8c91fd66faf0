"""A stand-in for a bucket: files in memory behind `gs://`, each request of which takes time, and may fail."""

import collections
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import ClassVar
from unittest import mock

from etils.epath import backend, gpath
from fsspec.implementations.memory import MemoryFileSystem


class Bucket(MemoryFileSystem):
    """Counts its requests by kind; a request named in `failures` raises the next error listed there.

    Attributes:
      latency: seconds that a request takes.
      failures: errors by kind of request, each raised once.
      most_at_once: requests that were under way together.
    """

    store: ClassVar = {}
    cachable = False
    latency = 0.0

    def __init__(self):
        super().__init__()
        self.requests = collections.Counter()
        self.failures = collections.defaultdict(list)
        self.most_at_once, self._under_way, self._lock = 0, 0, threading.Lock()

    def _request(self, kind):
        with self._lock:
            self.requests[kind] += 1
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
            error = self.failures[kind].pop(0) if self.failures[kind] else None
        time.sleep(self.latency)
        with self._lock:
            self._under_way -= 1
        if error is not None:
            raise error

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(os.fspath(path).removeprefix("gs://"))

    def glob(self, path, **options):
        """Lists names as a bucket's file system does, without a leading slash."""
        return [name.removeprefix("/") for name in super().glob(path, **options)]

    def cat_file(self, path, start=None, end=None, **options):
        """Reads a part of a file by one request."""
        self._request("cat_file")
        return bytes(self.store[self._strip_protocol(path)].getbuffer()[start:end])

    def info(self, path, **options):
        """Asks what stands under a name."""
        self._request("info")
        return super().info(path, **options)

    def _open(self, path, mode="rb", **options):
        self._request("open")
        return super()._open(path, mode, **options)


@contextlib.contextmanager
def stand_in(*, latency: float = 0.0) -> Iterator[Bucket]:
    """Puts an empty bucket behind every `gs://` path inside the block."""
    bucket = Bucket()
    bucket.latency = latency
    with (
        mock.patch.object(Bucket, "store", {}),
        mock.patch.object(Bucket, "pseudo_dirs", [""]),
        mock.patch.object(gpath, "_is_tf_installed", lambda: False),
        mock.patch.object(type(backend.fsspec_backend), "fs", lambda self, path: bucket),
    ):
        yield bucket
