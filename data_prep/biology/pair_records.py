"""Texts cut from sequences, pairs of label 1, and the record of any pair."""

import dataclasses
import hashlib
from collections.abc import Hashable, Mapping, Set

from data_prep.biology.regions import Region

# Between the names of the clusters of a pair's two texts where they differ; no name of a sequence holds it.
BETWEEN_CLUSTERS = " "


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A text of a pair with the features that it brings along; `cluster` is "" until clusters are known."""

    letters: str
    location: str
    organism: str
    cluster: str

    def shuffled(self, letters: str) -> "Text":
        """Returns the same text with its letters in another order."""
        return Text(letters, f"{self.location}/shuffled", self.organism, self.cluster)


@dataclasses.dataclass(frozen=True, slots=True)
class RegionText(Text):
    """A piece of a region.

    Attributes:
      region: where it comes from.
      first, last: its letters in the region, from 0, without the last.
      strand: "-" where `letters` are their reverse complement.
    """

    region: Region
    first: int
    last: int
    strand: str

    def cut(self, skipped: int, size: int) -> "RegionText":
        """Returns the text of some of its letters."""
        first = self.first + skipped if self.strand == "+" else self.last - skipped - size
        letters = self.letters[skipped : skipped + size]
        return place_text(letters, self.region, first, first + size, self.strand, cluster=self.cluster)


def place_text(letters: str, region: Region, first: int, last: int, strand: str, *, cluster: str = "") -> RegionText:
    """Returns the text of letters `first` to `last` of a region, as read on a strand."""
    location = region.locate(first, last, strand=strand)
    return RegionText(letters, location, region.organism, cluster, region, first, last, strand)


@dataclasses.dataclass(frozen=True, slots=True)
class Positive:
    """A pair of label 1.

    Attributes:
      first, second: its texts, which lie in one cluster.
      kind: what the record calls it.
      identity, cigar: how the texts align.
      keys: what it is part of, such as families; second texts change no places between positives that share one.
      pool: second texts change places only within a pool.
      forbidden: numbers of the positives whose second text may not come to this first text.
      similar: numbers of the positives whose second text makes a hard negative of this first text, with a score.
    """

    first: Text
    second: Text
    kind: str
    identity: float
    cigar: str = ""
    keys: frozenset[Hashable] = frozenset()
    pool: Hashable = None
    forbidden: Set[int] = frozenset()
    similar: Mapping[int, float] = dataclasses.field(default_factory=dict)

    @property
    def cluster(self) -> str:
        """The cluster of both texts."""
        return self.first.cluster

    def split_keys(self, split_by: str) -> list[str]:
        """Returns what may not be in two splits: its cluster or, by "organism", the organisms of its texts."""
        return sorted({self.first.organism, self.second.organism}) if split_by == "organism" else [self.cluster]

    def record(self) -> dict[str, object]:
        """Returns its record."""
        made = make_record(self.first, self.second, label=1, kind=self.kind)
        return {**made, "identity": self.identity, "cigar": self.cigar}


def make_record(first: Text, second: Text, *, label: int, kind: str) -> dict[str, object]:
    """Returns the record of a pair of which no alignment is known."""
    return {
        "pair_id": name_pair(kind, first.letters, second.letters),
        "sentence1": first.letters,
        "sentence2": second.letters,
        "label": label,
        "identity": 0.0,
        "kind": kind,
        "location1": first.location,
        "location2": second.location,
        "cigar": "",
        "organism1": first.organism,
        "organism2": second.organism,
        "cluster": join_clusters(first.cluster, second.cluster),
    }


def name_pair(kind: str, sentence1: str, sentence2: str) -> str:
    """Returns a pair_id that depends on nothing but the pair.

    >>> name_pair("random", "ACGT", "TTTT")
    '9ab1cf649695956a'
    """
    return hashlib.blake2b("\t".join([kind, sentence1, sentence2]).encode(), digest_size=8).hexdigest()


def join_clusters(first: str, second: str) -> str:
    """Returns what the feature `cluster` of a pair holds whose texts lie in these clusters.

    >>> join_clusters("b", "a"), join_clusters("a", "a")
    ('a b', 'a')
    """
    if BETWEEN_CLUSTERS in first + second:
        raise ValueError(f"the name of a cluster may hold no space, as in {first!r} or {second!r}")
    return BETWEEN_CLUSTERS.join(sorted({first, second}))
