"""Reads the sequences of GenBank files record by record; features are passed over."""

import functools
import itertools
import types
import warnings
from collections.abc import Callable, Iterable, Iterator

from data_prep.formats.sequence_record import SequenceRecord
from lingjax.errors import InputError

_FIRST_WORD = "LOCUS"
RELEASE_HEADER = "Genetic Sequence Data Bank"  # in the first line of the files that NCBI releases as *.seq.gz


def parse_genbank(lines: Iterable[str], file_name: str) -> Iterator[SequenceRecord]:
    """Yields the records of a GenBank file, named by accession and version; letters are upper case, as in Biopython.

    Args:
      lines: the file's lines, their ends included.
      file_name: for messages.

    Raises:
      InputError: a record has no sequence, not as many letters as its LOCUS line says, or cannot be parsed.
    """
    from Bio import BiopythonParserWarning
    from Bio.GenBank.Scanner import GenBankScanner

    lines = iter(lines)
    for number in itertools.count(1):
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            return
        if number == 1 and RELEASE_HEADER in first:
            first = next((line for line in lines if line.startswith(_FIRST_WORD)), "")
        # The scanner would skip whatever stands between records.
        if not first.startswith(_FIRST_WORD):
            raise InputError(
                f"{file_name}: record {number} begins with {first.rstrip()[:40]!r} where a GenBank record has LOCUS"
            )
        consumer = _SequenceConsumer()
        handle = types.SimpleNamespace(readline=functools.partial(next, itertools.chain([first], lines), ""))
        try:
            with warnings.catch_warnings():
                # About columns and features, which are not used; lengths are compared below.
                warnings.simplefilter("ignore", BiopythonParserWarning)
                GenBankScanner().feed(handle, consumer, do_features=False)
        except (ValueError, AssertionError) as error:
            reason = str(error).splitlines()[0] if str(error) else "its end is not marked by //"
            raise InputError(f"{file_name}: record {number} is no GenBank record: {reason}") from error
        yield consumer.record(number, file_name)


class _SequenceConsumer:
    """Receives what the scanner finds, and keeps name, announced length and letters."""

    def __init__(self):
        self._name = self._letters = ""
        self._announced = 0

    def locus(self, name: str) -> None:
        self._name = name

    def version(self, name: str) -> None:
        self._name = name

    def size(self, letters: str) -> None:
        self._announced = int(letters)

    def sequence(self, letters: str) -> None:
        self._letters = letters.upper()

    def __getattr__(self, event: str) -> Callable[..., None]:
        return lambda *_: None

    def record(self, number: int, file_name: str) -> SequenceRecord:
        if len(self._letters) != self._announced:
            advice = "copy or download it again" if self._letters else "download it in full, with its sequence"
            raise InputError(
                f"{file_name}: record {number} ({self._name}) announces {self._announced:,} letters and holds "
                f"{len(self._letters):,}; {advice}"
            )
        return SequenceRecord(number, self._name, self._letters)
