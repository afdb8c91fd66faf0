"""The sequences that BLAST searches and searches in: coding sequences of GenBank records, or whole sequences."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.documents.document import describe_foreign_letters, raise_letters
from data_prep.formats import locations
from data_prep.formats.annotations import read_annotations
from data_prep.formats.locations import Segment
from data_prep.formats.sequences import FASTA_EXTENSIONS, GENBANK_EXTENSIONS, SequenceRecord, extension, read_sequences
from data_prep.formats.streams import read_lines
from data_prep.sources import organism_names, place_names
from data_prep.tally import Tally
from lingjax.alphabets import AMBIGUITY_LETTERS, NUCLEOTIDES
from lingjax.errors import InputError, raise_problems

if TYPE_CHECKING:
    from Bio.SeqFeature import SeqFeature

REGIONS = ("cds", "whole")


@dataclasses.dataclass(frozen=True, slots=True)
class Region:
    """A sequence and where it lies.

    Attributes:
      name: unique over all files.
      letters: upper case, among A, C, G, T and the ambiguity letters.
      organism: as GenBank names it; else the file's name without its extension.
      record: name of the record, with that of its file if another file has a record of this name.
      segments: where the letters lie in the record, in reading order.
    """

    name: str
    letters: str
    organism: str
    record: str
    segments: tuple[Segment, ...]

    def locate(self, first: int, last: int, *, strand: str = "+") -> str:
        """Returns the place of letters `first` to `last` (from 0, without the last), as "NC_004829.1:101-150(+)".

        Args:
          strand: "-" for the reverse complement of these letters.
        """
        segments = locations.cut(self.segments, first, last)
        return locations.describe(self.record, segments if strand == "+" else locations.reverse(segments))


def read_regions(paths: Sequence[Path], tally: Tally, *, regions: str, least_letters: int = 1) -> list[list[Region]]:
    """Reads the regions of each file.

    Sequences of FASTA are regions as they are. Coding sequences are regions whatever they are translated to, pseudo
    genes and partial ones included, as homology is that of the DNA; two at the same place are one.

    Args:
      paths: FASTA or GenBank, each once.
      tally: receives what is read, changed and left out; a region that is left out is counted by its reason.
      regions: "cds" for the coding sequences of GenBank records, "whole" for whole records.
      least_letters: shorter regions are left out.

    Raises:
      InputError: the problems of all files together: what cannot be read, is no DNA, or has the name of another record.
    """
    by_file, problems = [], []
    for path, organism in zip(paths, organism_names(paths), strict=True):
        try:
            by_file.append(list(_read_file(path, organism, tally, regions)))
        except InputError as error:
            problems.append(str(error))
    raise_problems("the sequences cannot be used", problems + tally.problems)
    by_file = _make_unique(by_file, place_names(paths))
    long_enough = [[region for region in found if len(region.letters) >= least_letters] for found in by_file]
    tally.add("read", "regions", sum(map(len, by_file)))
    tally.add("dropped", "regions shorter than a text", sum(map(len, by_file)) - sum(map(len, long_enough)))
    return long_enough


def _read_file(path: Path, organism: str, tally: Tally, regions: str) -> Iterator[Region]:
    if _is_genbank(path):
        yield from _read_genbank(path, organism, tally, regions)
        return
    names = set()
    for record in read_sequences(path):
        letters = _check_letters(record, path, tally)
        _check_name(record, names, path, tally)
        yield Region(record.name, letters, organism, record.name, (Segment(0, len(letters), 1),))


def _is_genbank(path: Path) -> bool:
    if extension(path) in FASTA_EXTENSIONS:
        return False
    return extension(path) in GENBANK_EXTENSIONS or next(read_lines(path), "").startswith("LOCUS")


def _read_genbank(path: Path, file_organism: str, tally: Tally, regions: str) -> Iterator[Region]:
    features, seen, names = 0, set(), set()
    for sequence, record in read_annotations(path):
        letters = _check_letters(sequence, path, tally)
        _check_name(sequence, names, path, tally)
        organism = record.annotations.get("organism", "").strip(". ") or file_organism
        if regions == "whole":
            yield Region(sequence.name, letters, organism, sequence.name, (Segment(0, len(letters), 1),))
            continue
        for feature in record.features:
            if feature.type != "CDS":
                continue
            features += 1
            segments = _read_location(feature, len(letters), tally)
            if segments is None:
                continue
            name = locations.describe(sequence.name, segments)
            if name in seen:
                tally.add("dropped", "coding sequences at the place of another")
                continue
            seen.add(name)
            yield Region(name, locations.splice(letters, segments), organism, sequence.name, segments)
    if regions == "cds" and not features:
        raise InputError(f"{path} has no CDS features; take its sequences with --regions=whole")


def _check_name(record: SequenceRecord, names: set[str], path: Path, tally: Tally) -> None:
    """Notes a record's name, which must be its own: by it, regions and places are told apart."""
    if record.name in names:
        tally.add_problem(f"{path}: record {record.number} has the name {record.name!r} of an earlier one")
    names.add(record.name)


def _check_letters(record: SequenceRecord, path: Path, tally: Tally) -> str:
    tally.add("read", "records")
    tally.add("read", "letters", len(record.letters))
    letters = raise_letters(record.letters, tally)
    if "U" in letters and "T" not in letters:
        tally.add("changed", "letters U of RNA read as T", letters.count("U"))
        letters = letters.replace("U", "T")
    if fault := describe_foreign_letters(letters, NUCLEOTIDES + AMBIGUITY_LETTERS):
        tally.add_problem(f"{path}: record {record.number} ({record.name}): {fault}; give DNA")
    if not letters:
        tally.add("dropped", "records without letters")
    return letters


def _read_location(feature: "SeqFeature", record_length: int, tally: Tally) -> tuple[Segment, ...] | None:
    """Returns where a feature lies, or counts why it cannot be used; `<` and `>` at its ends are ignored."""
    if feature.location is None:
        return tally.add("dropped", "coding sequences whose location cannot be read")
    if getattr(feature.location, "operator", "join") != "join":
        return tally.add("dropped", "coding sequences whose parts are in order or bonded but not joined")
    parts = feature.location.parts
    if any(part.ref is not None for part in parts):
        return tally.add("dropped", "coding sequences with a part on another record")
    if any(part.strand not in (1, -1) for part in parts):
        return tally.add("dropped", "coding sequences without a strand")
    try:
        segments = tuple(Segment(int(part.start), int(part.end), part.strand) for part in parts)
    except TypeError:  # an unknown position
        return tally.add("dropped", "coding sequences whose location cannot be read")
    if any(not 0 <= first < last <= record_length for first, last, _ in segments):
        return tally.add("dropped", "coding sequences that reach beyond their record")
    return segments


def _make_unique(by_file: Sequence[Sequence[Region]], labels: Sequence[str]) -> list[list[Region]]:
    """Returns the regions; where several files have a record of one name, its file's name comes before it."""
    files_with = Counter(record for found in by_file for record in {region.record for region in found})
    unique = []
    for found, label in zip(by_file, labels, strict=True):
        unique.append([])
        for region in found:
            if files_with[region.record] > 1:
                changes = {field: f"{label}:{getattr(region, field)}" for field in ("name", "record")}
                region = dataclasses.replace(region, **changes)
            unique[-1].append(region)
    return unique
