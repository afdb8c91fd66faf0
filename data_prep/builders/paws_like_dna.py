"""Dataset `paws_like_dna`: homologs against texts of the same k-mers in another order; data_prep/README.md."""

import dataclasses
import math
from collections.abc import Sequence
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
    check_evalue,
    choose_length,
    choose_most,
    describe_counts,
    describe_read,
    describe_search_command,
    find_share,
    shorten_references,
)
from data_prep.biology.dna_sources import find_dna_files, read_dna
from data_prep.biology.pair_dataset import check_split_by, choose_fractions, write_pairs
from data_prep.biology.pair_requests import GENBANK_LICENCE, check_num_pairs, describe_command, describe_dropped
from data_prep.biology.regions import check_regions
from data_prep.biology.shuffling import shuffle_kmers
from data_prep.biology.significance import least_evalue
from data_prep.card import CardFacts
from data_prep.sources import DOWNLOADS
from data_prep.tally import Tally
from data_prep.writer import find_built
from lingjax.errors import InputError

_LETTERS = 50
_MOST_SHUFFLES = 50
# A walk through (k-1)-mers can go another way where it meets one again. With up to so many different ones for each
# letter of a text, 70 % of genomic texts or more could be brought into an order that does not align; with four times
# as many, one in ten.
_MOST_WORDS_PER_LETTER = 1.3
# Candidates for each positive that is wanted, as some cannot be reordered.
_SPARE = 4
_TASK = (
    "Each text is {length} of DNA. Label 1: the two were cut at aligned positions of a BLAST hit and align with "
    "E <= {evalue:g} when they are compared with nothing but each other. Label 0: the same first text with the second "
    "one in another order, which has exactly as many of each {kmer}-mer, and of each shorter one, but does not align "
    "under that E-value. As in PAWS, the words tell nothing and their order everything: whatever compares bags of "
    "{kmer}-mers gives both pairs of a first text the same score."
)


