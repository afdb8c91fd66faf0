"""Dataset `gene_families`: are two genes of the same family? data_prep/README.md states the rules."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.biology import blast
from data_prep.biology.dealt_pairs import DEALT_KINDS, deal_pairs
from data_prep.biology.dna_requests import FULL, check_evalue, parse_identity, shorten_references
from data_prep.biology.families import choose_members, make_family_pairs, read_families
from data_prep.biology.gene_sources import collect_genes
from data_prep.biology.pair_dataset import check_split_by, choose_fractions, write_pairs
from data_prep.biology.pair_requests import (
    GENBANK_LICENCE,
    check_num_pairs,
    choose_letters,
    describe_command,
    describe_dropped,
    parse_shares,
)
from data_prep.card import CardFacts
from data_prep.sources import DOWNLOADS, find_files
from data_prep.tally import Tally
from data_prep.writer import describe_sources, find_built
from lingjax.errors import InputError, nearest

_PROGRAMS = ("blastn", "blastp")
_LETTERS = {"dna": 150, "protein": 50}  # as in the study's pairs of DNA and protein
_TEXTS = {"dna": "coding DNA, introns left out", "protein": "protein"}
_SPARE = 500
_TASK = (
    "Both sentences are the {text} of a gene{cut}. Label 1: the two genes are of one family, by {families}. Label 0: "
    "they are of two families and no homologs, as BLAST finds none between their clusters. The second gene of a "
    "negative is the second gene of another pair, of the same organism as the true one and of a length as near as can "
    "be and, for the kind `composition`, of nearly the same letters. So each gene stands in as many pairs of either "
    "label."
)


def build(
    data_dir: Path | str,
    *,
    name: str,
    source: Sequence[str],
    clusters: str | None = None,
    domain: str = "dna",
    length: str | None = None,
    identity: Sequence[str] = ("0", "1"),
    negatives: Sequence[str] = ("composition:1",),
    num_pairs: int | None = None,
    evalue: float = 1e-5,
    split_by: str = "cluster",
    split: str | None = None,
    splits: Sequence[str] | None = None,
    compare_with: Sequence[str] = (),
    seed: int = 0,
    offline: bool = False,
    email: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Builds one dataset from annotated genomes and returns its folder.

    Args:
      data_dir: folder of all datasets.
      name: the dataset's name.
      source: GenBank files, glob patterns, or names of records to download.
      clusters: a table of gene and family; by default, products and names of genes tell the family.
      domain: "dna" or "protein", the texts.
      length: letters of each text, from the start of the gene (150 of DNA, 50 of proteins), or "full"; whole genes of
        one family often have exactly the same length, which then tells.
      identity: least and greatest identity of a positive; all by default.
      negatives: `KIND:SHARE` texts of the kinds "composition" and "random" (matched in length alone).
      num_pairs: rows; by default each gene stands in up to two positives.
      evalue: of the hits that make two genes homologs.
      split_by, split, splits, compare_with: as `write_pairs`.
      seed: decides which genes are paired.
      offline, email: for downloads.
      overwrite: whether an existing dataset of this name built from other input is replaced.

    Raises:
      InputError: the files or flags cannot be used, or no pair can be made.
    """
    if domain not in _TEXTS:
        raise InputError(f"--domain={domain} is not for genes; {nearest(domain, _TEXTS)}")
    letters, band = choose_letters(length, default=_LETTERS[domain]), parse_identity(identity)
    shares = parse_shares(negatives, DEALT_KINDS)
    fractions = choose_fractions(split, splits)
    check_split_by(split_by)
    check_num_pairs(num_pairs)
    check_evalue(evalue)
    blast.find_program("blastp")
    paths = find_files(source, cache_dir=Path(data_dir) / DOWNLOADS, offline=offline, email=email)
    tables = find_files([clusters], flag="--clusters") if clusters else []
    flags = {
        "domain": domain,
        "length": str(letters or FULL),
        "identity": list(identity),
        "negatives": list(negatives),
        "num_pairs": num_pairs,
        "evalue": evalue,
        "split_by": split_by,
        "compare_with": shorten_references(compare_with),
        "seed": seed,
    }
    request = {
        "dataset": "gene_families",
        **flags,
        "clusters": describe_sources(tables),
        "split_fractions": [*map(list, fractions.items())],
        "sources": describe_sources(paths),
        "blast": blast.find_version("blastp"),
    }
    if built := find_built(data_dir, name, request, overwrite=overwrite):
        return [built]
    families = read_families(tables[0]) if tables else None
    genes = collect_genes(paths)
    # More than twice as many as are needed: some find no negative, and some lie between organisms of two splits.
    most = None if num_pairs is None else num_pairs + _SPARE
    rng, tally = np.random.default_rng(seed), Tally()
    members = choose_members(genes.genes, families, domain=domain, length=letters, tally=tally)
    positives = make_family_pairs(
        # Twice as many as are needed, as not each finds a negative.
        members,
        domain=domain,
        most=most,
        identity=band,
        evalue=evalue,
        rng=rng,
        tally=tally,
    )
    pairs = deal_pairs(
        positives, num_pairs=num_pairs, negatives=shares, split_by=split_by, fractions=fractions, rng=rng
    )
    told = {
        "name": name,
        **flags,
        "clusters": tables[0].name if tables else None,
        "split": split,
        "splits": splits,
    }
    facts = CardFacts(
        title=f"{name}: genes of one family",
        task=_TASK.format(
            text=_TEXTS[domain],
            cut=f", its first {letters} letters" if letters else "",
            families=f"the table {tables[0].name}" if tables else "product, or else gene name, in their annotation",
        ),
        command=describe_command(build, "gene_families", paths, told),
        sources=[*genes.sources, *describe_sources(tables)],
        tools=[blast.describe(program, evalue=evalue) for program in _PROGRAMS],
        filters={**genes.filters, **tally.counts["read"], **describe_dropped(tally), **pairs.filters},
        licences=[GENBANK_LICENCE],
    )
    folder = write_pairs(
        data_dir,
        name,
        pairs.records,
        request=request,
        fractions=fractions,
        split_by=split_by,
        facts=facts,
        description=f"Pairs of genes ({domain}); label 1 if they are of one family.",
        compare_with=compare_with,
        evalue=evalue,
        program="blastn" if domain == "dna" else "blastp",
        assigned=pairs.assigned,
        num_pairs=num_pairs,
        overwrite=overwrite,
    )
    return [folder]
