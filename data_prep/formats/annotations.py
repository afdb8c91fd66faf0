"""Reads GenBank files with their features, record by record."""

import io
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.formats.sequences import SequenceRecord, parse_genbank
from data_prep.formats.streams import read_lines
from lingjax.errors import InputError

if TYPE_CHECKING:
    from Bio.SeqRecord import SeqRecord


def read_annotations(path: Path) -> Iterator[tuple[SequenceRecord, "SeqRecord"]]:
    """Yields each record, checked for completeness, and what Biopython reads of it.

    A feature whose location cannot be parsed has None in its place.

    Raises:
      InputError: the file is not GenBank, is empty, cut off, or has features that cannot be read.
    """
    text = []

    def keep(lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            text.append(line.replace("\r\n", "\n"))
            yield line

    # The parser reads no further than the end of the record that it yields.
    number = 0
    for sequence in parse_genbank(keep(read_lines(path)), str(path)):
        number = sequence.number
        yield sequence, _parse("".join(text), f"{path}: record {number} ({sequence.name})")
        text.clear()
    if not number:
        raise InputError(f"{path} is empty")


def _parse(text: str, place: str) -> "SeqRecord":
    from Bio import BiopythonParserWarning, SeqIO

    try:
        with warnings.catch_warnings():
            # About locations, among others; what was made of them is checked where they are used.
            warnings.simplefilter("ignore", BiopythonParserWarning)
            return SeqIO.read(io.StringIO(text), "genbank")
    except (ValueError, AssertionError, IndexError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{place} has features that cannot be read: {reason}") from error
