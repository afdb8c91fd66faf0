"""Clusters of genes that must not be parted by splits: homologous proteins, and texts that BLAST finds alike."""

from collections.abc import Iterable, Mapping, Sequence

from data_prep.biology.homology import cluster_sequences
from data_prep.formats.genes import Gene

# A whole gene is longer than what is cut from it, and all genes are more letters than one split of the pieces. So the
# E-value of one alignment is higher among genes, and the search among them must be the more tolerant by so much.
_WHOLE_OVER_PIECE = 100


def cluster_genes(
    genes: Sequence[Gene],
    pieces: Mapping[str, tuple[str, str]],
    *,
    evalue: float,
    links: Iterable[tuple[str, str]] = (),
) -> dict[str, str]:
    """Returns the cluster of each gene by location: connected by homology of proteins or by similar DNA.

    Genes that overlap, as those of phages do, share DNA though their proteins have nothing in common.

    Args:
      genes: all genes.
      pieces: DNA by any name, with the location of its gene; it may reach beyond the gene. None, where no text is DNA.
      evalue: of hits between pieces; those between whole proteins may have a hundred times as much.
      links: locations of genes that belong together whatever BLAST says.

    Raises:
      InputError: BLAST+ is not installed.
    """
    of_piece = cluster_sequences(
        {name: dna for name, (dna, _) in pieces.items()}, program="blastn", evalue=evalue, progress="clustering DNA"
    )
    by_dna = [(pieces[name][1], pieces[first][1]) for name, first in of_piece.items()]
    return cluster_sequences(
        {gene.location: gene.protein for gene in genes},
        program="blastp",
        evalue=evalue * _WHOLE_OVER_PIECE,
        links=[*links, *by_dna],
        progress="clustering proteins",
    )
