"""One document of a corpus, and what the readers of sequences have in common: names, case and foreign letters."""

import array
import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator

from data_prep.formats.sequences import SequenceRecord
from data_prep.tally import Tally


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A text to learn from.

    Attributes:
      document_id: where it comes from, `FILE:PLACE`.
      split_key: its hash decides the split; documents that share letters share the key.
    """

    document_id: str
    text: str
    split_key: str


def number_repeated(records: Iterable[SequenceRecord], tally: Tally) -> Iterator[SequenceRecord]:
    """Yields the records of a file with names of their own: of two with one name, the later gets its number.

    The third record of a file is called `NAME#3` if an earlier one is called `NAME`.

    Args:
      records: those of one file.
      tally: receives how many names were changed.
    """
    names = _NameSet()
    for record in records:
        if names.add(record.name):
            yield record
            continue
        tally.add("changed", "records numbered, as an earlier one has their name")
        name = f"{record.name}#{record.number}"
        while not names.add(name):
            name += f"#{record.number}"
        yield dataclasses.replace(record, name=name)


class _NameSet:
    """Names of which a file may hold many millions: 8 bytes each in a table that is never more than half full.

    By chance a name may be taken for one that is there, once in 10^19 comparisons; it is numbered then, and no harm is
    done.
    """

    def __init__(self):
        self._table = array.array("Q", bytes(8 * 1024))
        self._count = 0

    def add(self, name: str) -> bool:
        """Adds a name and returns whether it is new."""
        digest = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") or 1
        place = self._find(digest)
        if self._table[place]:
            return False
        self._table[place] = digest
        self._count += 1
        if 2 * self._count > len(self._table):
            held = self._table
            self._table = array.array("Q", bytes(16 * len(held)))
            for digest in filter(None, held):
                self._table[self._find(digest)] = digest
        return True

    def _find(self, digest: int) -> int:
        """Returns the place of a digest, or the empty place where it belongs."""
        size = len(self._table)
        return next(
            place
            for place in (number % size for number in itertools.count(digest))
            if self._table[place] in (0, digest)
        )


def raise_letters(letters: str, tally: Tally) -> str:
    """Returns a sequence in upper case and counts the letters that were not: in genomes, repeats are masked so."""
    raised = letters.upper()
    if raised != letters:
        lower = sum(letters.count(letter) for letter in set(letters) if letter.islower())
        tally.add("changed", "lower-case letters raised", lower)
    return raised


def describe_foreign_letters(letters: str, alphabet: str) -> str:
    """Returns a text about the characters outside an alphabet, or "" if there are none.

    >>> describe_foreign_letters("ACGEE", "ACGT")
    "'E' at letter 4 and 1 more are not among ACGT"
    """
    places = re.finditer(f"[^{re.escape(alphabet)}]", letters)
    first = next(places, None)
    if first is None:
        return ""
    others = sum(1 for _ in places)
    more = f" and {others:,} more are" if others else " is"
    return f"{first[0]!r} at letter {first.start() + 1:,}{more} not among {alphabet}"
