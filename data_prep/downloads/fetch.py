"""Files over HTTP: streamed to a hidden name, resumed where a connection broke off, checked, then renamed."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tqdm import tqdm

from data_prep.downloads.patience import DownloadError, TransientError
from data_prep.downloads.web import CHUNK_BYTES, Web

if TYPE_CHECKING:
    import requests

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a file must be, as far as its publisher says; None where not."""

    size: int | None = None
    md5: str | None = None
    sha256: str | None = None

    @property
    def has_checksum(self) -> bool:
        """Whether the content is known, not only the size."""
        return self.md5 is not None or self.sha256 is not None

    def problem(self, received: "Received") -> str:
        """Says how a file differs; empty if it does not."""
        if self.size is not None and received.size != self.size:
            return f"it has {received.size:,} bytes where {self.size:,} are published"
        for kind, published, found in (("MD5", self.md5, received.md5), ("SHA-256", self.sha256, received.sha256)):
            if published is not None and found != published:
                return f"its {kind} is {found[:12]}... where {published[:12]}... is published"
        return ""


@dataclasses.dataclass(frozen=True)
class Fetched:
    """What came; `headers` are those of the last answer."""

    size: int
    sha256: str
    headers: Mapping[str, str]


def fetch(
    web: Web, url: str, path: Path, *, expected: Expected | None = None, check: Callable[[Path], object] | None = None
) -> Fetched | None:
    """Downloads a file to `path`; returns None if another process did so in the meantime.

    What a killed or broken download left is used, if the server can go on from there and still has the same file.

    Args:
      web: does the requests.
      url: where the file is.
      path: where the file is to be; absent until it is complete and checked.
      expected: what it must be.
      check: looks at the complete file under its hidden name and raises `DownloadError` if it is not what was wanted.

    Raises:
      DownloadError: the server does not give the file, or gives another.
      OSError: the disk refuses.
    """
    with claim_partial(path) as partial:
        if partial is None:
            return None
        download = _Download(web, url, partial, expected or Expected(), check)
        fetched = web.patience.persist(download.run)
        partial.put_in_place()
    return fetched


class Partial:
    """A file under its hidden name, which this process has to itself, with a note of what it is the beginning of."""

    def __init__(self, path: Path, file: BinaryIO):
        self._target = path
        self.file = file
        self.path = partial_path(path)
        self._note = self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        """How much of the file is here."""
        return self.file.seek(0, os.SEEK_END)

    def validator(self, url: str) -> str | None:
        """Returns what the server called this version of the file when it began to send it."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            return note["validator"] if note["url"] == url else None
        except (OSError, ValueError, KeyError):
            return None

    def restart(self, url: str, validator: str | None) -> None:
        """Empties the file; what follows is of this version."""
        self.file.truncate(0)
        self._note.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def put_in_place(self) -> None:
        """Gives the file its name."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self._note.unlink(missing_ok=True)
        self.path.rename(self._target)


def partial_path(path: Path) -> Path:
    """Returns the hidden name of a file that is not complete."""
    return path.with_name(f".{path.name}.partial")


