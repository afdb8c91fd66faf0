"""Families of genes by what their annotation calls them."""

import re

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
