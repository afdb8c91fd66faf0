"""The genes of all files that a `--source` flag stands for."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.biology.pair_requests import describe_dropped
from data_prep.formats.genes import Gene, read_genes
from data_prep.tally import Tally
from data_prep.writer import describe_sources
from lingjax.errors import InputError, raise_problems


@dataclasses.dataclass(frozen=True)
class GeneSources:
    """Genes with what a card says about them.

    Attributes:
      genes: in the order of files, records and features; each location once.
      sources: of each file its name, SHA-256, records, organisms and genetic codes.
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
      InputError: the problems of all files together; a record is in two files; no gene is left.
    """
    tally, problems = Tally(), []
    genes, sources, file_of_record = {}, [], {}
    for path, described in zip(paths, describe_sources(paths), strict=True):
        found = []
        try:
            found += read_genes(path, tally, flank=flank)
        except InputError as error:
            problems.append(str(error))
        records = list(dict.fromkeys(gene.record for gene in found))
        for record in records:
            if record in file_of_record:
                problems.append(f"{path} holds record {record}, as {file_of_record[record]} does; name one of them")
            file_of_record[record] = path
        for gene in found:
            # Two products of one place differ in nothing that is used.
            if gene.location in genes:
                tally.add("dropped", "genes at the same place as another")
            genes.setdefault(gene.location, gene)
        sources.append(_describe(described, found, records))
    raise_problems("the genes cannot be read", problems)
    filters = {**tally.counts["read"], **describe_dropped(tally)}
    if not genes:
        seen = ", ".join(f"{count:,} {name}" for name, count in filters.items())
        raise InputError(f"no gene with a confirmed translation in {', '.join(map(str, paths))} ({seen})")
    return GeneSources(list(genes.values()), sources, filters)


def _describe(described: Mapping[str, str], genes: Sequence[Gene], records: Sequence[str]) -> dict[str, object]:
    return {
        **described,
        "accession": ", ".join(records),
        "organism": ", ".join(dict.fromkeys(gene.organism for gene in genes)),
        "genetic_codes": ", ".join(map(str, sorted({gene.table for gene in genes}))),
    }