def build(
    data_dir: Path | str,
    *,
    name: str,
    query: Sequence[str],
    subject: Sequence[str] | None = None,
    regions: str = "cds",
    length: str | None = None,
    kmer: int | None = None,
    evalue: float = 1e-5,
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
      query, subject, regions: as in `dna_pairs`.
      length: letters of each text (50), or "full", which needs `kmer`.
      kmer: letters of the words of which a negative has exactly as many as its positive; by default the most that
        texts of this length can mostly be shuffled with (`choose_kmer`). More are a harder control but leave fewer
        pairs, as longer words repeat less.
      evalue: limit of hits, and of the two texts of a pair.
      num_pairs: rows; by default all that can be made.
      split_by, split, splits, compare_with: as `write_pairs`.
      seed: decides which windows are cut and taken, and the order of the letters of negatives.
      offline, email: for downloads.
      overwrite: whether an existing dataset of this name built from other input is replaced.

    Raises:
      InputError: the files or flags cannot be used, or fewer pairs can be made than asked for.
    """
    check_regions(regions)
    check_split_by(split_by)
    check_num_pairs(num_pairs)
    check_evalue(evalue)
    fractions = choose_fractions(split, splits)
    letters = choose_length(length, None, None, default=_LETTERS)
    kmer = _choose_size(kmer, letters)
    version = blast.find_version("blastn")
    files = find_dna_files(query, subject, cache_dir=Path(data_dir) / DOWNLOADS, offline=offline, email=email)
    flags = {
        "regions": regions,
        "length": str(letters or FULL),
        "kmer": kmer,
        "evalue": evalue,
        "num_pairs": num_pairs,
        "split_by": split_by,
        "compare_with": shorten_references(compare_with),
        "seed": seed,
    }
    request = {
        "dataset": "paws_like_dna",
        **flags,
        **files.describe(),
        "split_fractions": [*map(list, fractions.items())],
        "blast": version,
    }
    if built := find_built(data_dir, name, request, overwrite=overwrite):
        return [built]
    tally = Tally()
    queries, subjects, sources = read_dna(files, tally, regions=regions, least_letters=letters or kmer)
    most = choose_most(num_pairs, split_by)
    plan = WindowPlan(
        evalue=evalue,
        ruler=LetterRuler(letters) if letters else None,
        most=_SPARE * most if most else None,
        seed=seed,
    )
    positives = collect_positives(queries, subjects, plan, tally)
    if not positives:
        raise InputError(
            f"no pair of texts is homologous ({describe_counts(tally)}); give other input, or a higher --evalue"
        )
    share = find_share(fractions, num_pairs, len(positives))
    clustered = cluster_positives(positives, evalue=evalue / share, by_region=regions == "cds")
    records = reorder_pairs(clustered, kmer, most=most, evalue=evalue, rng=np.random.default_rng(seed), tally=tally)
    if not records:
        raise InputError(
            f"no text can be brought into an order with the same {kmer}-mers that does not align; "
            "give a lower --kmer or a greater --length"
        )
    command = describe_command(
        build, "paws_like_dna", files.paths, {"name": name, **flags, "split": split, "splits": splits}
    )
    facts = CardFacts(
        title=f"{name}: homologs against the same {kmer}-mers in another order",
        task=_TASK.format(
            length=f"{letters} letters" if letters else "the whole of an aligned region", evalue=evalue, kmer=kmer
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
        description=f"Pairs of DNA; label 1 for homologs, 0 for the same {kmer}-mers in another order.",
        compare_with=compare_with,
        evalue=evalue,
        program="blastn",
        num_pairs=num_pairs,
        overwrite=overwrite,
    )
    return [folder]


def choose_kmer(letters: int) -> int:
    """Returns the greatest k with which most texts of so many letters can be reordered.

    >>> choose_kmer(50), choose_kmer(100), choose_kmer(200)
    (4, 4, 5)
    """
    return max(2, 1 + math.floor(math.log(letters * _MOST_WORDS_PER_LETTER, 4)))


def _choose_size(kmer: int | None, letters: int | None) -> int:
    if kmer is None and letters is None:
        raise InputError(f"--length={FULL} leaves open which words are counted; give --kmer as well, as in --kmer=6")
    size = choose_kmer(letters) if kmer is None else kmer
    if size < 2 or (letters is not None and size >= letters):
        raise InputError(f"--kmer={size}: expected 2 or more, and less than the letters of a text")
    return size


def reorder_pairs(
    positives: Sequence[Positive],
    kmer: int,
    *,
    evalue: float,
    rng: np.random.Generator,
    tally: Tally,
    most: int | None = None,
) -> list[dict[str, object]]:
    """Returns two records for each positive: itself, and its first text with the second one in another order.

    Args:
      positives: with their clusters, which negatives share.
      kmer: the counts of these words are kept exactly.
      evalue: the best local alignment with the reordered text has a higher one.
      rng: draws orders.
      tally: receives how many positives have no such order, and are left out.
      most: positives after which no more are needed.
    """
    records, taken = [], set()
    for number, positive in enumerate(positives):
        if most is not None and len(records) >= 2 * most:
            tally.add("dropped", "positives beyond what is needed", len(positives) - number)
            break
        first, second = positive.first, positive.second
        clusters = (positive.cluster, positive.cluster)
        for _ in range(_MOST_SHUFFLES):
            letters = shuffle_kmers(second.letters, kmer, rng)
            if letters != second.letters and least_evalue(first.letters, letters) > evalue:
                break
        else:
            tally.add("dropped", f"positives without another order of their {kmer}-mers")
            continue
        reordered = dataclasses.replace(second, letters=letters)
        negative = make_record(first, reordered, label=0, kind="reordered", clusters=clusters)
        negative["location2"] += "/shuffled"
        if negative["pair_id"] in taken:
            tally.add("dropped", "positives whose negative is already there")
            continue
        taken.add(negative["pair_id"])
        records += [make_record(first, second, label=1, kind="homolog", clusters=clusters, positive=positive), negative]
    return records
