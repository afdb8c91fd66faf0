"""Dataset `dna_protein_pairs`: does the DNA code for the protein? data_prep/README.md states the rules."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.biology import blast
from data_prep.biology.coding_pairs import make_coding_pairs
from data_prep.biology.coding_windows import WindowPlan
from data_prep.biology.dealt_pairs import DEALT_KINDS, deal_pairs
from data_prep.biology.dna_requests import check_evalue, shorten_references
from data_prep.biology.gene_sources import collect_genes
from data_prep.biology.pair_dataset import check_split_by, choose_fractions, write_pairs
from data_prep.biology.pair_requests import (
    GENBANK_LICENCE,
    check_num_pairs,
    describe_command,
    describe_dropped,
    parse_shares,
)
from data_prep.card import CardFacts
from data_prep.sources import DOWNLOADS, find_files
from data_prep.tally import Tally
from data_prep.writer import describe_sources, find_built

_PROGRAMS = ("blastn", "blastp")
_TASK = (
    "Sentence 1 is {dna_length} nucleotides of DNA, sentence 2 a protein of at most {protein_length} residues. "
    "Label 1: the DNA codes for the whole protein, as its record annotates it and as a translation with the "
    "genetic code of the gene confirms. Label 0: the protein is that of another gene that is no homolog, and no "
    "five of its residues in a row are encoded in any of the six frames of the DNA, by the code of the gene or "
    "the standard one. Each DNA and each protein stands in as many pairs of either label, so that neither alone "
    "tells anything; the proteins of negatives are of the same organism, as long as the true ones and, for the "
    "kind `composition`, of nearly the same residues."
)


def build(
    data_dir: Path | str,
    *,
    name: str,
    source: Sequence[str],
    dna_length: int = 150,
    protein_length: int = 50,
    upstream: int = 0,
    frame_shifts: bool = False,
    reverse_strand: bool = False,
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
      dna_length, protein_length, upstream, frame_shifts: as `WindowPlan`.
      reverse_strand: whether half of the DNA, that of both labels alike, is given as its reverse complement.
      negatives: `KIND:SHARE` texts of the kinds "composition" and "random" (matched in length alone).
      num_pairs: rows; by default two for the beginning of each gene. More are cut from within the genes.
      evalue: of the hits that make two sequences homologs.
      split_by, split, splits, compare_with: as `write_pairs`.
      seed: decides offsets, strands, partners, and which windows are taken.
      offline, email: for downloads.
      overwrite: whether an existing dataset of this name built from other input is replaced.

    Raises:
      InputError: the files or flags cannot be used, or no pair can be made.
    """
    plan = WindowPlan(dna_length, protein_length, upstream, frame_shifts)
    shares = parse_shares(negatives, DEALT_KINDS)
    fractions = choose_fractions(split, splits)
    check_split_by(split_by)
    check_num_pairs(num_pairs)
    check_evalue(evalue)
    blast.find_program("blastp")
    paths = find_files(source, cache_dir=Path(data_dir) / DOWNLOADS, offline=offline, email=email)
    flags = {
        "dna_length": dna_length,
        "protein_length": protein_length,
        "upstream": upstream,
        "frame_shifts": frame_shifts,
        "reverse_strand": reverse_strand,
        "negatives": list(negatives),
        "num_pairs": num_pairs,
        "evalue": evalue,
        "split_by": split_by,
        "compare_with": shorten_references(compare_with),
        "seed": seed,
    }
    request = {
        "dataset": "dna_protein_pairs",
        **flags,
        "split_fractions": [*map(list, fractions.items())],
        "sources": describe_sources(paths),
        "blast": blast.find_version("blastp"),
    }
    if built := find_built(data_dir, name, request, overwrite=overwrite):
        return [built]
    genes = collect_genes(paths, flank=plan.flank)
    rng, tally = np.random.default_rng(seed), Tally()
    positives = make_coding_pairs(
        genes.genes,
        plan,
        reverse_strand=reverse_strand,
        more=num_pairs is not None,
        evalue=evalue,
        rng=rng,
        tally=tally,
    )
    pairs = deal_pairs(
        positives, num_pairs=num_pairs, negatives=shares, split_by=split_by, fractions=fractions, rng=rng
    )
    facts = CardFacts(
        title=f"{name}: DNA and the protein that it codes for",
        task=_TASK.format(dna_length=dna_length, protein_length=protein_length),
        command=describe_command(
            build, "dna_protein_pairs", paths, {"name": name, **flags, "split": split, "splits": splits}
        ),
        sources=genes.sources,
        tools=[blast.describe(program, evalue=evalue) for program in _PROGRAMS],
        filters={**genes.filters, **describe_dropped(tally), **pairs.filters},
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
        description=f"DNA of {dna_length} nucleotides and proteins; label 1 if the DNA codes for the protein.",
        compare_with=compare_with,
        evalue=evalue,
        program=_PROGRAMS,
        assigned=pairs.assigned,
        num_pairs=num_pairs,
        overwrite=overwrite,
    )
    return [folder]
