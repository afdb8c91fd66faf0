"""Dataset `dna_pairs`: are two pieces of DNA homologous? data_prep/README.md states the rules."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.biology import blast
from data_prep.biology.aligned_pairs import (
    SEARCH_OPTIONS,
    Positive,
    WindowPlan,
    cluster_positives,
    collect_positives,
    make_record,
)
from data_prep.biology.alignment import LetterRuler
from data_prep.biology.dna_requests import (
    FULL,
    LEAST_LETTERS,
    check_evalue,
    choose_length,
    choose_most,
    describe_counts,
    describe_read,
    describe_search_command,
    find_share,
    measure_tokens_of,
    parse_identity,
    shorten_references,
)
from data_prep.biology.dna_sources import find_dna_files, read_dna
from data_prep.biology.homology import assign_splits
from data_prep.biology.negatives import KINDS, make_negatives
from data_prep.biology.pair_dataset import check_split_by, choose_fractions, write_pairs
from data_prep.biology.pair_requests import (
    GENBANK_LICENCE,
    check_num_pairs,
    describe_command,
    describe_dropped,
    parse_shares,
)
from data_prep.biology.regions import check_regions
from data_prep.card import CardFacts
from data_prep.sources import DOWNLOADS
from data_prep.tally import Tally
from data_prep.writer import find_built
from lingjax.errors import InputError

_LETTERS = 50  # of the study, whose English pairs have about as many tokens
_TASK = (
    "Each text is {length} of DNA. Label 1: the two were cut at aligned positions of a BLAST hit between {regions}, "
    "and align with E <= {evalue:g} when they are compared with nothing but each other; `identity` and `cigar` are of "
    "the columns that they share. Label 0: the first text of a positive with another second text of the same organism "
    "and length, of the kinds {kinds}: `random` texts have no hit of E < 10; `composition` ones have the same share of "
    "G and C; `shuffled` ones are the true partner in another order with the same dinucleotides; `hard` ones are what "
    "BLAST aligns best above the limit."
)


def build(
    data_dir: Path | str,
    *,
    name: str,
    query: Sequence[str],
    subject: Sequence[str] | None = None,
    regions: str = "cds",
    length: str | None = None,
    match_tokens_of: str | None = None,
    tokenizer: str | None = None,
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
    """Builds one dataset from sequences and returns its folder.

    Args:
      data_dir: folder of all datasets.
      name: the dataset's name.
      query, subject: FASTA or GenBank files, glob patterns, or names of records to download; without a subject the
        query is searched in itself.
      regions: "cds" or "whole", as `read_regions`.
      length: letters of each text (50), or "full" for whole aligned regions.
      match_tokens_of, tokenizer: instead, as many tokens as the pairs of a dataset have.
      evalue: limit of hits, and of the two texts of a pair.
      identity: least and greatest identity of a positive, 0 to 1.
      identical: "drop" or "keep" pairs of equal texts.
      negatives: `KIND:SHARE` texts; kinds as `make_negatives`.
      num_pairs: rows; by default all that can be made.
      split_by, split, splits, compare_with: as `write_pairs`.
      seed: decides which windows are cut and taken, and all that negatives are drawn from.
      offline, email: for downloads.
      overwrite: whether an existing dataset of this name built from other input is replaced.

    Raises:
      InputError: the files or flags cannot be used, or fewer pairs can be made than asked for.
    """
    check_regions(regions)
    check_split_by(split_by)
    check_num_pairs(num_pairs)
    if identical not in ("drop", "keep"):
        raise InputError(f"--identical={identical} is unknown; choose one of: drop, keep")
    limits = parse_identity(identity)
    shares = parse_shares(negatives, KINDS)
    fractions = choose_fractions(split, splits)
    check_evalue(evalue)
    letters = choose_length(length, match_tokens_of, tokenizer, default=_LETTERS)
    version = blast.find_version("blastn")
    files = find_dna_files(query, subject, cache_dir=Path(data_dir) / DOWNLOADS, offline=offline, email=email)
    flags = {
        "regions": regions,
        "length": None if match_tokens_of else str(letters or FULL),
        "match_tokens_of": match_tokens_of and shorten_references([match_tokens_of])[0],
        "tokenizer": tokenizer and shorten_references([tokenizer])[0],
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
        "dataset": "dna_pairs",
        **flags,
        **files.describe(),
        "split_fractions": [*map(list, fractions.items())],
        "blast": version,
    }
    ruler = LetterRuler(letters) if letters else None
    if match_tokens_of:
        ruler, request["tokens"] = measure_tokens_of(match_tokens_of, tokenizer, offline=offline)
    if built := find_built(data_dir, name, request, overwrite=overwrite):
        return [built]
    tally = Tally()
    queries, subjects, sources = read_dna(files, tally, regions=regions, least_letters=letters or LEAST_LETTERS)
    plan = WindowPlan(
        evalue=evalue,
        ruler=ruler,
        identity=limits,
        keep_identical=identical == "keep",
        most=choose_most(num_pairs, split_by),
        seed=seed,
    )
    positives = collect_positives(queries, subjects, plan, tally)
    if not positives:
        raise InputError(
            f"no pair of texts is homologous ({describe_counts(tally)}); give other input, or a higher --evalue"
        )
    records, assigned = make_pairs(
        positives,
        shares,
        evalue=evalue,
        share=find_share(fractions, num_pairs, len(positives)),
        by_region=regions == "cds",
        split_by=split_by,
        fractions=fractions,
        rng=np.random.default_rng(seed),
        tally=tally,
    )
    command = describe_command(
        build, "dna_pairs", files.paths, {"name": name, **flags, "split": split, "splits": splits}
    )
    facts = CardFacts(
        title=f"{name}: homologous DNA",
        task=_TASK.format(
            length=_describe_length(letters, match_tokens_of),
            regions="coding sequences" if regions == "cds" else "sequences",
            evalue=evalue,
            kinds=", ".join(shares),
        ),
        command=describe_search_command(command, files.flags()),
        sources=sources,
        tools=[blast.describe("blastn", evalue=evalue, options=SEARCH_OPTIONS)],
        filters={**describe_read(tally), **describe_dropped(tally)},
        licences=[GENBANK_LICENCE],
    )
    folder = write_pairs(
        data_dir,
        name,
        records,
        request=request,
        fractions=fractions,
        split_by=split_by,
        facts=facts,
        description="Pairs of DNA; label 1 if they are homologous.",
        compare_with=compare_with,
        evalue=evalue,
        program="blastn",
        assigned=assigned,
        num_pairs=num_pairs,
        overwrite=overwrite,
    )
    return [folder]


def _describe_length(letters: int | None, match_tokens_of: str | None) -> str:
    if match_tokens_of:
        return "as many tokens as a text of another dataset"
    return f"{letters} letters" if letters else "the whole of an aligned region"


def make_pairs(
    positives: Sequence[Positive],
    shares: Mapping[str, float],
    *,
    evalue: float,
    share: float,
    by_region: bool,
    split_by: str,
    fractions: Mapping[str, float],
    rng: np.random.Generator,
    tally: Tally,
) -> tuple[list[dict[str, object]], dict[str, str] | None]:
    """Returns the records of positives and of as many negatives, each within one split, and the split of each key.

    Args:
      positives: in the order that is drawn; those whose negative is not found are left out.
      shares: of each kind of negatives.
      evalue: the limit of hits.
      share: of the positives that the smallest split is going to have.
      by_region: as `cluster_positives`.
      split_by: "cluster", "organism" or "hash".
      fractions: share of rows of each split.
      rng: decides kinds and partners.
      tally: receives what is left out.

    Raises:
      InputError: there are fewer clusters or organisms than splits.
    """
    clustered = cluster_positives(positives, evalue=evalue / share, by_region=by_region)
    assigned = None
    if split_by != "hash" and len(fractions) > 1:
        assigned = assign_splits([key for positive in clustered for key in _list_keys(positive, split_by)], fractions)
    pools = defaultdict(list)
    for positive in clustered:
        splits = {assigned[key] for key in _list_keys(positive, split_by)} if assigned else {""}
        if len(splits) > 1:
            tally.add("dropped", "positives between organisms of two splits")
        else:
            pools[splits.pop()].append(positive)
    records = []
    for split in sorted(pools):
        negatives = make_negatives(pools[split], shares, evalue=evalue, rng=rng, tally=tally)
        for positive, negative in zip(pools[split], negatives, strict=True):
            if negative is not None:
                clusters = (positive.cluster, positive.cluster)
                texts = (positive.first, positive.second)
                records.append(make_record(*texts, label=1, kind="homolog", clusters=clusters, positive=positive))
                records.append(negative)
    return _drop_repeated(records, tally), assigned


def _list_keys(positive: Positive, split_by: str) -> list[str]:
    if split_by == "organism":
        return sorted({positive.first.region.organism, positive.second.region.organism})
    return [positive.cluster]


def _drop_repeated(records: Sequence[dict[str, object]], tally: Tally) -> list[dict[str, object]]:
    """Returns the records without negatives that say the same as an earlier one, which is rare."""
    seen, kept = set(), []
    for record in records:
        if record["pair_id"] not in seen:
            seen.add(record["pair_id"])
            kept.append(record)
    tally.add("dropped", "pairs equal to another one", len(records) - len(kept))
    return kept
