"""Windows of aligned texts, cut from the alignments of BLAST hits."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from data_prep.biology.blast import Hit
from lingjax.data import Tokenizer

_NUCLEOTIDES = frozenset("ACGT")
_GAP = ord("-")
# A token of DNA has fewer letters in every tokenizer that was trained on text.
_LETTERS_PER_TOKEN = 8
# Beyond this many letters WordPiece takes a whole text as one unknown token, unless its limit was raised.
_WORD_LETTERS = 100


@dataclasses.dataclass(frozen=True, slots=True)
class AlignedWindow:
    """Two aligned texts of a hit.

    Attributes:
      text1, text2: letters of query and subject; the subject's reverse complement on strand "-".
      first1, last1, first2, last2: where they lie in query and subject, from 0, without the last.
      strand: the subject's.
      identity: equal letters over the columns of the alignment that both texts share.
      cigar: these columns: `=` equal, `X` different, `I` only in the first text, `D` only in the second.
    """

    text1: str
    text2: str
    first1: int
    last1: int
    first2: int
    last2: int
    strand: str
    identity: float
    cigar: str


class Ruler(Protocol):
    """Decides how many letters each text of a window has; it never looks at more than `reach` of them."""

    @property
    def reach(self) -> int:
        """Returns a number of letters that is enough for every window."""

    def measure(self, letters1: str, letters2: str, rng: np.random.Generator) -> tuple[int, int] | None:
        """Returns the letters of a window at the start of two aligned sequences; None if they are too short."""


@dataclasses.dataclass(frozen=True)
class LetterRuler:
    """Measures a fixed number of letters."""

    letters: int

    @property
    def reach(self) -> int:
        """Returns the number; as `Ruler.reach`."""
        return self.letters

    def measure(self, letters1: str, letters2: str, rng: np.random.Generator) -> tuple[int, int] | None:
        """Returns the number twice; as `Ruler.measure`."""
        enough = min(len(letters1), len(letters2)) >= self.letters
        return (self.letters, self.letters) if enough else None


@dataclasses.dataclass(frozen=True)
class TokenRuler:
    """Measures as many tokens as some pair of another dataset has.

    Attributes:
      tokenizer: counts the tokens.
      counts: tokens of the first and of the second text of each of those pairs.
    """

    tokenizer: Tokenizer
    counts: Sequence[tuple[int, int]]

    @functools.cached_property
    def reach(self) -> int:
        """Returns the letters of the most tokens; as `Ruler.reach`."""
        return (max(map(max, self.counts)) + 1) * _LETTERS_PER_TOKEN

    def measure(self, letters1: str, letters2: str, rng: np.random.Generator) -> tuple[int, int] | None:
        """Draws a pair and returns as many letters as its numbers of tokens need; as `Ruler.measure`."""
        tokens1, tokens2 = self.counts[rng.integers(len(self.counts))]
        sizes = self.count_letters(letters1, tokens1), self.count_letters(letters2, tokens2)
        return sizes if all(sizes) else None

    def count_letters(self, letters: str, tokens: int) -> int:
        """Returns the most letters, from the start, that are exactly so many tokens; 0 if there are none."""
        letters = letters[: (tokens + 1) * _LETTERS_PER_TOKEN]
        (token_ids,) = self.tokenizer.encode([letters])
        if self.tokenizer.unknown_id in token_ids:
            letters = letters[:_WORD_LETTERS]
        # Fewer letters are hardly ever more tokens, but are not always cut as within more letters, so all are tried
        # about the place that halving the distance finds.
        low, high = 1, len(letters)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (
                (middle, high) if len(self.tokenizer.encode([letters[:middle]])[0]) <= tokens else (low, middle - 1)
            )
        near = [size for size in range(low + 2, max(low - 3, 0), -1) if size <= len(letters)]
        counted = zip(near, self.tokenizer.encode([letters[:size] for size in near]), strict=True)
        return next((size for size, ids in counted if len(ids) == tokens), 0)


def describe_columns(row1: str, row2: str) -> tuple[float, str]:
    """Returns the identity and the CIGAR of aligned rows.

    >>> describe_columns("ACGT-A", "ACCTTA")
    (0.6666666666666666, '2=1X1=1D1=')
    """
    kinds = [
        "D" if letter1 == "-" else "I" if letter2 == "-" else "=" if letter1 == letter2 else "X"
        for letter1, letter2 in zip(row1, row2, strict=True)
    ]
    runs = ((kind, sum(1 for _ in run)) for kind, run in itertools.groupby(kinds))
    return kinds.count("=") / len(kinds), "".join(f"{size}{kind}" for kind, size in runs)


def cut_whole(hit: Hit) -> AlignedWindow:
    """Returns the whole aligned region of a hit."""
    texts = [row.replace("-", "") for row in (hit.query_row, hit.subject_row)]
    return _make_window(hit, hit.query_row, hit.subject_row, texts, (0, 0))


def cut_windows(hit: Hit, ruler: Ruler, rng: np.random.Generator) -> Iterator[AlignedWindow]:
    """Yields windows of a hit that share no letter, one after another from a place that is drawn.

    A window starts at a column in which both sequences have a letter. From there each text takes as many letters of its
    own sequence as the ruler says, so that gaps shorten neither text; where gaps let one text end at an earlier column
    than the other, the columns that both share end there, and the other's last letters have no partner.

    Args:
      hit: what is cut.
      ruler: how long texts are.
      rng: draws the first window's place and, with a `TokenRuler`, lengths.
    """
    rows = [np.frombuffer(row.encode(), np.uint8) for row in (hit.query_row, hit.subject_row)]
    columns = [np.flatnonzero(row != _GAP) for row in rows]  # of each letter
    before = [np.cumsum(row != _GAP) - (row != _GAP) for row in rows]  # letters before each column
    letters = [hit.query_row.replace("-", ""), hit.subject_row.replace("-", "")]
    sizes = ruler.measure(*(text[: ruler.reach] for text in letters), rng)
    if sizes is None:
        return
    # Only as far from the beginning as leaves room for as many windows.
    column = int(rng.integers(min(len(text) % size for text, size in zip(letters, sizes, strict=True)) + 1))
    while column < len(rows[0]):
        if _GAP in (rows[0][column], rows[1][column]):
            column += 1
            continue
        starts = [int(count[column]) for count in before]
        ahead = [text[start : start + ruler.reach] for text, start in zip(letters, starts, strict=True)]
        sizes = ruler.measure(*ahead, rng)
        if sizes is None:
            return
        ends = [int(its[start + size - 1]) + 1 for its, start, size in zip(columns, starts, sizes, strict=True)]
        texts = [text[:size] for text, size in zip(ahead, sizes, strict=True)]
        shared = slice(column, min(ends))
        yield _make_window(hit, hit.query_row[shared], hit.subject_row[shared], texts, starts)
        column = max(ends)


def _make_window(hit: Hit, row1: str, row2: str, texts: Sequence[str], starts: Sequence[int]) -> AlignedWindow:
    """Returns the window whose shared columns are given, and whose texts begin at letters `starts` of the hit."""
    identity, cigar = describe_columns(row1, row2)
    first1 = hit.query_start - 1 + starts[0]
    on_plus = hit.subject_start - 1 + starts[1]
    first2 = on_plus if hit.strand == "+" else hit.subject_start - starts[1] - len(texts[1])
    return AlignedWindow(
        text1=texts[0],
        text2=texts[1],
        first1=first1,
        last1=first1 + len(texts[0]),
        first2=first2,
        last2=first2 + len(texts[1]),
        strand=hit.strand,
        identity=identity,
        cigar=cigar,
    )


def is_plain(window: AlignedWindow) -> bool:
    """Tells whether both texts hold nothing but A, C, G and T."""
    return _NUCLEOTIDES.issuperset(window.text1) and _NUCLEOTIDES.issuperset(window.text2)


@dataclasses.dataclass(frozen=True)
class WindowPlan:
    """Which windows of hits become positives.

    Attributes:
      evalue: limit of the hits, and of the two texts of a window by themselves.
      ruler: decides the lengths of texts; None takes the whole aligned region of DNA, whole proteins.
      identity: least and greatest identity of a window.
      keep_identical: whether two equal texts are a pair.
      most: windows kept, drawn among all; None keeps all.
      seed: decides where windows begin and which are drawn.
    """

    evalue: float
    ruler: Ruler | None
    identity: tuple[float, float] = (0.0, 1.0)
    keep_identical: bool = False
    most: int | None = None
    seed: int = 0

    def find_fault(self, window: AlignedWindow, windows: str) -> str:
        """Returns why a window may not be a positive for what it is by itself, "" if it may.

        Args:
          window: any.
          windows: what the card calls windows.
        """
        if not self.keep_identical and window.text1 == window.text2:
            return f"{windows} of equal texts"
        if not self.identity[0] <= window.identity <= self.identity[1]:
            return f"{windows} of another identity than --identity"
        return ""
