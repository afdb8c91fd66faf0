"""What a disk, a copy or a hand may do to files, drawn at random, and what a reader makes of it."""

import contextlib
import dataclasses
import logging
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lingjax.errors import InputError


def flip(content: bytes, rng: random.Random) -> bytes:
    """Changes one bit."""
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]


def cut(content: bytes, rng: random.Random) -> bytes:
    """Loses the end."""
    return content[: rng.randrange(len(content))]


def cut_at_a_line(content: bytes, rng: random.Random) -> bytes:
    """Loses whole lines at the end."""
    ends = [place + 1 for place, byte in enumerate(content[:-1]) if byte == 10]
    return content[: rng.choice(ends)] if ends else cut(content, rng)


def empty(content: bytes, rng: random.Random) -> bytes:
    """Keeps nothing."""
    return b""


def repeat(content: bytes, rng: random.Random) -> bytes:
    """Writes a piece twice."""
    first = rng.randrange(len(content))
    last = rng.randrange(first, min(len(content), first + 40)) + 1
    return content[:last] + content[first:]


def lose(content: bytes, rng: random.Random) -> bytes:
    """Leaves out a piece."""
    first = rng.randrange(len(content))
    return content[:first] + content[first + rng.randint(1, 40) :]


def zero_the_end(content: bytes, rng: random.Random) -> bytes:
    """Keeps the size, as a file system does that has lost the last blocks."""
    kept = rng.randrange(len(content))
    return content[:kept] + bytes(len(content) - kept)


def garbage(content: bytes, rng: random.Random) -> bytes:
    """Has nothing of what was there."""
    return rng.randbytes(len(content))


CONTENTS = (flip, flip, flip, flip, cut, cut_at_a_line, empty, repeat, lose, zero_the_end, garbage)


def remove(path: Path) -> None:
    """The file is gone."""
    path.unlink()


def put_a_folder_there(path: Path) -> None:
    """A folder stands in its place."""
    path.unlink()
    path.mkdir()


PLACES = (remove, put_a_folder_there)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
      name: of the kind.
      folder: holds a sound example.
      files: patterns of the files to damage, below the folder.
      read: reads all that lingjax reads of the copy at a path, and returns it as plain values.
    """

    name: str
    folder: Path
    files: Sequence[str]
    read: Callable[[Path], Any]


@dataclasses.dataclass
class Count:
    """How damages ended, and those that were not noticed or gave a traceback."""

    named: int = 0
    harmless: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)

    @property
    def tried(self) -> int:
        return self.named + self.harmless + len(self.faults)


class _Told(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def _told():
    handler = _Told()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.lines
    finally:
        logging.getLogger().removeHandler(handler)


def try_damages(kind: Kind, scratch: Path, *, times: int, seed: int, capture: Callable[[], str]) -> Count:
    """Damages a copy of one file at a time, reads, and counts.

    Args:
      kind: what is damaged.
      scratch: where copies are made.
      times: how often.
      seed: of what is drawn.
      capture: returns what was written to stderr since it was last called.
    """
    rng = random.Random(f"{kind.name} {seed}")
    sound = kind.read(kind.folder)
    files = sorted({path for pattern in kind.files for path in kind.folder.glob(pattern) if path.is_file()})
    assert files, kind
    count = Count()
    for number in range(times):
        copy = scratch / f"{kind.name}-{number}"
        shutil.copytree(kind.folder, copy)
        path = copy / rng.choice(files).relative_to(kind.folder)
        content = path.read_bytes()
        if rng.random() < 0.15 or not content:
            how = rng.choice(PLACES)
            how(path)
        else:
            how = rng.choice(CONTENTS)
            changed = how(content, rng)
            if changed == content:
                changed = flip(content, rng)
            path.write_bytes(changed)
        case = f"{kind.name} {number}: {how.__name__} of {path.relative_to(copy)}"
        capture()
        with _told() as lines:
            try:
                read = kind.read(copy)
            except InputError as error:
                if "\n" in str(error) or not str(error).strip():
                    count.faults.append(f"{case}: not one line: {error}")
                else:
                    count.named += 1
            except Exception as error:
                count.faults.append(f"{case}: {type(error).__name__}: {str(error)[:200]}")
            else:
                if lines or "damaged" in capture():
                    count.named += 1
                elif read == sound:
                    count.harmless += 1
                else:
                    count.faults.append(f"{case}: silent")
        shutil.rmtree(copy)
    return count
