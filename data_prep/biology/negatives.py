"""Negatives of DNA: for each positive, its first text with another second text of the same length."""

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from data_prep.biology import blast
from data_prep.biology.homology import SHORT_LETTERS, sensitive_searches
from data_prep.biology.pair_records import Positive, Text, make_record
from data_prep.biology.shuffling import shuffle_kmers
from data_prep.biology.significance import choose_scorings, least_evalue
from data_prep.pair_audit import gc_fraction
from data_prep.stages import tell_stage
from data_prep.tally import Tally
from lingjax.alphabets import reverse_complement

KINDS = ("random", "composition", "shuffled", "hard")
# In a search of one text in another alone; one in a hundred unrelated pairs is refused by chance.
_UNRELATED_EVALUE = 0.01
# Up to here unrelated texts without a common word are found; longer ones share words of 11 letters by chance.
_WORD_FREE_LETTERS = 1000
_MOST_TRIES = 400
_MOST_SHUFFLES = 20
_GC_TOLERANCE = 0.02
# Where texts have several lengths, a partner is longer by up to this and is cut.
_LONGER = 1.25
# A hard negative may be shorter or longer by this share.
_HARD_TOLERANCE = 0.2
_HARD_EVALUE = 10.0
_HARD_PER_QUERY, _HARD_KEPT = 20, 5


def make_negatives(
    positives: Sequence[Positive], shares: Mapping[str, float], *, evalue: float, rng: np.random.Generator, tally: Tally
) -> list[dict[str, object] | None]:
    """Returns the record of a negative for each positive, or None where none was found.

    All have the first text of the positive. The second is, by kind:

    - `random`: the second text of another positive, of the same organism, cut to the same length, without any hit of
      E < 10 when the two texts alone are compared: up to 100 letters they share no word of 7 letters on either strand,
      without which `blastn-short` finds nothing; up to 1,000 none of 11 letters, without which `blastn` does not.
      Beyond, unrelated texts reach E = 10 as a rule. Of any length, the best local alignment of all has E > 0.01.
    - `composition`: the same with nearly the same share of G and C, and words in common.
    - `shuffled`: the true partner in another order with exactly the same dinucleotides; the best local alignment has
      E > 0.01.
    - `hard`: the second text of another positive that BLAST aligns best, but with an E-value above the limit.

    Other second texts come from other clusters, and are used once as long as possible, so that texts stand in as many
    negatives as positives.

    Args:
      positives: all of one split, in an order that is drawn.
      shares: the share of each kind, summing to 1.
      evalue: the limit up to which pairs are positive.
      rng: decides which kind a positive receives, and everything that is drawn.
      tally: receives how many negatives were not found.
    """
    kinds = np.repeat(list(shares), np.diff(np.rint(np.cumsum([0, *shares.values()]) * len(positives)).astype(int)))
    kinds = rng.permutation(kinds)
    bound = max(evalue, _UNRELATED_EVALUE)
    pool = _Pool(positives, rng)
    hard = _find_hard(positives, evalue) if "hard" in shares else {}

    def choose(number: int, kind: str) -> Text | None:
        positive = positives[number]
        if kind == "shuffled":
            return _shuffle(positive, bound, rng)
        if kind == "hard":
            return pool.take_first(hard.get(number, ()), _UnrelatedTo(positive, evalue, words=False))
        return pool.draw(number, _UnrelatedTo(positive, bound, words=kind == "random"), kind)

    tell_stage(f"choosing negatives of {len(positives):,} positives")
    records = []
    for number, kind in enumerate(kinds.tolist()):
        text = choose(number, kind)
        if text is None:
            tally.add("dropped", f"positives without a {kind} negative")
        records.append(text and make_record(positives[number].first, text, label=0, kind=kind))
    return records


class _UnrelatedTo:
    """Tells whether texts are unrelated to a positive's first text.

    Args:
      bound: the best local alignment must have a higher E-value.
      words: whether there may be no word in common that BLAST could start from.
    """

    def __init__(self, positive: Positive, bound: float, *, words: bool):
        self._letters, self._bound = positive.first.letters, bound
        shorter = min(len(self._letters), len(positive.second.letters))
        self._size, self._words = choose_scorings("blastn", shorter)[-1].word, frozenset()
        if words and shorter <= _WORD_FREE_LETTERS:
            both = (self._letters, reverse_complement(self._letters))
            self._words = frozenset(word for letters in both for word in list_words(letters, self._size))

    def __call__(self, text: Text) -> bool:
        if self._words and not self._words.isdisjoint(list_words(text.letters, self._size)):
            return False
        return least_evalue(self._letters, text.letters, program="blastn") > self._bound


