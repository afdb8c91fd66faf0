"""The proteins of FASTA files and, as their genes are translated, of GenBank files."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.biology.gene_sources import collect_genes
from data_prep.documents.protein import ProteinReader
from data_prep.formats.sequences import GENBANK_EXTENSIONS, extension
from data_prep.sources import distinct_names
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
      organism: as GenBank names it; of FASTA, the file's name without its extension.
    """

    name: str
    letters: str
    organism: str


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
        named = Counter(gene.protein_id for gene in genes.genes)
        for gene in genes.genes:
            name = gene.protein_id if named[gene.protein_id] == 1 and gene.protein_id else gene.location
            found.append(Protein(name, gene.protein, gene.organism))
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
    for path, label in zip(paths, distinct_names(paths), strict=True):
        names = set()
        try:
            for document in reader.read(path, label, tally):
                name = document.document_id.removeprefix(f"{label}:")
                if name in names:
                    tally.add_problem(f"{path}: two records are named {name!r}; give each its own name")
                names.add(name)
                found.append((label, name, document.text))
        except InputError as error:
            problems.append(str(error))
        except TooManyProblemsError:
            problems.append(f"{path} is not read to its end, because of its many problems")
    raise_problems("the proteins cannot be used", problems + tally.problems)
    used = Counter(name for _, name, _ in found)
    return [
        Protein(
            name if used[name] == 1 else f"{label}:{name}", letters, organism=label.removesuffix(Path(label).suffix)
        )
        for label, name, letters in found
    ]
