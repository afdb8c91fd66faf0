"""Reads the protein-coding genes of GenBank files; each is translated again and compared with its /translation."""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.formats import locations
from data_prep.formats.annotations import read_annotations
from data_prep.formats.coding_features import UnusableError, read_coding
from data_prep.formats.locations import Segment
from data_prep.formats.sequences import SequenceRecord
from data_prep.tally import Tally
from lingjax.alphabets import AMBIGUITY_LETTERS, NUCLEOTIDES
from lingjax.errors import InputError

if TYPE_CHECKING:
    from Bio.SeqFeature import SeqFeature
    from Bio.SeqRecord import SeqRecord

_LETTERS = frozenset(NUCLEOTIDES + "U" + AMBIGUITY_LETTERS)


@dataclasses.dataclass(frozen=True, slots=True)
class Gene:
    """A coding sequence whose translation under its own genetic code is the protein that its record gives.

    Attributes:
      record: name of the record.
      organism: its organism, "" if it names none.
      segments: where `coding` lies, in reading order.
      coding: whole codons of A, C, G and T from the first to the last, the stop codon included where there is one.
      protein: their translation without the stop; the start codon of a complete gene is M.
      table: NCBI's number of the genetic code.
      has_start: whether the first codon is the start codon: the gene is complete there and translates to M.
      exceptions: numbers of codons that stand for another residue than the code says, such as selenocysteine.
      flank: letters that lead up to `coding` on its strand; fewer than asked for where a linear record begins.
      flank_segments: where they lie.
      product, name, locus_tag, protein_id: qualifiers, "" where there is none; `name` is /gene.
    """

    record: str
    organism: str
    segments: tuple[Segment, ...]
    coding: str
    protein: str
    table: int
    has_start: bool
    exceptions: frozenset[int]
    flank: str
    flank_segments: tuple[Segment, ...]
    product: str
    name: str
    locus_tag: str
    protein_id: str

    @property
    def location(self) -> str:
        """Record and place, as "NC_000932.1:5084-5283,6149-6188(-)"; unique."""
        return locations.describe(self.record, self.segments)

    def overlaps(self, other: "Gene") -> bool:
        """Tells whether two genes have a place in common, as two forms of one gene do."""
        return self.record == other.record and locations.overlap(self.segments, other.segments)

    @property
    def names(self) -> list[str]:
        """All that the gene is called, the most particular first."""
        return [name for name in (self.location, self.locus_tag, self.protein_id, self.name) if name]


@dataclasses.dataclass(frozen=True, slots=True)
class GeneRecord:
    """The genes of one record.

    Attributes:
      number: place of the record in its file, from 1.
      name: as the record of its genes.
      digest: a hash of its letters; a copy of the record has the same.
      genes: in the order of features.
    """

    number: int
    name: str
    digest: bytes
    genes: tuple[Gene, ...]


def read_genes(path: Path, tally: Tally, *, flank: int = 0) -> Iterator[GeneRecord]:
    """Yields the records of a file with their genes, the letters of one in memory at a time.

    A coding sequence that cannot be used is left out and counted by reason in the group "dropped" of the tally.

    Args:
      path: GenBank, compressed or not.
      tally: receives what is read and left out.
      flank: letters wanted before each gene.

    Raises:
      InputError: the file is not GenBank or cut off, or a record holds no nucleotides.
    """
    for sequence, record in read_annotations(path):
        _check_letters(sequence, record.annotations.get("molecule_type", ""), path)
        tally.add("read", "records")
        source = _Source(
            name=sequence.name,
            organism=record.annotations.get("organism", "").strip(". "),
            letters=sequence.letters.replace("U", "T"),
            circular=record.annotations.get("topology") == "circular",
        )
        genes = tuple(_read_features(record, source, tally, flank))
        digest = hashlib.blake2b(source.letters.encode(), digest_size=16).digest()
        yield GeneRecord(sequence.number, sequence.name, digest, genes)


def _read_features(record: "SeqRecord", source: "_Source", tally: Tally, flank: int) -> Iterator[Gene]:
    for feature in record.features:
        if feature.type != "CDS":
            continue
        tally.add("read", "coding sequences")
        try:
            gene = _read_gene(feature, source, flank)
        except UnusableError as error:
            tally.add("dropped", str(error))
            continue
        tally.add("read", "genes whose translation was confirmed")
        yield gene


@dataclasses.dataclass(frozen=True, slots=True)
class _Source:
    name: str
    organism: str
    letters: str
    circular: bool


def _check_letters(sequence: SequenceRecord, molecule_type: str, path: Path) -> None:
    foreign = next((letter for letter in sequence.letters if letter not in _LETTERS), "")
    if foreign or molecule_type == "protein":
        why = f"holds {foreign!r}" if foreign else "is a protein"
        raise InputError(
            f"{path}: record {sequence.number} ({sequence.name}) {why}; genes are read from records of DNA or RNA"
        )


def _read_gene(feature: "SeqFeature", source: _Source, flank: int) -> Gene:
    """Returns the gene of a CDS feature.

    Raises:
      UnusableError: there is none.
    """
    coding = read_coding(feature, source.letters)
    before = locations.before(coding.segments, flank, record_length=len(source.letters), circular=source.circular)

    def read_text(qualifier: str) -> str:
        return feature.qualifiers.get(qualifier, [""])[0]

    return Gene(
        record=source.name,
        organism=source.organism,
        segments=coding.segments,
        coding=coding.letters,
        protein=coding.protein,
        table=coding.table,
        has_start=coding.has_start,
        exceptions=coding.exceptions,
        flank=locations.splice(source.letters, before),
        flank_segments=tuple(before),
        product=read_text("product"),
        name=read_text("gene"),
        locus_tag=read_text("locus_tag"),
        protein_id=read_text("protein_id"),
    )
