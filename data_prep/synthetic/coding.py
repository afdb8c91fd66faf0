"""Genes: proteins written back into DNA, with flanks that are not translated, and the six frames to read them in."""

import functools

import numpy as np
from Bio.Data.CodonTable import standard_dna_table

from data_prep.synthetic.dna import draw_bases, to_dna
from data_prep.synthetic.pairs import SimulatedPair
from data_prep.synthetic.protein import draw_residues, to_protein
from lingjax.alphabets import six_frames

# Codons per thousand in Escherichia coli K-12: a line for each first base T, C, A, G, within it the second and then the
# third base in the same order (Codon Usage Database, Kazusa, species 83333: https://www.kazusa.or.jp/codon/;
# Nakamura et al. 2000, Nucleic Acids Res. 28:292).
_CODON_PER_THOUSAND = """
19.7 15.0 15.2 11.9  5.7  5.5  7.8  8.0  16.8 14.6  1.8  0.0   5.9  8.0  1.0 10.7
11.9 10.5  5.3 46.9  8.4  6.4  6.6 26.7  15.8 13.1 12.1 27.7  21.1 26.0  4.3  4.1
30.5 18.2  3.7 24.8  8.0 22.8  6.4 11.5  21.9 24.4 33.2 12.1   7.2 16.6  1.4  1.6
16.8 11.7 11.5 26.4 10.7 31.6 21.1 38.5  37.9 20.5 43.7 18.4  21.3 33.4  9.2  8.6
"""
_STOP = "*"


@functools.cache
def codon_usage() -> dict[str, tuple[list[str], np.ndarray]]:
    """Returns for each residue, and `*` for stop, its codons and their cumulative shares."""
    codons = [first + second + third for first in "TCAG" for second in "TCAG" for third in "TCAG"]
    per_thousand = dict(zip(codons, map(float, _CODON_PER_THOUSAND.split()), strict=True))
    by_residue: dict[str, list[str]] = {}
    for codon in codons:
        by_residue.setdefault(standard_dna_table.forward_table.get(codon, _STOP), []).append(codon)
    usage = {}
    for residue, synonyms in by_residue.items():
        shares = np.array([per_thousand[codon] for codon in synonyms])
        usage[residue] = synonyms, np.cumsum(shares / shares.sum())
    return usage


def reverse_translate(protein: str, rng: np.random.Generator) -> str:
    """Returns a coding sequence of the protein with the codon usage of E. coli, its stop codon included."""
    usage = codon_usage()
    chances = rng.random(len(protein) + 1)
    chosen = []
    for residue, chance in zip(protein + _STOP, chances, strict=True):
        synonyms, cumulative = usage[residue]
        # Rounding may leave the last share a hair below 1.
        chosen.append(synonyms[min(int(np.searchsorted(cumulative, chance, side="right")), len(synonyms) - 1)])
    return "".join(chosen)


def shares_peptide(dna: str, protein: str, *, residues: int) -> bool:
    """Says whether any stretch of `residues` residues of the protein is encoded in any of the six frames of the DNA."""
    peptides = {protein[i : i + residues] for i in range(len(protein) - residues + 1)}
    return any(
        frame[i : i + residues] in peptides for frame in six_frames(dna) for i in range(len(frame) - residues + 1)
    )


def draw_dna_protein_pair(
    rng: np.random.Generator,
    label: int,
    *,
    dna_length: int = 150,
    protein_lengths: tuple[int, int] = (30, 44),
    shared_residues: int = 5,
) -> SimulatedPair:
    """Draws a gene between untranslated flanks and its protein (label 1) or an unrelated one as long (label 0).

    Args:
      dna_length: bases of the DNA, flanks included.
      protein_lengths: least and greatest length of a protein, in residues, its first methionine included.
      shared_residues: an unrelated protein never shares this many residues in a row with any of the six frames.
    """
    length = int(rng.integers(protein_lengths[0], protein_lengths[1] + 1))
    protein = _draw_protein(rng, length)
    gene = reverse_translate(protein, rng)
    flanks = draw_bases(rng, dna_length - len(gene), gc=rng.uniform(0.35, 0.6))
    upstream = int(rng.integers(len(flanks) + 1))
    dna = to_dna(flanks[:upstream]) + gene + to_dna(flanks[upstream:])
    partner = protein
    if not label:
        partner = _draw_protein(rng, length)
        while shares_peptide(dna, partner, residues=shared_residues):
            partner = _draw_protein(rng, length)
    return SimulatedPair(dna, partner, label, key=protein)


def _draw_protein(rng: np.random.Generator, length: int) -> str:
    return "M" + to_protein(draw_residues(rng, length - 1))
