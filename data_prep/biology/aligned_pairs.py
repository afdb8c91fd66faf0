"""Positives of DNA: windows of BLAST hits between regions, filtered, drawn and clustered."""

import dataclasses
import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from data_prep.biology import blast
from data_prep.biology.alignment import AlignedWindow, WindowPlan, cut_whole, cut_windows, is_plain
from data_prep.biology.homology import cluster_sequences
from data_prep.biology.pair_records import Positive, place_text
from data_prep.biology.pair_requests import describe_counts
from data_prep.biology.regions import Region
from data_prep.biology.significance import has_significant_columns, is_confirmed
from data_prep.formats import locations
from data_prep.stages import tell_stage
from data_prep.tally import Tally
from lingjax.errors import InputError

# `blastn` finds what is 70 % identical; the default, `megablast`, does not. Low complexity is masked, or repeats of two
# letters would be homologs.
SEARCH_OPTIONS = ("-task", "blastn")


def collect_positives(
    queries: Sequence[Region], subjects: Sequence[Region], plan: WindowPlan, tally: Tally
) -> list[Positive]:
    """Searches all queries in all subjects and returns windows of the hits, in an order that is drawn.

    Hits are read one by one; what is held are the windows that are kept, and 8 bytes of each that was seen.

    Args:
      queries, subjects: regions; those in both are not compared with themselves.
      plan: which windows.
      tally: receives what is found and left out.

    Raises:
      InputError: no window is left, or BLAST+ is not installed.
    """
    query_of = {region.name: region for region in queries}
    subject_of = {region.name: region for region in subjects}
    drawn = _draw(_cut_hits(query_of, subject_of, plan, tally), plan, tally)
    tell_stage(f"comparing {len(drawn):,} pairs of texts alone")
    confirmed = is_confirmed(drawn, evalue=plan.evalue)
    tally.add("dropped", "windows that BLAST does not align so", len(drawn) - sum(confirmed))
    positives = [_make_positive(window) for window, kept in zip(drawn, confirmed, strict=True) if kept]
    if not positives:
        raise InputError(
            f"no pair of texts is homologous ({describe_counts(tally)}); give other input, or a higher --evalue"
        )
    return positives


@dataclasses.dataclass(frozen=True, slots=True)
class _PlacedWindow(AlignedWindow):
    """A window with the regions it was cut from."""

    query: Region
    subject: Region


def _cut_hits(
    query_of: Mapping[str, Region], subject_of: Mapping[str, Region], plan: WindowPlan, tally: Tally
) -> Iterator[_PlacedWindow]:
    """Yields the windows of all hits that are not left out for what they are by themselves."""
    hits = blast.search(
        {name: region.letters for name, region in query_of.items()},
        {name: region.letters for name, region in subject_of.items()},
        program="blastn",
        evalue=plan.evalue,
        options=SEARCH_OPTIONS,
        progress="searching",
    )
    seen = set()
    for hit in hits:
        query, subject = query_of[hit.query], subject_of[hit.subject]
        tally.add("read", "hits")
        if query is subject and (hit.query_start, hit.query_end) == (hit.subject_start, hit.subject_end):
            tally.add("dropped", "hits of a sequence with itself")
            continue
        # The place of a hit, not its number, decides: hits before it that are left out have no influence.
        place = f"{hit.query} {hit.query_start} {hit.subject} {hit.subject_start} {hit.subject_end}"
        rng = np.random.default_rng([plan.seed, _digest(place)])
        cut = [cut_whole(hit)] if plan.ruler is None else cut_windows(hit, plan.ruler, rng)
        for window in cut:
            tally.add("read", "windows")
            fault = _find_fault(window, query, subject, plan)
            if not fault and not has_significant_columns(window, program="blastn", evalue=plan.evalue):
                fault = "windows not significant by themselves"
            if not fault:
                either_way = _digest("\t".join(sorted([window.text1, window.text2])))
                fault = "windows equal to another one" if either_way in seen else ""
                seen.add(either_way)
            if fault:
                tally.add("dropped", fault)
            else:
                values = {field.name: getattr(window, field.name) for field in dataclasses.fields(AlignedWindow)}
                yield _PlacedWindow(**values, query=query, subject=subject)


def _find_fault(window: AlignedWindow, query: Region, subject: Region, plan: WindowPlan) -> str:
    if not is_plain(window):
        return "windows with ambiguous letters"
    if query.record == subject.record and _overlap(window, query, subject):
        return "windows whose two texts overlap in their record"
    return plan.find_fault(window, "windows")


def _overlap(window: AlignedWindow, query: Region, subject: Region) -> bool:
    return locations.overlap(
        locations.cut(query.segments, window.first1, window.last1),
        locations.cut(subject.segments, window.first2, window.last2),
    )


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _draw(windows: Iterable[_PlacedWindow], plan: WindowPlan, tally: Tally) -> list[_PlacedWindow]:
    """Returns the windows with the least hashes, in their order."""
    heap, count = [], 0
    for window in windows:
        count += 1
        # Of equal texts only one came here, so no two windows share a hash, and hashes alone are compared.
        rank = -_digest(f"{plan.seed}\t{window.text1}\t{window.text2}")
        if plan.most is None or len(heap) < plan.most:
            heapq.heappush(heap, (rank, window.text1, window.text2, window))
        else:
            heapq.heappushpop(heap, (rank, window.text1, window.text2, window))
    tally.add("dropped", "windows not drawn", count - len(heap))
    return [window for *_, window in sorted(heap, key=lambda entry: (-entry[0], *entry[1:3]))]


def _make_positive(window: _PlacedWindow) -> Positive:
    first = place_text(window.text1, window.query, window.first1, window.last1, "+")
    second = place_text(window.text2, window.subject, window.first2, window.last2, window.strand)
    return Positive(first, second, "homolog", window.identity, window.cigar)


def cluster_positives(positives: Sequence[Positive], *, evalue: float, by_region: bool) -> list[Positive]:
    """Returns the positives with their clusters.

    Texts are in one cluster if they are a pair, if BLAST finds one with the other among all texts, or if they share
    letters; and, where regions are genes, if they come from one gene.

    Args:
      positives: in any order.
      evalue: the greatest of the hits between texts.
      by_region: whether the texts of one region are in one cluster, which makes no sense for whole genomes.
    """
    sequences, links, places = {}, [], defaultdict(list)
    for positive in positives:
        names = [text.location for text in (positive.first, positive.second)]
        links.append(tuple(names))
        for name, text in zip(names, (positive.first, positive.second), strict=True):
            if name in sequences:
                continue
            sequences[name] = text.letters
            if by_region:
                links.append((name, text.region.name))
            for piece in locations.cut(text.region.segments, text.first, text.last):
                places[text.region.record].append((piece.first, piece.last, name))
    for pieces in places.values():
        links += _link_overlapping(sorted(pieces))
    clusters = cluster_sequences(sequences, program="blastn", evalue=evalue, links=links)
    clustered = []
    for positive in positives:
        texts = {
            side: dataclasses.replace(text, cluster=clusters[text.location])
            for side, text in (("first", positive.first), ("second", positive.second))
        }
        clustered.append(dataclasses.replace(positive, **texts))
    return clustered


def _link_overlapping(pieces: Sequence[tuple[int, int, str]]) -> Iterator[tuple[str, str]]:
    reached, holder = -1, ""
    for first, last, name in pieces:
        if first < reached:
            yield holder, name
        if last > reached:
            reached, holder = last, name
