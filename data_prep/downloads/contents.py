"""Whether a file that came is what was asked for: servers answer with error pages, and connections end early."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from data_prep.downloads.patience import DownloadError
from data_prep.formats.sequences import parse_genbank
from data_prep.formats.streams import read_lines
from lingjax.errors import InputError

_ORGANISM = "  ORGANISM  "
_HEADER_LINES = 200  # of which one names the organism


def check_genbank_record(path: Path, accession: str) -> dict[str, str]:
    """Returns version and organism of a file that must be one complete GenBank record, sequence included.

    Args:
      path: the file, whatever its name.
      accession: its accession; with a version, the record must have that one.

    Raises:
      DownloadError: it is something else; the text says what.
    """
    header = []
    try:
        versions = [record.name for record in parse_genbank(_genbank_lines(path, header), "it")]
    except InputError as error:
        raise DownloadError(str(error)) from error
    if len(versions) != 1:
        raise DownloadError(f"it holds {len(versions)} records, not 1")
    if accession not in (versions[0], versions[0].rpartition(".")[0]):
        raise DownloadError(f"it is the record of {versions[0]}")
    return {"accession": accession, "version": versions[0], **_find_organism(header)}


def check_genbank_file(path: Path) -> dict[str, str]:
    """Returns the organism of a file of GenBank records, compressed or not, which must be whole.

    Raises:
      DownloadError: it is something else, or damaged.
    """
    header = []
    for _ in _genbank_lines(path, header):
        pass
    return _find_organism(header)


def check_fasta(path: Path, start: str = ">") -> str:
    """Returns the first line of a FASTA file, compressed or not, which must be whole.

    Args:
      path: the file, whatever its name.
      start: how the first line begins.

    Raises:
      DownloadError: it is something else, or damaged.
    """
    header = []
    for _ in _checked_lines(path, start, "FASTA", header):  # decompressing to the end finds damage
        pass
    return header[0]


def _genbank_lines(path: Path, header: list[str]) -> Iterator[str]:
    last = ""
    for line in _checked_lines(path, "LOCUS", "GenBank", header):
        last = line if line.strip() else last
        yield line
    if not last.startswith("//"):
        raise DownloadError("its last record does not end with //; it was cut off")


def _checked_lines(path: Path, start: str, what: str, header: list[str]) -> Iterator[str]:
    """Yields the lines of a file, whose first must begin with `start`, and leaves the first ones in `header`."""
    try:
        for line in read_lines(path):
            if not header and not line.startswith(start):
                raise DownloadError(_describe_other(line, start, what))
            if len(header) < _HEADER_LINES:
                header.append(line)
            yield line
    except InputError as error:
        raise DownloadError(_after_name(error)) from error
    if not header:
        raise DownloadError("what came is empty")


def _describe_other(line: str, start: str, what: str) -> str:
    if line.lstrip().lower().startswith(("<!doctype html", "<html")):
        return f"what came is a web page, not {what}"
    return f"what came begins with {line.strip()[:60]!r}, not with {start!r} as {what} does"


def _after_name(error: InputError) -> str:
    """Leaves off the hidden name of a file that is not complete."""
    return str(error).partition(".partial")[2].lstrip(": ") or str(error)


def _find_organism(lines: Iterable[str]) -> dict[str, str]:
    found = next((line for line in lines if line.startswith(_ORGANISM)), "")
    return {"organism": found.removeprefix(_ORGANISM).strip()} if found else {}
