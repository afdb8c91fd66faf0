"""Families of features that read one text alone: what should not tell the label of a pair, however well it is read."""

import dataclasses
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from lingjax.alphabets import SequenceKind
from lingjax.evaluation.giveaways.columns import Columns, counted, joined, numbers
from lingjax.evaluation.giveaways.letters import LetterTable
from lingjax.evaluation.pair_sides import folded

# Letters of all rows together that are read, so that memory and seconds do not grow with long texts.
_MOST_LETTERS_READ = 2_400_000
_LONGEST_READ, _SHORTEST_READ = 4096, 256
_EDGE_LETTERS = 256
_MIDDLE_LETTERS = 8
_EDGE_WORDS = 4
_MOST_KMERS = 20_000
_LETTERS_COUNTED = 24
_LETTERS_COMPARED = 12
# A protein's helices turn every 3.6 residues, its strands every 2.
_PERIODS: Mapping[str | None, tuple[int, ...]] = {
    "dna": (2, 3, 4, 5, 6, 7, 8, 10),
    "protein": (2, 3, 4, 5, 7),
    None: (2, 3, 4),
}
_LETTERS_PHASED: Mapping[str | None, int] = {"dna": 6, "protein": 22, None: 12}
_LAGS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16, 18, 20)
_PALINDROME_RADIUS = 10
_WORD = re.compile(r"\w+|[^\w\s]")
_BRACKETS = "()[]{}<>"
# Residues that behave alike. Source: Livingstone and Barton 1993, doi:10.1093/bioinformatics/9.6.745.
_CLASSES: Mapping[str | None, Mapping[str, str]] = {
    "dna": {"G or C": "gc", "A or G": "ag", "A or C": "ac"},
    "protein": {
        "hydrophobic residues": "acfghiklmtvwy",
        "charged residues": "dehkr",
        "positive residues": "hkr",
        "aromatic residues": "fhwy",
        "small residues": "acdgnpstv",
        "aliphatic residues": "ilv",
    },
    None: {"vowels": "aeiou"},
}
_COMPLEMENTS = {"a": "t", "c": "g", "g": "c", "t": "a", "u": "a"}