def list_words(letters: str, size: int) -> Iterator[str]:
    """Yields all words of a size.

    >>> list(list_words("ACGT", 3))
    ['ACG', 'CGT']
    """
    return (letters[place : place + size] for place in range(len(letters) - size + 1))


class _Pool:
    """The second texts of positives, from which others receive theirs."""

    def __init__(self, positives: Sequence[Positive], rng: np.random.Generator):
        self._positives, self._rng = positives, rng
        self._used = [False] * len(positives)
        by_organism = defaultdict(list)
        for number, positive in enumerate(positives):
            by_organism[positive.second.organism].append(number)
        self._sorted = {}
        for organism, numbers in by_organism.items():
            for kind, measure in (("random", self._length), ("composition", self._gc)):
                ordered = sorted(numbers, key=measure)
                self._sorted[organism, kind] = ([measure(number) for number in ordered], ordered)

    def _length(self, number: int) -> int:
        return len(self._positives[number].second.letters)

    def _gc(self, number: int) -> float:
        return gc_fraction(self._positives[number].second.letters)

    def draw(self, number: int, accept: Callable[[Text], bool], kind: str) -> Text | None:
        """Returns a second text like this positive's own, None if none is found."""
        own = self._positives[number]
        measures, ordered = self._sorted[own.second.organism, kind]
        if kind == "random":
            limits = self._length(number), self._length(number) * _LONGER
        else:
            limits = self._gc(number) - _GC_TOLERANCE, self._gc(number) + _GC_TOLERANCE
        low, high = bisect.bisect_left(measures, limits[0]), bisect.bisect_right(measures, limits[1])
        for attempt in range(_MOST_TRIES):
            other = ordered[self._rng.integers(low, high)]
            if self._used[other] and attempt < _MOST_TRIES // 2:
                continue
            text = self._cut(other, len(own.second.letters))
            if text is None or text.cluster == own.cluster:
                continue
            if kind == "composition" and abs(gc_fraction(text.letters) - self._gc(number)) > _GC_TOLERANCE:
                continue
            if accept(text):
                self._used[other] = True
                return text
        return None

    def _cut(self, number: int, size: int) -> Text | None:
        text = self._positives[number].second
        spare = len(text.letters) - size
        return text.cut(int(self._rng.integers(spare + 1)), size) if spare >= 0 else None

    def take_first(self, numbers: Sequence[int], accept: Callable[[Text], bool]) -> Text | None:
        """Returns the first of some second texts that is accepted."""
        for other in numbers:
            text = self._positives[other].second
            if accept(text):
                self._used[other] = True
                return text
        return None


def _shuffle(positive: Positive, bound: float, rng: np.random.Generator) -> Text | None:
    for _ in range(_MOST_SHUFFLES):
        letters = shuffle_kmers(positive.second.letters, 2, rng)
        if least_evalue(positive.first.letters, letters, program="blastn") > bound:
            return positive.second.shuffled(letters)
    return None


def _find_hard(positives: Sequence[Positive], evalue: float) -> dict[int, list[int]]:
    """Returns for positives the numbers of others whose second text aligns best with their first, best first."""
    sizes = [(len(positive.first.letters), len(positive.second.letters)) for positive in positives]
    shortest = min(map(min, sizes), default=0)
    space = min((first * second for first, second in sizes), default=1)
    # In a search space of one pair, so many texts as are expected among all with this E-value.
    limit = min(_HARD_EVALUE, max(_HARD_PER_QUERY / max(len(positives), 1), evalue * 10))
    task = sensitive_searches("blastn", SHORT_LETTERS if shortest <= SHORT_LETTERS else shortest)[-1]
    hits = blast.search(
        {str(number): positive.first.letters for number, positive in enumerate(positives)},
        {str(number): positive.second.letters for number, positive in enumerate(positives)},
        program="blastn",
        evalue=limit,
        options=[*task, "-strand", "plus", "-max_hsps", "1", "-searchsp", str(space)],
    )
    best = defaultdict(list)
    for hit in hits:
        number, other = int(hit.query), int(hit.subject)
        wanted = sizes[number][1]
        if positives[number].cluster == positives[other].cluster or hit.evalue <= evalue:
            continue
        if abs(sizes[other][1] - wanted) > _HARD_TOLERANCE * wanted:
            continue
        best[number] = sorted([*best[number], (-hit.bitscore, other)])[:_HARD_KEPT]
    return {number: [other for _, other in ranked] for number, ranked in best.items()}
