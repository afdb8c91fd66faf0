"""Corpora as controls: documents of the same number and lengths, without some or all of what their order says."""

import collections
import dataclasses
import functools
import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from lingjax.errors import InputError, nearest

KINDS = ("shuffled", "shuffled_words", "iid", "markov:K")
# The table of a chain over four letters has 4^12 contexts at the most; over words' letters it grows with the text.
_LONGEST_CONTEXT = 12
_NO_CONTEXT = ""


@dataclasses.dataclass(frozen=True)
class Control:
    """What is done to each document.

    Attributes:
      kind: `shuffled`, letters of each document permuted; `shuffled_words`, its words, between which spaces and line
        ends stay where they are; `iid`, letters drawn as often as the corpus has them; `markov`, letters drawn from the
        corpus's Markov chain.
      order: the chain's: letters of context.
      seed: decides what is drawn; each document has a generator of its own, by its name.
    """

    kind: str
    order: int = 0
    seed: int = 0

    @property
    def counts_letters(self) -> bool:
        """Whether the letters of the corpus are counted first."""
        return self.kind in ("iid", "markov")

    def describe(self) -> str:
        """Returns half a sentence for people."""
        return {
            "shuffled": "the letters of each document permuted",
            "shuffled_words": "the words of each document permuted",
            "iid": "letters drawn as often as the corpus has them",
            "markov": f"letters drawn from the corpus's Markov chain of order {self.order}",
        }[self.kind]


def parse_control(text: str, *, seed: int) -> Control:
    """Returns the control that a flag names: `shuffled`, `shuffled_words`, `iid` or `markov:K`.

    >>> parse_control("markov:3", seed=0)
    Control(kind='markov', order=3, seed=0)

    Raises:
      InputError: there is no such control, or K is not 1 to 12.
    """
    kind, separator, order = text.partition(":")
    if seed < 0:
        raise InputError(f"--seed={seed} must not be negative")
    if kind == "markov":
        if not order.isdecimal() or not 1 <= int(order) <= _LONGEST_CONTEXT:
            raise InputError(f"--control={text}: markov:K wants letters of context, 1 to {_LONGEST_CONTEXT}")
        return Control(kind, int(order), seed)
    if separator or kind not in KINDS:
        raise InputError(f"--control={text} is not known, {nearest(kind, KINDS)}")
    return Control(kind, seed=seed)


class LetterCounts:
    """How often each letter follows each context, in some documents.

    A document's first letters have contexts that are shorter than the others: what stood before them.

    Args:
      order: letters of a context.
    """

    def __init__(self, order: int):
        self.order = order
        self.after: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.letters: collections.Counter[str] = collections.Counter()

    def add(self, text: str) -> None:
        """Counts a document."""
        order, after = self.order, self.after
        self.letters.update(text)
        for place in range(min(order, len(text))):
            after[text[:place]][text[place]] += 1
        for place in range(order, len(text)):
            after[text[place - order : place]][text[place]] += 1

    def update(self, other: "LetterCounts") -> None:
        """Adds the counts of other documents."""
        self.letters.update(other.letters)
        for context, counts in other.after.items():
            self.after[context].update(counts)


def make_rewriter(control: Control, counts: LetterCounts | None) -> Callable[[str, str], str]:
    """Returns a function of a document's name and text that returns the control's text, of the same length.

    Args:
      control: what is done.
      counts: those of all documents, where the control counts letters.
    """
    if control.kind == "shuffled":
        return functools.partial(_rewrite, control.seed, _shuffle_letters)
    if control.kind == "shuffled_words":
        return functools.partial(_rewrite, control.seed, _shuffle_words)
    if control.kind == "iid":
        return functools.partial(_rewrite, control.seed, _Frequencies(counts.letters).draw)
    return functools.partial(_rewrite, control.seed, _Chain(counts).draw)


def _rewrite(seed: int, make: Callable[[str, np.random.Generator], str], name: str, text: str) -> str:
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return make(text, np.random.default_rng([seed, int.from_bytes(digest, "little")]))


def _shuffle_letters(text: str, rng: np.random.Generator) -> str:
    letters = np.frombuffer(text.encode("utf-32-le"), "<u4")
    return rng.permutation(letters).tobytes().decode("utf-32-le")


def _shuffle_words(text: str, rng: np.random.Generator) -> str:
    pieces = re.split(r"(\s+)", text)
    words = [place for place, piece in enumerate(pieces) if piece and not piece.isspace()]
    shuffled = list(pieces)
    for place, taken in zip(words, rng.permutation(words), strict=True):
        shuffled[place] = pieces[taken]
    return "".join(shuffled)


class _Frequencies:
    """Draws letters as often as counts say."""

    def __init__(self, counts: Mapping[str, int]):
        self._letters = np.array(sorted(counts))
        self._ends = np.cumsum([counts[letter] for letter in self._letters.tolist()])

    def draw(self, text: str, rng: np.random.Generator) -> str:
        drawn = np.searchsorted(self._ends, rng.integers(self._ends[-1], size=len(text)), side="right")
        return "".join(self._letters[drawn].tolist())


class _Chain:
    """Draws texts from a Markov chain; a context after which a document ended wherever it stood begins a new one."""

    def __init__(self, counts: LetterCounts):
        self._order = counts.order
        self._after = {context: _steps(letters.items()) for context, letters in counts.after.items()}

    def draw(self, text: str, rng: np.random.Generator) -> str:
        order, after = self._order, self._after
        drawn, context = [], _NO_CONTEXT
        for chance in rng.random(len(text)).tolist():
            if context not in after:
                context = _NO_CONTEXT
            letters, ends = after[context]
            letter = letters[bisect_right(ends, int(chance * ends[-1]))]
            drawn.append(letter)
            context = (context + letter)[-order:]
        return "".join(drawn)


def _steps(counts: Iterable[tuple[str, int]]) -> tuple[str, list[int]]:
    letters, numbers = zip(*sorted(counts), strict=True)
    return "".join(letters), np.cumsum(numbers).tolist()
