"""Which genes belong together: families by what annotation calls them, and clusters that splits must not part."""

import re
from collections.abc import Iterable, Mapping, Sequence

from data_prep.biology.homology import cluster_sequences
from data_prep.formats.genes import Gene

# Words that say how sure the annotators are, not what the protein is.
_DOUBT = re.compile(r"\b(putative|probable|predicted|possible|probably|likely)\b")
_SUFFIX = re.compile(r"(,? \(?(fragment|partial)\)?)$")
# Bacterial ribosomes are named by size, those of organelles often are not.
_RIBOSOME = re.compile(r"^[357]0s (?=ribosomal protein)")
_TELLS_NOTHING = re.compile(
    r"((conserved )?(hypothetical|uncharacteri[sz]ed|unknown|unnamed|expressed|conserved)\b.*"
    r"|(phage |membrane |inner membrane |structural |exported |secreted |transmembrane )*(protein|lipoprotein)"
    r"|protein of unknown function.*|unknown|orf ?\w*|gp ?\d+\w?|[a-z]?\d+|)"
)
# A whole gene is longer than what is cut from it, and all genes are more letters than one split of the pieces. So the
# E-value of one alignment is higher among genes, and the search among them must be the more tolerant by so much.
_WHOLE_OVER_PIECE = 100


def name_family(gene: Gene) -> str:
    """Returns the family of a gene: its product in plain words, else the name of the gene; "" if neither tells.

    Differences of case, space and doubt make no other family ("putative DNA ligase", "DNA ligase").
    """
    for text in (gene.product, gene.name):
        plain = normalize(text)
        if not _TELLS_NOTHING.fullmatch(plain):
            return plain
    return ""


def normalize(text: str) -> str:
    """Returns a product in the form in which it is compared.

    >>> normalize("Putative  DNA ligase (fragment)"), normalize("50S ribosomal protein L2")
    ('dna ligase', 'ribosomal protein l2')
    """
    plain = " ".join(_DOUBT.sub(" ", text.lower()).split())
    return _RIBOSOME.sub("", _SUFFIX.sub("", plain))


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
      evalue: the greatest of hits between pieces; those between whole proteins may have a hundred times as much.
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
