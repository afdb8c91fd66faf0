"""Positives of DNA and the protein that it codes for."""

from collections.abc import Sequence

import numpy as np

from data_prep.biology.coding_windows import CodingPlan, CodingWindow, find_encoded
from data_prep.biology.gene_groups import cluster_genes, name_family
from data_prep.biology.pair_records import Positive, Text
from data_prep.formats.genes import Gene
from data_prep.tally import Tally
from lingjax.errors import InputError


def make_coding_pairs(
    genes: Sequence[Gene],
    plan: CodingPlan,
    *,
    reverse_strand: bool,
    more: bool,
    evalue: float,
    rng: np.random.Generator,
    tally: Tally,
) -> list[Positive]:
    """Cuts windows of genes, in random order: first those at their beginnings, then the others.

    A protein may come neither to DNA that encodes a piece of it, nor to DNA of a homologous gene or one of the same
    family, nor, as it would tell, to DNA with a start codon if it begins with none.

    Args:
      genes: all genes.
      plan: how windows are cut.
      reverse_strand: whether every second DNA is given as its reverse complement.
      more: whether windows are cut from within the genes too.
      evalue: the greatest of the hits that connect genes to clusters.
      rng: decides offsets and order.
      tally: receives what is left out.

    Raises:
      InputError: no window can be cut, or BLAST+ is not installed.
    """
    windows = _cut_windows(genes, plan, more=more, rng=rng, tally=tally)
    used = {window.gene.location for window in windows}
    pieces = {f"window {number}": (window.dna, window.gene.location) for number, window in enumerate(windows)}
    clusters = cluster_genes([gene for gene in genes if gene.location in used], pieces, evalue=evalue)
    positives = []
    for number, (window, encoded) in enumerate(zip(windows, find_encoded(windows), strict=True)):
        gene, cluster = window.gene, clusters[window.gene.location]
        dna, place = window.read_dna(reverse=reverse_strand and number % 2 == 1)
        positives.append(
            Positive(
                first=Text(dna, place, gene.organism, cluster),
                second=Text(window.protein, window.protein_location, gene.organism, cluster),
                kind="coding",
                identity=1.0,
                keys=frozenset({name_family(gene)} - {""}),
                pool=window.from_start,
                forbidden=encoded,
            )
        )
    return positives


def _cut_windows(
    genes: Sequence[Gene], plan: CodingPlan, *, more: bool, rng: np.random.Generator, tally: Tally
) -> list[CodingWindow]:
    """Returns windows none of which has the DNA of another."""
    first, others, seen = [], [], set()
    for gene in genes:
        for number, window in enumerate(plan.cut(gene, rng, tally, more=more)):
            if window.dna in seen:
                tally.add("dropped", "windows whose DNA is that of another")
                continue
            seen.add(window.dna)
            (others if number else first).append(window)
    if not first:
        counts = ", ".join(f"{count:,} {name}" for name, count in tally.group("dropped").items())
        raise InputError(f"no DNA can be cut from {len(genes):,} genes ({counts}); ask for a shorter --dna_length")
    ordered = [first[place] for place in rng.permutation(len(first))]
    return ordered + [others[place] for place in rng.permutation(len(others))]
