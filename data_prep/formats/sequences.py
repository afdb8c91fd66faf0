"""Reads files of biological sequences record by record: FASTA and GenBank, each also gzip-compressed.

Features of GenBank records are passed over here; `data_prep.formats.annotations` reads them.
"""

import dataclasses
import functools
import itertools
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from data_prep.formats.streams import read_lines
from lingjax.errors import InputError

FASTA_EXTENSIONS = (".fa", ".fas", ".fasta", ".fna", ".ffn", ".frn", ".faa")
GENBANK_EXTENSIONS = (".gb", ".gbk", ".gbff", ".genbank")

_FIRST_WORD = "LOCUS"
_RELEASE_HEADER = "Genetic Sequence Data Bank"  # in the first line of the files that NCBI releases as *.seq.gz
# What programs write where a record has no accession: SnapGene and Benchling a full stop, Biopython the others.
_NO_NAMES = frozenset({"", ".", "-", "?", "unknown", "<unknown_id>"})


@dataclasses.dataclass(frozen=True, slots=True)
class SequenceRecord:
    """A named sequence; `number` is its place in the file, from 1. No name holds white space; two may be equal."""

    number: int
    name: str
    letters: str


def extension(path: Path) -> str:
    """Returns a file's extension in lower case, that below `.gz` for a compressed file.

    >>> extension(Path("genomes/NC_001422.GBK.gz"))
    '.gbk'
    """
    return Path(path.name.lower().removesuffix(".gz")).suffix


def read_sequences(path: Path) -> Iterator[SequenceRecord]:
    """Yields the records of a file, one in memory at a time; without a known extension the first line tells the format.

    Raises:
      InputError: the file cannot be read, is empty, or is not what its extension says.
    """
    lines = read_lines(path)
    leading = []
    for line in lines:
        leading.append(line)
        if line.strip():
            break
    else:
        raise InputError(f"{path} is empty")
    lines = itertools.chain(leading, lines)
    if extension(path) in FASTA_EXTENSIONS or line.startswith(">"):
        yield from parse_fasta(lines, str(path))
    elif extension(path) in GENBANK_EXTENSIONS or line.startswith(_FIRST_WORD) or _RELEASE_HEADER in line:
        yield from parse_genbank(lines, str(path))
    else:
        raise InputError(
            f"{path} begins with {line.rstrip()[:40]!r}, which is neither FASTA ('>NAME') nor GenBank ('LOCUS')"
        )


def parse_fasta(lines: Iterable[str], file_name: str) -> Iterator[SequenceRecord]:
    """Yields the records of a FASTA file; letters keep their case, spaces among them are left off.

    A record is called by the first word of its title, or by its number if the title is empty.

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


def parse_genbank(lines: Iterable[str], file_name: str) -> Iterator[SequenceRecord]:
    """Yields the records of a GenBank file; letters are upper case, as in Biopython.

    A record is called by its VERSION line, or by its LOCUS line if the other is absent, empty or a full stop; spaces in
    a name become underscores.

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
        if number == 1 and _RELEASE_HEADER in first:
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
        except InputError:  # of the lines themselves, with their place
            raise
        except (ValueError, AssertionError) as error:
            raise InputError(f"{file_name}: record {number} is no GenBank record: {_explain(error, first)}") from error
        yield consumer.record(number, file_name)


def _explain(error: Exception, first: str) -> str:
    reason = str(error).splitlines()[0].rstrip(":") if str(error) else "its end is not marked by //"
    if "LOCUS line" not in reason:
        return reason
    advice = "if name and length run together in it, shorten the names of the contigs (for prokka, use --compliant)"
    if " rc " in first:
        advice = "a master record of a whole-genome project (counted in rc) has no sequence; download its contigs"
    return f"its line {' '.join(first.split())[:80]!r} cannot be read; {advice}"


class _SequenceConsumer:
    """Receives what the scanner finds, and keeps name, announced length and letters."""

    def __init__(self):
        self._name = self._letters = ""
        self._announced = 0

    def locus(self, name: str) -> None:
        self._name = "_".join(name.split())

    def version(self, name: str) -> None:
        name = "_".join(name.split())
        if name.lower() not in _NO_NAMES:
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
        return SequenceRecord(number, self._name or str(number), self._letters)
