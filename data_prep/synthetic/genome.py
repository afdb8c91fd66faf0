"""Genome pieces for a DNA corpus: intergenic DNA, genes on either strand, diverged copies of earlier segments."""

import numpy as np
from Bio.Seq import reverse_complement

from data_prep.synthetic.coding import reverse_translate
from data_prep.synthetic.dna import draw_bases, evolve_dna, to_codes, to_dna
from data_prep.synthetic.protein import draw_residues, to_protein


def draw_dna_document(rng: np.random.Generator, *, mean_segments: float = 9.0, kappa: float = 3.0) -> str:
    """Draws one contiguous piece of DNA, about a thousand bases on average.

    Copies of earlier segments, as left by duplication, are what a language model can learn from besides codon usage
    and composition.
    """
    gc = rng.uniform(0.3, 0.65)
    segments = [_draw_gene(rng)]
    for _ in range(rng.poisson(mean_segments)):
        kind = rng.random()
        if kind < 0.3:
            segments.append(to_dna(draw_bases(rng, int(rng.integers(40, 120)), gc=gc)))
        elif kind < 0.5:
            segments.append(_draw_gene(rng))
        else:
            copied = to_codes(segments[int(rng.integers(len(segments)))])
            segments.append(to_dna(evolve_dna(copied, rng, distance=rng.uniform(0.01, 0.3), kappa=kappa, gc=gc).codes))
    return "".join(segments)


def _draw_gene(rng: np.random.Generator) -> str:
    gene = reverse_translate("M" + to_protein(draw_residues(rng, int(rng.integers(25, 55)))), rng)
    return gene if rng.random() < 0.5 else reverse_complement(gene)
