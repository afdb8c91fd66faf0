"""Pieces of DNA with the protein that they code for in full, cut from genes whose translation was confirmed."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_prep.formats import locations
from data_prep.formats.genes import Gene
from data_prep.formats.locations import Segment
from data_prep.genetic_codes import STANDARD_TABLE, peptides, translate_six_frames
from data_prep.tally import Tally
from lingjax.alphabets import reverse_complement
from lingjax.data import SHARED_RESIDUES
from lingjax.errors import raise_problems


@dataclasses.dataclass(frozen=True, slots=True)
class CodingWindow:
    """A piece of DNA and its protein.

    Attributes:
      gene: that it is cut from.
      dna: a flank, if there is one, and coding DNA, introns left out; on the gene's strand.
      protein: the residues of all codons that are whole in `dna`, from the first on; those beyond a limit left off.
      dna_segments, protein_segments: where both lie.
      from_start: whether the protein begins with the gene's start codon.
    """

    gene: Gene
    dna: str
    protein: str
    dna_segments: tuple[Segment, ...]
    protein_segments: tuple[Segment, ...]
    from_start: bool

    @property
    def protein_location(self) -> str:
        """Place of the codons of the protein."""
        return locations.describe(self.gene.record, self.protein_segments)

    def read_dna(self, *, reverse: bool) -> tuple[str, str]:
        """Returns DNA and place, or those of its reverse complement."""
        if not reverse:
            return self.dna, locations.describe(self.gene.record, self.dna_segments)
        segments = locations.reverse(self.dna_segments)
        return reverse_complement(self.dna), locations.describe(self.gene.record, segments)


@dataclasses.dataclass(frozen=True)
class CodingPlan:
    """How windows are cut.

    Attributes:
      dna_length: letters of the DNA.
      protein_length: residues of the protein at most.
      upstream: letters before the start codon.
      frame_shifts: whether the DNA begins at any of three offsets within a codon.
    """

    dna_length: int
    protein_length: int
    upstream: int = 0
    frame_shifts: bool = False

    def __post_init__(self):
        coding = 3 * SHARED_RESIDUES + self._most_shift
        problems = []
        if self.upstream < 0:
            problems.append(f"--upstream={self.upstream}: expected 0 or more")
        if self.protein_length < SHARED_RESIDUES:
            problems.append(f"--protein_length={self.protein_length}: expected {SHARED_RESIDUES} or more")
        if self.dna_length - max(self.upstream, 0) < coding:
            problems.append(
                f"--dna_length={self.dna_length} with --upstream={self.upstream} leaves less than the {coding} letters "
                f"that {SHARED_RESIDUES} residues need, and fewer residues prove nothing"
            )
        raise_problems("the windows cannot be cut", problems)

    @property
    def _most_shift(self) -> int:
        return 2 if self.frame_shifts else 0

    @property
    def flank(self) -> int:
        """Letters before genes that windows can need."""
        return self.upstream + self._most_shift if self.upstream else 0

    def cut(self, gene: Gene, rng: np.random.Generator, tally: Tally, *, more: bool = True) -> list[CodingWindow]:
        """Returns windows of a gene, none overlapping: that at its beginning and, but for flanked ones, all others.

        A window is whole or not made: its DNA has the wanted length, letters A, C, G and T alone, and no codon that
        stands for another residue than the genetic code says.

        Args:
          gene: any.
          rng: draws the offset of each window.
          tally: receives what is left out.
          more: whether windows other than the first are wanted.
        """
        if self.upstream and not gene.has_start:
            tally.add("dropped", "genes without their start codon, which a flank cannot precede")
            return []
        windows = []
        # Whole codons, so that windows without a shift begin with one.
        step = -(-(self.dna_length + self._most_shift) // 3) * 3
        for first in range(0, len(gene.coding), step) if more and not self.upstream else [0]:
            shift = int(rng.integers(3)) if self.frame_shifts else 0
            window = self._cut_flanked(gene, shift) if self.upstream else self._cut_coding(gene, first + shift)
            if isinstance(window, CodingWindow):
                windows.append(window)
            elif first == 0 or window != _TOO_SHORT:
                tally.add("dropped", window)
        return windows

    def _cut_flanked(self, gene: Gene, shift: int) -> CodingWindow | str:
        flank = gene.flank[max(len(gene.flank) - self.upstream - shift, 0) :]
        if len(flank) < self.upstream + shift:
            return "genes whose flank is beyond the end of their record"
        if set(flank) - set("ACGT"):
            return "genes with ambiguous letters in their flank"
        coding = gene.coding[: self.dna_length - len(flank)]
        if len(flank) + len(coding) < self.dna_length:
            return _TOO_SHORT
        flanked = [*gene.flank_segments, *gene.segments]
        first = len(gene.flank) - len(flank)
        segments = locations.cut(flanked, first, first + self.dna_length)
        return self._finish(gene, flank + coding, segments, 0, len(coding))

    def _cut_coding(self, gene: Gene, first: int) -> CodingWindow | str:
        last = first + self.dna_length
        if last > len(gene.coding):
            return _TOO_SHORT
        return self._finish(gene, gene.coding[first:last], locations.cut(gene.segments, first, last), first, last)

    def _finish(
        self, gene: Gene, dna: str, segments: Sequence[Segment], coding_first: int, coding_last: int
    ) -> CodingWindow | str:
        first = -(-coding_first // 3)
        last = min(coding_last // 3, first + self.protein_length, len(gene.protein))
        if last - first < SHARED_RESIDUES:
            return _TOO_SHORT
        if not gene.exceptions.isdisjoint(range(first, coding_last // 3)):
            return "windows with a codon of special meaning, such as selenocysteine"
        return CodingWindow(
            gene=gene,
            dna=dna,
            protein=gene.protein[first:last],
            dna_segments=tuple(segments),
            protein_segments=tuple(locations.cut(gene.segments, 3 * first, 3 * last)),
            from_start=gene.has_start and first == 0,
        )


_TOO_SHORT = "genes too short for the DNA"


def find_encoded(windows: Sequence[CodingWindow]) -> list[set[int]]:
    """Returns for each window the numbers of all whose protein its DNA encodes a piece of.

    A piece is 5 residues in a row in any of the six frames, read with the code of the gene or with the standard one.
    """
    holders: dict[str, list[int]] = {}
    for number, window in enumerate(windows):
        for run in peptides(window.protein, SHARED_RESIDUES):
            holders.setdefault(run, []).append(number)
    encoded = []
    for window in windows:
        runs = set()
        for table in {window.gene.table, STANDARD_TABLE}:
            for frame in translate_six_frames(window.dna, table):
                runs |= peptides(frame, SHARED_RESIDUES)
        encoded.append({number for run in runs & holders.keys() for number in holders[run]})
    return encoded
