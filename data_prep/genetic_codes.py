"""Genetic codes: what a codon stands for under each of NCBI's translation tables."""

import dataclasses
import functools
from collections.abc import Mapping

from lingjax.alphabets import STOP, UNKNOWN_RESIDUE, six_frames

STANDARD_TABLE = 1


@dataclasses.dataclass(frozen=True)
class GeneticCode:
    """One translation table.

    Attributes:
      residues: what each codon of A, C, G and T stands for, `*` for a stop; a codon that some genomes read as both is
        a residue here.
      starts: codons that begin a protein and are then read as methionine.
      stops: codons that can end a protein.
    """

    residues: Mapping[str, str]
    starts: frozenset[str]
    stops: frozenset[str]

    def translate(self, dna: str) -> str:
        """Returns the residue of each whole codon; X stands for one with another letter than A, C, G or T."""
        return "".join(self.residues.get(dna[i : i + 3], UNKNOWN_RESIDUE) for i in range(0, len(dna) - 2, 3))


@functools.cache
def find_code(table: int) -> GeneticCode | None:
    """Returns a translation table by NCBI's number, None if there is none of that number.

    Source: https://www.ncbi.nlm.nih.gov/Taxonomy/Utils/wprintgc.cgi, as Biopython holds it.

    >>> find_code(4).translate("TGATAA"), find_code(1).translate("TGATAA")
    ('W*', '**')
    """
    from Bio.Data.CodonTable import unambiguous_dna_by_id

    if table not in unambiguous_dna_by_id:
        return None
    known = unambiguous_dna_by_id[table]
    return GeneticCode(
        residues={**dict.fromkeys(known.stop_codons, STOP), **known.forward_table},
        starts=frozenset(known.start_codons),
        stops=frozenset(known.stop_codons),
    )


def translate_six_frames(dna: str, table: int) -> list[str]:
    """Returns the translations of both strands of A, C, G and T from each of three offsets.

    >>> translate_six_frames("ATGTGA", 4)
    ['MW', 'C', 'V', 'SH', 'H', 'T']
    """
    return six_frames(dna, find_code(table).residues)


def peptides(protein: str, residues: int) -> set[str]:
    """Returns all runs of so many residues in a protein, but for those with a stop or an unknown residue.

    >>> sorted(peptides("MAX*KRW", 2))
    ['KR', 'MA', 'RW']
    """
    runs = {protein[i : i + residues] for i in range(len(protein) - residues + 1)}
    return {run for run in runs if STOP not in run and UNKNOWN_RESIDUE not in run}
