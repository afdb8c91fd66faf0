"""Dataset `protein_pairs`: are two proteins homologous? data_prep/README.md states the rules."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.biology import blast
from data_prep.biology.dealt_pairs import ALL_KINDS, deal_pairs
from data_prep.biology.dna_requests import FULL, check_evalue, parse_identity, shorten_references
from data_prep.biology.pair_dataset import check_split_by, choose_fractions, write_pairs
from data_prep.biology.pair_requests import (
    GENBANK_LICENCE,
    check_num_pairs,
    choose_letters,
    describe_command,
    describe_dropped,
    parse_shares,
)
from data_prep.biology.protein_homologs import MOST_PER_PROTEIN, HomologPlan, add_hard_negatives, find_homologs
from data_prep.biology.protein_scores import least_evalue
from data_prep.biology.protein_sources import collect_proteins
from data_prep.card import CardFacts
from data_prep.sources import DOWNLOADS, find_files
from data_prep.tally import Tally
from data_prep.writer import describe_sources, find_built
from lingjax.errors import InputError

_LETTERS, _LEAST_LETTERS = 50, 20  # with fewer, blastp finds nothing
# In a search of one text in another alone; one in a hundred unrelated pairs is refused by chance.
_UNRELATED_EVALUE = 0.01
_SPARE_SHARE, _SPARE_PAIRS = 1.2, 500
_FASTA_LICENCE = (
    "Proteins of UniProt are under CC BY 4.0 (https://www.uniprot.org/help/license); others as their source says."
)
_TASK = (
    "Both sentences are {texts}. Label 1: the two proteins are homologs by blastp with E <= {evalue:g}, {how}; "
    "`identity` and `cigar` are of the columns that the texts share. Label 0: the second text is that of another "
    "pair, of another cluster of homologs, and its best local alignment of all with the first text has E > "
    "{bound:g}; it is of the same organism and as long as the true one (`random`), also of nearly the same "
    "residues (`composition`), or also among those that blastp aligns best (`hard`); or it is the true one in "
    "another order (`shuffled`). But for `shuffled`, each text stands in as many pairs of either label."
)


def build(
    data_dir: Path | str,
    *,
    name: str,
    source: Sequence[str],
    length: str | None = None,
    evalue: float = 1e-5,
    identity: Sequence[str] = ("0", "1"),
    identical: str = "drop",
    negatives: Sequence[str] = ("random:1",),
    num_pairs: int | None = None,
    split_by: str = "cluster",
    split: str | None = None,
    splits: Sequence[str] | None = None,
    compare_with: Sequence[str] = (),
    seed: int = 0,
    offline: bool = False,
    email: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Builds one dataset from proteins and returns its folder.

    Args:
      data_dir: folder of all datasets.
      name: the dataset's name.
      source: FASTA or GenBank files, glob patterns, or names of records to download.
      length: residues of each text (50), cut at aligned positions, or "full" for whole proteins.
      evalue: limit of hits, and of the two texts of a pair.
      identity: least and greatest identity of a positive, 0 to 1; 0.3,0.6 are remote homologs, 0.6,1 close ones.
      identical: "drop" or "keep" pairs of equal texts.
      negatives: `KIND:SHARE` texts; kinds as `deal_pairs`.
      num_pairs: rows; by default two for each protein with a later one as its homolog. Up to ten times as many can be
        asked for.
      split_by, split, splits, compare_with: as `write_pairs`.
      seed: decides which windows are cut and taken, and negatives.
      offline, email: for downloads.
      overwrite: whether an existing dataset of this name built from other input is replaced.

    Raises:
      InputError: the files or flags cannot be used, or fewer pairs can be made than asked for.
    """
    check_split_by(split_by)
    check_num_pairs(num_pairs)
    if identical not in ("drop", "keep"):
        raise InputError(f"--identical={identical} is unknown; choose one of: drop, keep")
    band = parse_identity(identity)
    shares = parse_shares(negatives, ALL_KINDS)
    fractions = choose_fractions(split, splits)
    check_evalue(evalue)
    letters = choose_letters(length, default=_LETTERS, least=_LEAST_LETTERS)
    version = blast.find_version("blastp")
    paths = find_files(source, cache_dir=Path(data_dir) / DOWNLOADS, offline=offline, email=email)
    flags = {
        "length": str(letters or FULL),
        "evalue": evalue,
        "identity": list(identity),
        "identical": identical,
        "negatives": list(negatives),
        "num_pairs": num_pairs,
        "split_by": split_by,
        "compare_with": shorten_references(compare_with),
        "seed": seed,
    }
    request = {
        "dataset": "protein_pairs",
        **flags,
        "split_fractions": [*map(list, fractions.items())],
        "sources": describe_sources(paths),
        "blast": version,
    }
    if built := find_built(data_dir, name, request, overwrite=overwrite):
        return [built]
    tally = Tally()
    sources = collect_proteins(paths, tally)
    plan = HomologPlan(
        letters=letters,
        evalue=evalue,
        identity=band,
        keep_identical=identical == "keep",
        per_protein=1 if num_pairs is None else MOST_PER_PROTEIN,
        most=None if num_pairs is None else int(num_pairs / 2 * _SPARE_SHARE) + _SPARE_PAIRS,
        seed=seed,
    )
    positives = find_homologs(sources.proteins, plan, tally)
    if "hard" in shares:
        positives = add_hard_negatives(positives)
    bound = max(evalue, _UNRELATED_EVALUE)
    pairs = deal_pairs(
        positives,
        num_pairs=num_pairs,
        negatives=shares,
        split_by=split_by,
        fractions=fractions,
        rng=np.random.default_rng(seed),
        accept=lambda first, second: least_evalue(first, second) > bound,
    )
    facts = CardFacts(
        title=f"{name}: homologous proteins",
        task=_TASK.format(
            texts=f"{letters} residues of a protein" if letters else "whole proteins",
            how="cut at aligned positions, and align so when compared with nothing but each other"
            if letters
            else "in a search of all in all",
            evalue=evalue,
            bound=bound,
        ),
        command=describe_command(
            build, "protein_pairs", paths, {"name": name, **flags, "split": split, "splits": splits}
        ),
        sources=sources.sources,
        tools=[blast.describe("blastp", evalue=evalue)],
        filters={**sources.filters, **tally.counts["read"], **describe_dropped(tally), **pairs.filters},
        licences=[_FASTA_LICENCE, *([GENBANK_LICENCE] if sources.has_genbank else [])],
    )
    folder = write_pairs(
        data_dir,
        name,
        pairs.records,
        request=request,
        fractions=fractions,
        split_by=split_by,
        facts=facts,
        description="Pairs of proteins; label 1 if they are homologous.",
        compare_with=compare_with,
        evalue=evalue,
        program="blastp",
        assigned=pairs.assigned,
        num_pairs=num_pairs,
        overwrite=overwrite,
    )
    return [folder]