@dataclasses.dataclass(frozen=True)
class TextColumn:
    """One column of texts, prepared.

    Attributes:
      texts: as they stand.
      kind: what the column holds.
      raw: the letters as they stand.
      folded: the letters in one case and with single spaces.
    """

    texts: Sequence[str]
    kind: SequenceKind | None
    raw: LetterTable
    folded: LetterTable

    @staticmethod
    def of(texts: Sequence[str], kind: SequenceKind | None) -> "TextColumn":
        """Prepares a column."""
        most = int(np.clip(_MOST_LETTERS_READ // max(len(texts), 1), _SHORTEST_READ, _LONGEST_READ))
        even = [folded(text) for text in texts]
        return TextColumn(texts, kind, LetterTable.of(texts, most=most), LetterTable.of(even, most=most))

    @property
    def fewest_rows(self) -> int:
        """Rows that must have a thing for anything to be learnt from it."""
        return 3 if len(self.texts) < 500 else 5


def text_families(column: TextColumn) -> Iterator[tuple[str, Columns]]:
    """Yields the families of one column, by name."""
    yield "length", numbers(*_lengths(column))
    yield "letters", _composition(column)
    yield "letters counted against each other", _comparisons(column)
    for sizes in ((2,), (3, 4), (5, 6)):
        yield f"runs of {' and '.join(map(str, sizes))} letters", _kmers(column, sizes)
    yield "letters at fixed positions", _positions(column)
    yield "letters by phase", _phases(column)
    yield "repeats and symmetry", numbers(*_regularities(column))
    yield "case", _case(column)
    yield "spaces, digits and punctuation", numbers(*_characters(column))
    if column.kind is None:
        yield "words and pairs of words", _words(column)
    yield "two simple features together", crossed(atoms(column))


Numbers = tuple[Float[np.ndarray, "rows features"], list[str]]


def _named(values: Mapping[str, np.ndarray]) -> Numbers:
    return np.stack([np.asarray(one, np.float64) for one in values.values()], axis=1), list(values)


def _lengths(column: TextColumn) -> Numbers:
    letters = column.raw.lengths
    values = {"length": letters}
    if column.kind is None:
        values["number of words"] = np.array([len(text.split()) for text in column.texts])
    return _named(values | {f"length modulo {divisor}": letters % divisor for divisor in (2, 3, 4, 5, 10)})


def _shares(column: TextColumn) -> tuple[LetterTable, np.ndarray, np.ndarray]:
    """Returns letters, their counts and their shares; spaces are no letters."""
    table = column.folded
    counts = table.counts(min(len(table.alphabet), 254))
    shown = [place for place, letter in enumerate(table.alphabet) if letter != " "]
    total = counts[:, shown].sum(axis=1)
    return table, counts, counts / np.maximum(total, 1)[:, None]


def _composition(column: TextColumn) -> Columns:
    table, counts, shares = _shares(column)
    letters = [place for place, letter in enumerate(table.alphabet[:_LETTERS_COUNTED]) if letter != " "]
    values = {f"share of {table.alphabet[place]!r}": shares[:, place] for place in letters}
    for name, members in _CLASSES[column.kind].items():
        places = [table.alphabet.index(letter) for letter in members if letter in table.alphabet]
        values[f"share of {name}"] = shares[:, places].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        values["evenness of letters"] = -np.nansum(np.where(shares > 0, shares * np.log2(shares), 0), axis=1)
    values["number of different letters"] = (counts > 0).sum(axis=1)
    values |= {f"count of {table.alphabet[place]!r}": counts[:, place] for place in letters}
    return numbers(*_named(values))


def _comparisons(column: TextColumn) -> Columns:
    """Counts of two letters of one text against each other: balanced brackets, skews, odd and even counts."""
    table = column.folded
    order = sorted(range(len(table.alphabet)), key=lambda place: (table.alphabet[place] not in _BRACKETS, place))
    letters = [place for place in order if table.alphabet[place] != " "][:_LETTERS_COMPARED]
    counts = table.counts(len(table.alphabet))
    values = {f"parity of the count of {table.alphabet[place]!r}": counts[:, place] % 2 for place in letters}
    for position, first in enumerate(letters):
        for second in letters[position + 1 :]:
            pair = f"{table.alphabet[first]!r} and {table.alphabet[second]!r}"
            difference = counts[:, first] - counts[:, second]
            values[f"difference of the counts of {pair}"] = difference
            values[f"absolute difference of the counts of {pair}"] = np.abs(difference)
            values[f"equal counts of {pair}"] = difference == 0
    if not values:
        return numbers(np.zeros((len(column.texts), 0)), [])
    return numbers(*_named(values))


def _kmers(column: TextColumn, sizes: Sequence[int]) -> Columns:
    table, parts = column.folded, []
    for size in sizes:
        row, _, code = table.kmers(size)
        parts.append(
            counted(
                row,
                code,
                len(column.texts),
                lambda one: f"{table.spell(one)!r}",
                fewest_rows=column.fewest_rows,
                most=_MOST_KMERS,
            )
        )
    return joined(parts)


def _at_places(
    codes: Int[np.ndarray, "rows places"], column: TextColumn, describe: Mapping[int, str] | Sequence[str], spell
) -> Columns:
    """Returns a feature for every letter at every place; a code of 0 is no letter."""
    row, place = np.nonzero(codes)
    return counted(
        row,
        place * 256 + codes[row, place],
        len(column.texts),
        lambda code: f"{spell(code % 256)!r} {describe[code // 256]}",
        fewest_rows=column.fewest_rows,
        most=_MOST_KMERS,
    )


def _positions(column: TextColumn) -> Columns:
    raw = column.raw
    start = raw.codes[:, :_EDGE_LETTERS]
    backwards = LetterTable.of([text[: -_EDGE_LETTERS - 1 : -1] for text in column.texts], most=_EDGE_LETTERS)
    middle = raw.held[:, None] // 2 + np.arange(-_MIDDLE_LETTERS, _MIDDLE_LETTERS)
    inside = (middle >= 0) & (middle < raw.held[:, None])
    if raw.codes.shape[1]:
        middle = np.where(inside, np.take_along_axis(raw.codes, np.clip(middle, 0, raw.codes.shape[1] - 1), axis=1), 0)
    parts = [
        _at_places(start, column, [f"at position {place + 1}" for place in range(_EDGE_LETTERS)], raw.letter),
        _at_places(
            backwards.codes,
            column,
            [f"at position {place + 1} from the end" for place in range(_EDGE_LETTERS)],
            backwards.letter,
        ),
        _at_places(
            middle,
            column,
            [f"at {place - _MIDDLE_LETTERS:+d} from the middle" for place in range(2 * _MIDDLE_LETTERS)],
            raw.letter,
        ),
    ]
    if column.kind is None:
        parts.append(_edge_words(column))
    return joined(parts)


def _edge_words(column: TextColumn) -> Columns:
    names: dict[str, int] = {}
    owner, codes = [], []
    for row, text in enumerate(column.texts):
        words = _WORD.findall(text.casefold()[:_EDGE_LETTERS]), _WORD.findall(text.casefold()[-_EDGE_LETTERS:])[::-1]
        for side, some in zip(("", " from the end"), words, strict=True):
            for place, word in enumerate(some[:_EDGE_WORDS], start=1):
                owner.append(row)
                codes.append(names.setdefault(f"{word!r} as word {place}{side}", len(names)))
    spoken = list(names)
    return counted(
        np.array(owner, np.int64),
        np.array(codes, np.int64),
        len(column.texts),
        spoken.__getitem__,
        fewest_rows=column.fewest_rows,
        most=_MOST_KMERS,
    )


def _phases(column: TextColumn) -> Columns:
    """Letters by their place modulo a period, and of DNA the triplets of each reading frame."""
    table = column.folded
    rows, width = table.codes.shape
    letters = [letter for letter in table.alphabet[: _LETTERS_PHASED[column.kind]] if letter != " "]
    here = {letter: table.codes == table.alphabet.index(letter) + 1 for letter in letters}
    if column.kind == "dna":
        here |= (
            {"G or C": sum(here[letter] for letter in "gc" if letter in here) > 0} if {"g", "c"} & here.keys() else {}
        )
    held = table.codes > 0
    values = {}
    for period in _PERIODS[column.kind]:
        total = np.maximum(_by_phase(held, period), 1)
        for letter, places in here.items():
            shares = _by_phase(places, period) / total
            for phase in range(period):
                values[f"share of {letter!r} in phase {phase + 1} of {period}"] = shares[:, phase]
    parts = [numbers(*_named(values))] if values and width else []
    if column.kind == "dna":
        row, start, code = table.kmers(3)
        parts.append(
            counted(
                row,
                code * 3 + start % 3,
                rows,
                lambda one: f"{table.spell(one // 3)!r} in reading frame {one % 3 + 1}",
                fewest_rows=column.fewest_rows,
                most=_MOST_KMERS,
            )
        )
    return joined(parts) if parts else numbers(np.zeros((rows, 0)), [])


def _by_phase(places: Bool[np.ndarray, "rows letters"], period: int) -> Int[np.ndarray, "rows period"]:
    """Counts by place modulo the period."""
    padded = np.pad(places, ((0, 0), (0, -places.shape[1] % period)))
    return padded.reshape(len(places), -1, period).sum(axis=1)


def _regularities(column: TextColumn) -> Numbers:
    """Longest runs of a letter, periods, palindromes, and halves that repeat."""
    table = column.folded
    codes, held = table.codes, table.held
    rows, width = codes.shape
    values: dict[str, np.ndarray] = {}
    letters = min(len(table.alphabet), _LETTERS_COUNTED)
    longest = np.zeros((rows, 256), np.int16)
    run = np.ones(rows, np.int16)
    every = np.arange(rows)
    for place in range(width):
        now = codes[:, place]
        if place:
            run = np.where(now == codes[:, place - 1], run + 1, 1).astype(np.int16)
        longest[every, now] = np.maximum(longest[every, now], run)
    for place in range(letters):
        values[f"longest run of {table.alphabet[place]!r}"] = longest[:, place + 1]
    values["longest run of one letter"] = longest[:, 1:].max(axis=1)
    for lag in _LAGS:
        alike = (codes[:, lag:] == codes[:, :-lag]) & (codes[:, lag:] > 0) if lag < width else np.zeros((rows, 0), bool)
        values[f"share of letters repeated after {lag}"] = alike.sum(axis=1) / np.maximum(held - lag, 1)
    partners = {"": np.arange(256, dtype=np.uint8)}
    if column.kind == "dna":
        partners["reverse-complement "] = _complement_codes(table)
    for name, partner in partners.items():
        values |= _palindromes(codes, held, partner, name)
    half = held // 2
    place = np.minimum(np.arange(width) + half[:, None], max(width - 1, 0))
    alike = (np.take_along_axis(codes, place, axis=1) == codes) & (np.arange(width) < half[:, None]) if width else None
    values["share of the first half that the second repeats"] = (
        np.zeros(rows) if alike is None else alike.sum(axis=1) / np.maximum(half, 1)
    )
    return _named(values)


def _complement_codes(table: LetterTable) -> np.ndarray:
    partner = np.zeros(256, np.uint8)
    for place, letter in enumerate(table.alphabet[:254]):
        other = _COMPLEMENTS.get(letter, "")
        partner[place + 1] = table.alphabet.find(other) + 1 if other else 0
    return partner


def _palindromes(codes: np.ndarray, held: np.ndarray, partner: np.ndarray, name: str) -> dict[str, np.ndarray]:
    rows, width = codes.shape
    if width < 2:
        return {}
    mirror = np.clip(held[:, None] - 1 - np.arange(width), 0, width - 1)
    half = np.arange(width) < (held // 2)[:, None]
    alike = (np.take_along_axis(codes, mirror, axis=1) == partner[codes]) & half
    longest = np.zeros(rows, np.int64)
    for gap in (1, 2):  # even and odd palindromes: the first pair of partners is this far apart
        still = np.ones((rows, max(width - gap, 0)), bool)
        for radius in range(_PALINDROME_RADIUS):
            left, right = np.arange(still.shape[1]) - radius, np.arange(still.shape[1]) + gap + radius
            inside = (left >= 0) & (right < width)
            here, there = codes[:, np.maximum(left, 0)], codes[:, np.minimum(right, width - 1)]
            still &= inside & (here == partner[there]) & (here > 0)
            if not still.any():
                break
            longest = np.where(still.any(axis=1), np.maximum(longest, 2 * radius + gap + 1), longest)
    return {
        f"share of letters in {name}mirror symmetry": alike.sum(axis=1) / np.maximum(held // 2, 1),
        f"longest {name}palindrome": longest,
    }


def _case(column: TextColumn) -> Columns:
    raw = column.raw
    upper = np.array([False, *[letter.isupper() for letter in raw.alphabet[:254]]])
    lower = np.array([False, *[letter.islower() for letter in raw.alphabet[:254]]])
    upper, lower = (np.pad(flags, (0, 256 - flags.size))[raw.codes] for flags in (upper, lower))
    if not (upper.any() and lower.any()):
        return numbers(np.zeros((len(column.texts), 0)), [])
    cased = np.maximum((upper | lower).sum(axis=1), 1)
    values = {
        "share of capitals": upper.sum(axis=1) / cased,
        "all capitals": ~lower.any(axis=1),
        "no capitals": ~upper.any(axis=1),
        "number of capitals": upper.sum(axis=1),
        "changes of case": (upper[:, 1:] != upper[:, :-1]).sum(axis=1) / cased,
        "capital in the beginning": upper[:, 0],
        "share of words that begin with a capital": np.array(
            [np.mean([word[:1].isupper() for word in text.split()] or [0]) for text in column.texts]
        ),
    }
    places = np.where(upper, 2, 0)[:, :_EDGE_LETTERS] + np.where(lower, 1, 0)[:, :_EDGE_LETTERS]
    names = {1: "small letter", 2: "capital"}
    where = [f"at position {place + 1}" for place in range(_EDGE_LETTERS)]
    return joined([numbers(*_named(values)), _at_places(places, column, where, lambda code: names[code])])


def _characters(column: TextColumn) -> Numbers:
    texts, alphabet = column.texts, column.raw.alphabet
    counts = column.raw.counts(len(alphabet))

    def each(function: Callable[[str], float]) -> np.ndarray:
        return np.array([function(text) for text in texts], np.float64)

    def total(test: Callable[[str], bool]) -> np.ndarray:
        return counts[:, [place for place, letter in enumerate(alphabet) if test(letter)]].sum(axis=1)

    values = {
        "white space at the start": each(lambda text: len(text) - len(text.lstrip())),
        "white space at the end": each(lambda text: len(text) - len(text.rstrip())),
        "double spaces": each(lambda text: text.count("  ")),
        "digits": total(str.isdigit),
        "characters beyond ASCII": total(lambda letter: not letter.isascii()),
        "characters that are neither letter nor digit": total(lambda letter: not letter.isalnum()),
        "kind of the first character": each(lambda text: _category(text[:1])),
        "kind of the last character": each(lambda text: _category(text[-1:])),
    }
    for one in sorted(letter for letter in alphabet[: _LETTERS_COUNTED * 4] if not letter.isalnum()):
        values[f"count of {one!r}"] = counts[:, alphabet.index(one)]
        values[f"{one!r} at the end"] = each(lambda text, one=one: text.endswith(one))
    return _named(values)


def _category(letter: str) -> int:
    return 0 if not letter else 1 + "LNPSZCM".find(unicodedata.category(letter)[0])


def _words(column: TextColumn) -> Columns:
    names: dict[str, int] = {}
    owner, codes = [], []
    for row, text in enumerate(column.texts):
        words = _WORD.findall(text.casefold()[:_LONGEST_READ])
        things = [*words, *(f"{first} {second}" for first, second in itertools.pairwise(words))]
        owner += [row] * len(things)
        codes += [names.setdefault(thing, len(names)) for thing in things]
    spoken = list(names)
    return counted(
        np.array(owner, np.int64),
        np.array(codes, np.int64),
        len(column.texts),
        lambda code: repr(spoken[code]),
        fewest_rows=column.fewest_rows,
        most=_MOST_KMERS,
    )


Atoms = Mapping[str, tuple[Int[np.ndarray, " rows"], Sequence[str]]]
"""Simple features of few values: the value of every row, and what the values are called."""


def atoms(column: TextColumn) -> Atoms:
    """Returns simple features of a column, to be taken two at a time."""
    raw, shapes = column.raw, {}
    spoken = ["none", *map(repr, raw.alphabet[:254])]
    spoken += ["another letter"] * (256 - len(spoken))
    backwards = LetterTable.of([text[:-4:-1] for text in column.texts], most=3)
    spoken_backwards = ["none", *map(repr, backwards.alphabet[:254])]
    spoken_backwards += ["another letter"] * (256 - len(spoken_backwards))
    for place in range(3):
        for name, table, words in (("first", raw, spoken), ("last", backwards, spoken_backwards)):
            if place < table.codes.shape[1]:
                label = (
                    f"{name} letter"
                    if not place
                    else f"letter {place + 1} from the {'start' if name == 'first' else 'end'}"
                )
                shapes[label] = (table.codes[:, place].astype(np.int64), words)
    lengths = raw.lengths
    if lengths.size and np.ptp(lengths):
        edges = np.unique(np.quantile(lengths, (0.25, 0.5, 0.75)))
        bins = np.searchsorted(edges, lengths, side="right")
        shapes["length"] = (bins, [f"in quarter {place + 1}" for place in range(edges.size + 1)])
        for divisor in (2, 3):
            shapes[f"length modulo {divisor}"] = (lengths % divisor, list(map(str, range(divisor))))
    table, counts, shares = _shares(column)
    if counts.shape[1]:
        shapes["commonest letter"] = (counts.argmax(axis=1), list(map(repr, table.alphabet)))
    for name, members in list(_CLASSES[column.kind].items())[:2]:
        places = [table.alphabet.index(letter) for letter in members if letter in table.alphabet]
        share = shares[:, places].sum(axis=1)
        edges = np.unique(np.quantile(share, (0.25, 0.5, 0.75))) if share.size else np.zeros(0)
        bins = np.searchsorted(edges, share, side="right")
        shapes[f"share of {name}"] = (bins, [f"in quarter {place + 1}" for place in range(edges.size + 1)])
    return shapes


def crossed(first: Atoms, second: Atoms | None = None, *, names: tuple[str, str] = ("", "")) -> Columns:
    """Returns a feature for every combination of values of two simple features.

    Args:
      first: every two of these, once; or, with `second`, every one of them with every one of the others.
      second: the same of the other text.
      names: put before the names of either.
    """
    rows = next((values.size for values, _ in (*first.values(), *(second or {}).values())), 0)
    owner, codes, words = [], [], []
    for place, (one, (values, spoken)) in enumerate(first.items()):
        partners = list(first.items())[place + 1 :] if second is None else list(second.items())
        for other, (others, others_spoken) in partners:
            owner.append(np.arange(rows))
            codes.append(((len(words) << 10) | values) << 10 | others)
            words.append((f"{names[0]}{one}", spoken, f"{names[1]}{other}", others_spoken))

    def describe(code: int) -> str:
        one, spoken, other, others_spoken = words[code >> 20]
        return f"{one} {spoken[code >> 10 & 1023]} with {other} {others_spoken[code & 1023]}"

    if not words:
        return numbers(np.zeros((rows, 0)), [])
    return counted(np.concatenate(owner), np.concatenate(codes), rows, describe, fewest_rows=3, most=_MOST_KMERS)
