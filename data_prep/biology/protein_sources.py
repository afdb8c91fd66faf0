"""The proteins of FASTA files and, as their genes are translated, of GenBank files."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.biology.gene_sources import collect_genes
from data_prep.documents.protein import ProteinReader
from data_prep.formats.genes import Gene
from data_prep.formats.sequences import GENBANK_EXTENSIONS, extension
from data_prep.sources import organism_names, place_names
from data_prep.tally import Tally, TooManyProblemsError
from data_prep.writer import describe_sources
from lingjax.errors import InputError, raise_problems


@dataclasses.dataclass(frozen=True, slots=True)
class Protein:
    """A protein.

    Attributes:
      name: unique: that of its FASTA record, with its file's name if another file has one of this name; for GenBank
        /protein_id, or the location of the gene.
      letters: upper case, without a stop.
      organism: as GenBank names it; for FASTA the file's name without its extension.
      gene: what is translated to it, None for FASTA.
    """

    name: str
    letters: str
    organism: str
    gene: Gene | None = None

    def is_form_of(self, other: "Protein") -> bool:
        """Tells whether the places of the two genes overlap, as those of two forms of one gene do."""
        return self.gene is not None and other.gene is not None and self.gene.overlaps(other.gene)


@dataclasses.dataclass(frozen=True)
class ProteinSources:
    """Proteins, each sequence once, with what a card says about them."""

    proteins: list[Protein]
    sources: list[Mapping[str, object]]
    filters: dict[str, int]
    has_genbank: bool


def collect_proteins(paths: Sequence[Path], tally: Tally) -> ProteinSources:
    """Reads all files.

    Args:
      paths: FASTA or, by their extension, GenBank files.
      tally: receives what is read and left out of FASTA.

    Raises:
      InputError: the problems of all files together; no protein is left.
    """
    genbank = [path for path in paths if extension(path) in GENBANK_EXTENSIONS]
    fasta = [path for path in paths if path not in genbank]
    found, sources, filters = [], [], {}
    if fasta:
        found += _read_fasta(fasta, tally)
        sources += describe_sources(fasta)
    if genbank:
        genes = collect_genes(genbank)
        sources += genes.sources
        filters = genes.filters
        named = Counter(gene.protein_id for gene in genes.genes) + Counter(protein.name for protein in found)
        for gene in genes.genes:
            # A name with white space, as a /protein_id may be, would part the name of a cluster.
            is_own = named[gene.protein_id] == 1 and gene.protein_id.split() == [gene.protein_id]
            name = gene.protein_id if is_own else gene.location
            found.append(Protein(name, gene.protein, gene.organism, gene))
    proteins, seen = [], set()
    for protein in found:
        if protein.letters in seen:
            tally.add("dropped", "copies of an earlier protein")
            continue
        seen.add(protein.letters)
        proteins.append(protein)
    if not proteins:
        raise InputError(f"no protein in {', '.join(map(str, paths))}")
    return ProteinSources(proteins, sources, filters, bool(genbank))


def _read_fasta(paths: Sequence[Path], tally: Tally) -> list[Protein]:
    reader, found, problems = ProteinReader(), [], []
    for path, label, organism in zip(paths, place_names(paths), organism_names(paths), strict=True):
        names = set()
        try:
            for protein in reader.read_proteins(path, tally):
                if protein.name in names:
                    tally.add_problem(f"{path}: two records are named {protein.name!r}; give each its own name")
                names.add(protein.name)
                found.append((label, protein, organism))
        except InputError as error:
            problems.append(str(error))
        except TooManyProblemsError:
            problems.append(f"{path} is not read to its end, because of its many problems")
    raise_problems("the proteins cannot be used", problems + tally.problems)
    used = Counter(protein.name for _, protein, _ in found)
    return [
        Protein(
            protein.name if used[protein.name] == 1 else f"{label}:{protein.name}", protein.letters, organism=organism
        )
        for label, protein, organism in found
    ]
