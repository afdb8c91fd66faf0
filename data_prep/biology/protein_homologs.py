"""Positives of proteins: windows of blastp hits, or whole homologs."""

import dataclasses
import hashlib
import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from data_prep.biology import blast
from data_prep.biology.alignment import AlignedWindow, WindowPlan, cut_windows, describe_columns
from data_prep.biology.blast import Hit
from data_prep.biology.gene_sources import TWO_FORMS
from data_prep.biology.homology import Components
from data_prep.biology.pair_records import Positive, Text
from data_prep.biology.protein_sources import Protein
from data_prep.biology.significance import find_alignments, has_significant_columns
from data_prep.stages import tell_stage
from data_prep.tally import Tally
from lingjax.errors import InputError

# Of one protein as the query, so that a large family does not make up a dataset.
MOST_PER_PROTEIN = 10
# Hits above the limit do not make a pair, but they do make a cluster: in a smaller database, as that of a split's
# texts, the same alignment has a lower E-value.
_TOLERANCE = 100
# So lenient that something is found among the few texts of one split and organism; the best alignments are preferred.
_HARD_EVALUE, _HARD_PER_QUERY = 1000.0, 200
_RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWY")


def find_homologs(proteins: Sequence[Protein], plan: WindowPlan, tally: Tally, *, per_protein: int) -> list[Positive]:
    """Searches all proteins in all and returns pairs: first one of each protein, then second ones, and so on.

    Hits are read one by one; what is held are `per_protein` pairs of each protein.

    Args:
      proteins: those that are paired.
      plan: which windows, or whole proteins.
      tally: receives what is found and left out.
      per_protein: pairs of one protein as the query, at most.

    Raises:
      InputError: no pair is left, or BLAST+ is not installed.
    """
    number_of = {protein.name: number for number, protein in enumerate(proteins)}
    sequences = {protein.name: protein.letters for protein in proteins}
    components = Components(sequences)
    rounds: list[list[tuple[int, Hit, AlignedWindow]]] = [[] for _ in range(per_protein)]
    hits = blast.search(
        sequences,
        sequences,
        program="blastp",
        evalue=plan.evalue * _TOLERANCE,
        options=["-max_hsps", "1"],
        progress="searching",
    )
    for query, its_hits in itertools.groupby(hits, key=lambda hit: hit.query):
        ranked = []
        for hit in its_hits:
            components.link(query, hit.subject)
            # Each pair of proteins is found from both.
            if number_of[query] >= number_of[hit.subject] or hit.evalue > plan.evalue:
                continue
            if proteins[number_of[query]].is_form_of(proteins[number_of[hit.subject]]):
                tally.add("dropped", TWO_FORMS)
                continue
            tally.add("read", "pairs of homologs")
            rank = _digest(f"{plan.seed}\t{query}\t{hit.subject}")
            window = _choose_window(hit, sequences, plan, np.random.default_rng([plan.seed, rank]), tally)
            if window is not None:
                ranked.append((rank, hit.subject, window))
        kept = heapq.nsmallest(per_protein, ranked, key=lambda entry: entry[:2])
        tally.add("dropped", "pairs of a protein with more than its share", len(ranked) - len(kept))
        for its_round, (rank, subject, window) in zip(rounds, kept, strict=False):
            its_round.append((rank, query, subject, window))
    windows = [entry for its_round in rounds for entry in sorted(its_round, key=lambda entry: entry[:3])]
    taken = list(itertools.islice(_confirm(windows, plan, tally), plan.most))
    if not taken:
        counts = ", ".join(
            f"{count:,} {name}" for group in ("read", "dropped") for name, count in tally.group(group).items()
        )
        raise InputError(f"no pair of proteins is homologous ({counts}); give other input, or a higher --evalue")
    return [
        Positive(
            first=_describe(proteins[number_of[query]], window.first1, window.text1, components),
            second=_describe(proteins[number_of[subject]], window.first2, window.text2, components),
            kind="homolog",
            identity=window.identity,
            cigar=window.cigar,
        )
        for _, query, subject, window in taken
    ]


def add_hard_negatives(positives: Sequence[Positive]) -> list[Positive]:
    """Returns the positives with the second texts of other clusters that blastp aligns best with their first text."""
    hits = blast.search(
        {str(number): positive.first.letters for number, positive in enumerate(positives)},
        {str(number): positive.second.letters for number, positive in enumerate(positives)},
        program="blastp",
        evalue=_HARD_EVALUE,
        options=["-max_hsps", "1"],
        progress="searching for hard negatives",
    )
    similar: list[dict[int, float]] = [{} for _ in positives]
    for query, its_hits in itertools.groupby(hits, key=lambda hit: int(hit.query)):
        others = [(hit.bitscore, int(hit.subject)) for hit in its_hits]
        foreign = [entry for entry in others if positives[entry[1]].cluster != positives[query].cluster]
        similar[query] = {other: score for score, other in heapq.nlargest(_HARD_PER_QUERY, foreign)}
    return [dataclasses.replace(positive, similar=its) for positive, its in zip(positives, similar, strict=True)]


def _choose_window(
    hit: Hit, sequences: Mapping[str, str], plan: WindowPlan, rng: np.random.Generator, tally: Tally
) -> AlignedWindow | None:
    """Returns the first window of a hit that may be a positive, or counts why there is none."""
    if plan.ruler is None:
        identity, cigar = describe_columns(hit.query_row, hit.subject_row)
        texts = sequences[hit.query], sequences[hit.subject]
        windows = [AlignedWindow(*texts, 0, len(texts[0]), 0, len(texts[1]), "+", identity, cigar)]
    else:
        windows = cut_windows(hit, plan.ruler, rng)
    fault = "hits shorter than --length"
    for window in windows:
        fault = _find_fault(window, plan)
        if not fault:
            return window
    return tally.add("dropped", fault)


def _find_fault(window: AlignedWindow, plan: WindowPlan) -> str:
    if not _RESIDUES.issuperset(window.text1 + window.text2):
        return "pairs with residues other than the 20"
    if fault := plan.find_fault(window, "pairs"):
        return fault
    if plan.ruler is not None and not has_significant_columns(window, program="blastp", evalue=plan.evalue):
        return "pairs not significant by themselves"
    return ""


def _confirm(
    windows: Sequence[tuple[int, str, str, AlignedWindow]], plan: WindowPlan, tally: Tally
) -> Iterator[tuple[int, str, str, AlignedWindow]]:
    """Yields the windows that blastp finds again, each text once on either side."""
    seen, distinct = set(), []
    for entry in windows:
        texts = frozenset((entry[3].text1, entry[3].text2))
        if texts in seen:
            tally.add("dropped", "pairs equal to another one")
            continue
        seen.add(texts)
        distinct.append(entry)
    if plan.ruler is None:
        yield from distinct
        return
    tell_stage(f"comparing up to {len(distinct):,} pairs of texts alone")
    texts = [(window.text1, window.text2) for *_, window in distinct]
    found = find_alignments(texts, program="blastp", evalue=plan.evalue)
    for entry, (evalue, _) in zip(distinct, found, strict=True):
        if evalue <= plan.evalue:
            yield entry
        else:
            tally.add("dropped", "pairs that blastp does not align so")


def _describe(protein: Protein, first: int, letters: str, components: Components) -> Text:
    location = f"{protein.name}:{first + 1}-{first + len(letters)}"
    return Text(letters, location, protein.organism, components.find(protein.name))


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