@contextlib.contextmanager
def claim_partial(path: Path) -> Iterator[Partial | None]:
    """Yields the partial file of `path`, waiting for other processes that have it; None as soon as `path` exists.

    It stays where the context ends in an error, so that the next attempt goes on with it; an empty one does not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while not path.exists():
        # Appending: opening must not empty what another process is writing.
        with partial_path(path).open("a+b") as file:
            _lock(file, path)
            # Meanwhile the other process may have renamed the file that is locked now, or removed it.
            if not _is_named(file, partial_path(path)):
                continue
            if path.exists():
                partial_path(path).unlink()
                break
            partial = Partial(path, file)
            try:
                yield partial
            finally:
                if not partial.size and _is_named(file, partial.path):
                    partial.path.unlink()
                    partial.path.with_name(f"{partial.path.name}.json").unlink(missing_ok=True)
            return
    yield None


class _Download:
    """One file's way into its partial file; `run` is called until it gets through."""

    def __init__(self, web: Web, url: str, partial: Partial, expected: Expected, check: Callable | None):
        self._web, self._url, self._partial = web, url, partial
        self._expected, self._check = expected, check
        self._furthest = partial.size

    def run(self) -> Fetched:
        begun = self._partial.size
        validator = self._partial.validator(self._url) if begun else None
        # Without a validator nothing tells whether the server still has the same file, except a checksum in the end.
        resumes = begun and (validator or self._expected.has_checksum)
        headers = {"Range": f"bytes={begun}-", **({"If-Range": validator} if validator else {})} if resumes else {}
        try:
            with self._web.stream(self._url, headers=headers) as response:
                resumes = resumes and _continues(response, begun)
                if not resumes:
                    begun = 0
                    self._partial.restart(self._url, _validator(response))
                    if response.status_code != 200:
                        raise TransientError("the server gave another piece than was asked for")
                total = _total(response, begun)
                received = self._receive(response, begun, total)
        except TransientError as error:
            # A server that cannot go on in the middle and breaks off at the same place each time makes no progress.
            error.progressed = self._partial.size > self._furthest
            self._furthest = max(self._furthest, self._partial.size)
            raise
        problem = self._expected.problem(received)
        try:
            if problem:
                raise DownloadError(problem)
            if self._check is not None:
                self._check(self._partial.path)
        except DownloadError as error:
            self._partial.restart(self._url, None)
            # Pieces of two versions may have been joined; the whole may be right.
            if resumes:
                raise TransientError(str(error)) from error
            raise
        return Fetched(received.size, received.sha256, dict(response.headers))

    def _receive(self, response: "requests.Response", begun: int, total: int | None) -> "Received":
        received = Received()
        file = self._partial.file
        file.seek(0)
        received.add_all(file)
        # Without a terminal there is no bar, so that logs and pipes stay clean.
        with tqdm(
            desc=self._url.rpartition("/")[2],
            total=total,
            initial=begun,
            unit="B",
            unit_scale=True,
            disable=None,
            leave=False,
        ) as bar:
            # Some servers call a file that is compressed an answer that is: undone, it would not be the file.
            for chunk in response.raw.stream(CHUNK_BYTES, decode_content=not self._url.endswith(".gz")):
                file.write(chunk)
                received.add(chunk)
                bar.update(len(chunk))
        file.flush()
        return received


class Received:
    """Counts and checksums of bytes as they come."""

    def __init__(self):
        self.size = 0
        self._sha256, self._md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)

    @classmethod
    def read(cls, path: Path) -> "Received":
        """Counts a file that is here."""
        received = cls()
        with path.open("rb") as file:
            received.add_all(file)
        return received

    def add(self, chunk: bytes) -> None:
        """Counts more bytes."""
        self.size += len(chunk)
        self._sha256.update(chunk)
        self._md5.update(chunk)

    def add_all(self, file: BinaryIO) -> None:
        """Counts what a file holds from here on."""
        while chunk := file.read(CHUNK_BYTES):
            self.add(chunk)

    @property
    def sha256(self) -> str:
        """SHA-256 in hexadecimal digits."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        """MD5 in hexadecimal digits."""
        return self._md5.hexdigest()


def _continues(response: "requests.Response", begun: int) -> bool:
    content_range = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return response.status_code == 206 and content_range is not None and int(content_range[1]) == begun


def _total(response: "requests.Response", begun: int) -> int | None:
    """Returns the size of the whole file, if the server says it."""
    length = response.headers.get("Content-Length", "")
    return begun + int(length) if length.isdigit() else None


def _validator(response: "requests.Response") -> str | None:
    """Returns the strong validator of an answer; weak ones may not stand in If-Range (RFC 9110, section 13.1.5)."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write(f"another process is downloading {path}; waiting for it\n")
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_named(file: BinaryIO, path: Path) -> bool:
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
