"""DNA: sequences cut at ambiguous letters and then into windows."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_prep.documents.document import Document, describe_foreign_letters, number_repeated, raise_letters
from data_prep.formats.sequences import read_sequences
from data_prep.tally import Tally
from lingjax.alphabets import AMBIGUITY_LETTERS, NUCLEOTIDES, reverse_complement
from lingjax.errors import InputError

_PROTEIN_ONLY = "EFILPQ*"
_UNAMBIGUOUS = re.compile(f"[{NUCLEOTIDES}]+")
# Windows that overlap must share a split; more windows a locus lose less overlap, fewer split a genome more finely.
_LOCUS_WINDOWS = 16


@dataclasses.dataclass(frozen=True)
class DnaReader:
    """Reads windows of DNA.

    Attributes:
      window: letters of a document; the last before an ambiguous letter or an end may have fewer.
      stride: letters from one window's start to the next one's; by default the window, so that nothing overlaps.
      both_strands: whether each window is followed by its reverse complement.
      min_length: shorter pieces are left out.
    """

    window: int = 1024
    stride: int | None = None
    both_strands: bool = False
    min_length: int = 32

    def __post_init__(self):
        if self.stride is None:
            object.__setattr__(self, "stride", self.window)
        for name in ("window", "stride", "min_length"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name}={getattr(self, name)}: expected 1 or more")
        if self.min_length > self.window:
            raise InputError(
                f"--min_length={self.min_length} is above --window={self.window}, so nothing would be left"
            )

    @property
    def unit(self) -> str:
        """What one document is, in words for a message."""
        return f"windows have {self.window:,} letters"

    @property
    def finer(self) -> str:
        """The flag by which the same sequences are more documents."""
        return "a lower --window"

    def check_sources(self, paths: Sequence[Path], given: Mapping[str, object]) -> None:
        """Accepts every file: what it holds shows when it is read."""

    def read(self, path: Path, label: str, tally: Tally) -> Iterator[Document]:
        """Yields the windows of a file, named `LABEL:RECORD:FIRST-LAST` (from 1), with `/rc` for the other strand.

        A record is called as `number_repeated` calls it.

        Every letter is in a document or counted as dropped. Windows that overlap, and both strands of one, share their
        split key: overlapping windows are cut from loci that do not overlap, and a locus goes to one split.

        Args:
          path: FASTA or GenBank.
          label: the file's name in document ids.
          tally: receives what is read, raised, left out and wrong.

        Raises:
          InputError: the file cannot be read.
        """
        for record in number_repeated(read_sequences(path), tally):
            tally.add("read", "records")
            tally.add("read", "letters", len(record.letters))
            letters = raise_letters(record.letters, tally)
            fault = describe_foreign_letters(letters, NUCLEOTIDES + AMBIGUITY_LETTERS)
            if fault:
                tally.add_problem(f"{path}: record {record.number} ({record.name}): {fault}{_explain(letters)}")
                continue
            if not letters:
                tally.add("dropped", "records without letters")
            in_runs = 0
            for run in _UNAMBIGUOUS.finditer(letters):
                in_runs += len(run[0])
                for first, last in self._loci(*run.span()):
                    yield from self._windows(letters, first, last, f"{label}:{record.name}", tally)
            tally.add("dropped", "ambiguous letters", len(letters) - in_runs)

    def _loci(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Divides [first, last) so that no window lies in two parts and, but for the last part, none is shortened."""
        size = last - first
        if self.stride < self.window:
            size = self.window + _LOCUS_WINDOWS * self.window // self.stride * self.stride
        for start in range(first, last, size):
            yield start, min(start + size, last)

    def _windows(self, letters: str, first: int, last: int, name: str, tally: Tally) -> Iterator[Document]:
        """Yields the windows of letters[first:last]."""
        covered = first
        for start in range(first, last, self.stride):
            stop = min(start + self.window, last)
            tally.add("dropped", "letters between windows", max(0, start - covered))
            covered = max(start, covered)
            if stop - start < self.min_length:
                tally.add("dropped", "pieces shorter than min_length")
                tally.add("dropped", "letters of pieces shorter than min_length", last - covered)
                return
            yield from self._strands(letters[start:stop], name, start, first)
            covered = stop
            if stop == last:
                return
        tally.add("dropped", "letters between windows", last - covered)

    def _strands(self, piece: str, name: str, start: int, locus: int) -> Iterator[Document]:
        document_id = f"{name}:{start + 1}-{start + len(piece)}"
        split_key = f"{name}:{locus + 1}" if self.stride < self.window else document_id
        yield Document(document_id, piece, split_key)
        if self.both_strands:
            yield Document(f"{document_id}/rc", reverse_complement(piece), split_key)


def _explain(letters: str) -> str:
    if set(letters) & set(_PROTEIN_ONLY):
        return "; read proteins with --domain=protein"
    return "; read RNA with its U replaced by T" if "U" in letters else ""
