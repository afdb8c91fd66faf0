"""Reads FASTA record by record."""

import itertools
from collections.abc import Iterable, Iterator

from data_prep.formats.sequence_record import SequenceRecord
from lingjax.errors import InputError


def parse_fasta(lines: Iterable[str], file_name: str) -> Iterator[SequenceRecord]:
    """Yields the records of a FASTA file; letters keep their case, spaces among them are left off.

    Args:
      lines: the file's lines, their ends included.
      file_name: for messages.

    Raises:
      InputError: the text does not begin with a record, or its lines end in CR alone.
    """
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    lines = iter(lines)
    first = next(((number, line) for number, line in enumerate(lines, start=1) if line.strip()), None)
    if first is None:
        return
    number, line = first
    # The parser would skip whatever stands before the first record.
    if not line.startswith(">"):
        raise InputError(f"{file_name}:{number}: FASTA begins with a line '>NAME', not with {line.rstrip()[:40]!r}")
    for number, (title, letters) in enumerate(SimpleFastaParser(itertools.chain([line], lines)), start=1):
        if "\r" in title:
            raise InputError(f"{file_name}: lines end in CR alone, as on old Macs; convert them to LF")
        name = title.split(maxsplit=1)[0] if title.strip() else str(number)
        yield SequenceRecord(number, name, letters)
