"""The genes of all files that a `--source` flag stands for."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.biology.pair_requests import describe_dropped
from data_prep.formats.genes import Gene, GeneRecord, read_genes
from data_prep.sources import organism_names, place_names
from data_prep.tally import Tally
from data_prep.writer import describe_sources
from lingjax.errors import InputError, raise_problems

# What is counted where a pair would be of isoforms, whose texts are alike because they are one text.
TWO_FORMS = "pairs of two forms of one gene, whose places overlap"


@dataclasses.dataclass(frozen=True)
class GeneSources:
    """Genes with what a card says about them.

    Attributes:
      genes: in the order of files, records and features; each location once.
      sources: for each file its name, SHA-256, records, organisms and genetic codes.
      filters: what came in and what was left out, by reason.
    """

    genes: list[Gene]
    sources: list[Mapping[str, object]]
    filters: dict[str, int]


def collect_genes(paths: Sequence[Path], *, flank: int = 0) -> GeneSources:
    """Reads all files.

    Args:
      paths: GenBank files.
      flank: letters wanted before each gene.

    Raises:
      InputError: the problems of all files together; two records of a file have one name; a record is in two files; no
        gene is left.
    """
    tally, problems, by_file = Tally(), [], []
    for path in paths:
        by_file.append([])
        try:
            by_file[-1] += read_genes(path, tally, flank=flank)
        except InputError as error:
            problems.append(str(error))
    problems += _find_repeated(by_file, paths)
    raise_problems("the genes cannot be read", problems)
    genes, sources = {}, []
    for found, described in zip(_name_apart(by_file, paths), describe_sources(paths), strict=True):
        for gene in found:
            # Two products of one place differ in nothing that is used.
            if gene.location in genes:
                tally.add("dropped", "genes at the same place as another")
            genes.setdefault(gene.location, gene)
        sources.append(_describe(described, found))
    filters = {**tally.counts["read"], **describe_dropped(tally)}
    if not genes:
        seen = ", ".join(f"{count:,} {name}" for name, count in filters.items())
        raise InputError(f"no gene with a confirmed translation in {', '.join(map(str, paths))} ({seen})")
    return GeneSources(list(genes.values()), sources, filters)


def _find_repeated(by_file: Sequence[Sequence[GeneRecord]], paths: Sequence[Path]) -> list[str]:
    """Returns a problem for each record that has the name of another in its file, or is a copy of one in another."""
    problems, file_of_copy = [], {}
    for records, path in zip(by_file, paths, strict=True):
        names = set()
        for record in records:
            if record.name in names:
                problems.append(f"{path}: record {record.number} has the name {record.name!r} of an earlier one")
            names.add(record.name)
            if record.genes and (other := file_of_copy.setdefault((record.name, record.digest), path)) != path:
                problems.append(f"{path} holds record {record.name}, as {other} does; name one of them")
    return problems


def _name_apart(by_file: Sequence[Sequence[GeneRecord]], paths: Sequence[Path]) -> list[list[Gene]]:
    """Returns the genes of each file; where several files have a record of one name, its file's name comes before it.

    Genes of a record without organism get the file's name for one.
    """
    files_with = Counter(name for records in by_file for name in {record.name for record in records})
    named = []
    for records, label, organism in zip(by_file, place_names(paths), organism_names(paths), strict=True):
        named.append([])
        for record in records:
            name = record.name if files_with[record.name] == 1 else f"{label}:{record.name}"
            named[-1] += [
                dataclasses.replace(gene, record=name, organism=gene.organism or organism) for gene in record.genes
            ]
    return named


def _describe(described: Mapping[str, str], genes: Sequence[Gene]) -> dict[str, object]:
    return {
        **described,
        "accession": ", ".join(dict.fromkeys(gene.record for gene in genes)),
        "organism": ", ".join(dict.fromkeys(gene.organism for gene in genes)),
        "genetic_codes": ", ".join(map(str, sorted({gene.table for gene in genes}))),
    }
