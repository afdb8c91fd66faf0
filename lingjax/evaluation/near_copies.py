"""Which rows of a target hold a near-copy of a text that the model was trained on: homologs, fragments, rewordings."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Int, UInt64
from scipy.sparse import csr_array

from lingjax.data import PairRecord
from lingjax.evaluation.local_alignment import column_kinds
from lingjax.evaluation.pair_sides import folded

KMER_SIZE = 10
"""Letters of a run."""

LEAST_SHARED_KMERS = 10
"""Runs that two texts must share in any case: by chance, some pair of two large sets of DNA shares a few."""

LEAST_SHARED_FRACTION = {"sequence": 0.15, "text": 0.5}
"""Share of a text's runs that must occur in one text of the source. Of a sequence with 10 % of its letters substituted,
0.9^10 = 35 % are left, with 17 % substituted, 15 %; language repeats its phrases, so it takes more."""

# What most of the target's texts hold (an adapter, a template) is no sign that one was copied, and costs most.
_COMMON_FRACTION = 0.5
_FEWEST_TEXTS_OF_COMMON = 100
# 2,048 rows of 200 letters a side: a million runs or so in memory at a time.
_ROWS_AT_ONCE = 2048
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def rows_similar_to_source(target: Iterable[PairRecord], source: Iterable[PairRecord]) -> int:
    """Counts target rows of which at least one text is a near-copy of a text of the source's training rows.

    A text is one if, of its distinct runs of 10 letters, at least 10 and at least a given share (15 % for DNA and
    proteins, half for other texts) occur in one and the same text of the source. Texts are compared after case folding
    and with white space collapsed; sequences as they stand, without reverse complements. Texts of fewer than 19 letters
    have too few runs to be counted.

    The runs of the target are indexed, the source passes by in parts, and a text that was found leaves the index: the
    memory does not grow with the source. Runs that most of the target's texts hold are left out.

    Source: containment, Broder 1997, doi:10.1109/SEQUEN.1997.666900, of all runs, not of a sketch; pairs of which one
    part was seen in training are easier, Park and Marcotte 2012, doi:10.1038/nmeth.2259.
    """
    rows = [(folded(record.sentence1), folded(record.sentence2)) for record in target]
    texts = {text: number for number, text in enumerate(dict.fromkeys(text for row in rows for text in row))}
    first, second = (tuple(row[side] for row in rows) for side in (0, 1))
    kind = "text" if column_kinds(first, second) is None else "sequence"
    search = _Search.over(list(texts), least_fraction=LEAST_SHARED_FRACTION[kind])
    for part in _parts(source):
        search.look_through(part)
    return sum(bool(search.found[texts[first]] or search.found[texts[second]]) for first, second in rows)


@dataclasses.dataclass
class _Search:
    """An inverted index of the target's runs, and which of its texts were found so far."""

    codes: "_SortedCodes"
    holders: csr_array  # [kmers texts]: 1 where the text holds the run; empty for texts already found
    needed: Int[np.ndarray, " texts"]
    found: Bool[np.ndarray, " texts"]

    @staticmethod
    def over(texts: list[str], *, least_fraction: float) -> "_Search":
        codes, holder = _kmer_codes(texts)
        codes, kmer = np.unique(codes, return_inverse=True)
        holders = _holding(kmer, holder, shape=(codes.size, len(texts)))
        most = max(_FEWEST_TEXTS_OF_COMMON, _COMMON_FRACTION * len(texts))
        telling = np.diff(holders.indptr) <= most
        codes, holders = codes[telling], holders[telling]
        runs = np.bincount(holders.indices, minlength=len(texts))
        needed = np.maximum(LEAST_SHARED_KMERS, np.ceil(least_fraction * runs).astype(np.int64))
        return _Search(_SortedCodes.of(codes), holders, needed, np.zeros(len(texts), bool))

    def look_through(self, texts: list[str]) -> None:
        """Marks what these texts of the source hold near-copies of."""
        codes, text = _kmer_codes(texts)
        kmer, known = self.codes.find(codes)
        held = _holding(text[known], kmer[known], shape=(len(texts), self.holders.shape[0]))
        if not held.nnz:
            return
        most_shared = (held @ self.holders).max(axis=0).toarray().ravel()
        new = (most_shared >= self.needed) & ~self.found
        if new.any():
            self.found |= new
            keep = ~self.found[self.holders.indices]
            ends = np.concatenate([[0], np.cumsum(keep)])[self.holders.indptr]
            self.holders = csr_array(
                (self.holders.data[keep], self.holders.indices[keep], ends), shape=self.holders.shape
            )


@dataclasses.dataclass(frozen=True)
class _SortedCodes:
    """Codes in increasing order, found by their first bits: ten times as fast as a binary search, whose every step
    waits for memory."""

    codes: UInt64[np.ndarray, " kmers_and_end"]
    shift: np.uint64
    starts: Int[np.ndarray, " buckets"]

    @staticmethod
    def of(codes: UInt64[np.ndarray, " kmers"]) -> "_SortedCodes":
        bits = max(1, codes.size.bit_length())
        shift = np.uint64(64 - bits)
        starts = np.searchsorted(codes, np.arange(2**bits, dtype=np.uint64) << shift)
        return _SortedCodes(np.append(codes, np.uint64(2**64 - 1)), shift, starts)

    def find(
        self, codes: UInt64[np.ndarray, " queries"]
    ) -> tuple[Int[np.ndarray, " queries"], Bool[np.ndarray, " queries"]]:
        """Returns where each code stands, and whether it is there at all."""
        place = self.starts[codes >> self.shift]
        behind = np.flatnonzero(self.codes[place] < codes)
        while behind.size:
            place[behind] += 1
            behind = behind[self.codes[place[behind]] < codes[behind]]
        return place, (self.codes[place] == codes) & (place < self.codes.size - 1)


def _holding(
    row: Int[np.ndarray, " entries"], column: Int[np.ndarray, " entries"], *, shape: tuple[int, int]
) -> csr_array:
    """Returns the matrix with 1 at these places, however often each is named."""
    matrix = csr_array((np.ones(row.size, np.int32), (row, column)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def _parts(records: Iterable[PairRecord]) -> Iterator[list[str]]:
    texts: dict[str, None] = {}
    for number, record in enumerate(records, start=1):
        texts[folded(record.sentence1)] = texts[folded(record.sentence2)] = None
        if number % _ROWS_AT_ONCE == 0:
            yield list(texts)
            texts = {}
    if texts:
        yield list(texts)


def _kmer_codes(texts: list[str]) -> tuple[UInt64[np.ndarray, " kmers"], Int[np.ndarray, " kmers"]]:
    """Returns the code of every run of every text, and the number of its text.

    A code is a polynomial hash of 64 bits: two different runs have the same one with a probability of about 2^-64. Its
    first bits depend on every letter.
    """
    letters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
    lengths = np.array([len(text) for text in texts], np.int64)
    runs = np.maximum(lengths - KMER_SIZE + 1, 0)
    owner = np.repeat(np.arange(len(texts)), runs)
    first_letter = np.cumsum(lengths) - lengths
    first_run = np.cumsum(runs) - runs
    starts = np.arange(runs.sum()) - np.repeat(first_run - first_letter, runs)
    if not starts.size:
        return np.zeros(0, np.uint64), owner
    window = np.zeros(max(letters.size - KMER_SIZE + 1, 0), np.uint64)
    for offset in range(KMER_SIZE):
        window = (window + letters[offset : offset + window.size]) * _MULTIPLIER
    return window[starts], owner
