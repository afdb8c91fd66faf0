"""Reads files of biological sequences: FASTA and GenBank, each also gzip-compressed."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from data_prep.formats.fasta import parse_fasta
from data_prep.formats.genbank import RELEASE_HEADER, parse_genbank
from data_prep.formats.sequence_record import SequenceRecord
from data_prep.formats.streams import read_lines
from lingjax.errors import InputError

FASTA_EXTENSIONS = (".fa", ".fas", ".fasta", ".fna", ".ffn", ".frn", ".faa")
GENBANK_EXTENSIONS = (".gb", ".gbk", ".gbff", ".genbank")


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
    elif extension(path) in GENBANK_EXTENSIONS or line.startswith("LOCUS") or RELEASE_HEADER in line:
        yield from parse_genbank(lines, str(path))
    else:
        raise InputError(
            f"{path} begins with {line.rstrip()[:40]!r}, which is neither FASTA ('>NAME') nor GenBank ('LOCUS')"
        )
