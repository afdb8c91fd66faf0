"""Proteins: one sequence, one document."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from data_prep.documents.document import Document, describe_foreign_letters, number_repeated, raise_letters
from data_prep.formats.sequences import GENBANK_EXTENSIONS, SequenceRecord, extension, read_sequences
from data_prep.tally import Tally
from lingjax.alphabets import AMINO_ACIDS, STOP
from lingjax.errors import InputError, raise_problems

# A protein of this length has other letters than those of DNA and RNA, which all name amino acids too.
_NUCLEOTIDES, _TELLING_LENGTH = frozenset("ACGTUN"), 50


@dataclasses.dataclass(frozen=True)
class ProteinReader:
    """Reads proteins.

    Attributes:
      max_length: letters of a document; what is beyond is left out. None sets no limit.
    """

    unit: ClassVar[str] = "each sequence is one"
    finer: ClassVar[str] = ""

    max_length: int | None = None

    def __post_init__(self):
        if self.max_length is not None and self.max_length < 1:
            raise InputError(f"--max_length={self.max_length}: expected 1 or more")

    def check_sources(self, paths: Sequence[Path], given: Mapping[str, object]) -> None:
        """Refuses files that cannot hold proteins.

        Raises:
          InputError: a file is GenBank.
        """
        genbank = [path for path in paths if extension(path) in GENBANK_EXTENSIONS]
        raise_problems("--domain=protein", [f"{path} is GenBank; proteins are read from FASTA" for path in genbank])

    def read(self, path: Path, label: str, tally: Tally) -> Iterator[Document]:
        """Yields the proteins of a file, named `LABEL:RECORD`, the record as `number_repeated` calls it.

        Arguments and errors as for `read_proteins`; `label` is the file's name in document ids.
        """
        for protein in number_repeated(self.read_proteins(path, tally), tally):
            document_id = f"{label}:{protein.name}"
            yield Document(document_id, protein.letters, split_key=document_id)

    def read_proteins(self, path: Path, tally: Tally) -> Iterator[SequenceRecord]:
        """Yields the proteins of a file under the names that they have there.

        A protein ends at its first stop sign `*`, as translation does. Every letter is in a document or counted as
        dropped.

        Args:
          path: FASTA.
          tally: receives what is read, raised, cut, left out and wrong.

        Raises:
          InputError: the file cannot be read.
        """
        for record in read_sequences(path):
            tally.add("read", "records")
            tally.add("read", "letters", len(record.letters))
            letters = raise_letters(record.letters, tally)
            fault = describe_foreign_letters(letters, AMINO_ACIDS + STOP)
            if not fault and len(letters) >= _TELLING_LENGTH and set(letters) <= _NUCLEOTIDES:
                fault = "has only letters of DNA or RNA; read it with --domain=dna"
            if fault:
                tally.add_problem(f"{path}: record {record.number} ({record.name}): {fault}")
                continue
            letters = self._cut(letters, tally)
            if letters:
                yield dataclasses.replace(record, letters=letters)
            else:
                tally.add("dropped", "records without letters")

    def _cut(self, letters: str, tally: Tally) -> str:
        protein, stop, rest = letters.partition(STOP)
        tally.add("dropped", "stop signs", len(stop))
        if rest:
            tally.add("changed", "proteins ended at a stop inside")
            tally.add("dropped", "letters after a stop inside", len(rest))
        if self.max_length is not None and len(protein) > self.max_length:
            tally.add("changed", "proteins cut at max_length")
            tally.add("dropped", "letters beyond max_length", len(protein) - self.max_length)
        return protein[: self.max_length]
