"""Families of features that read one text alone: what should not tell the label of a pair, however well it is read."""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Int

from lingjax.evaluation.giveaways.columns import Columns, counted, joined, numbers
from lingjax.evaluation.giveaways.crossed import atoms, crossed
from lingjax.evaluation.giveaways.letters import LetterTable
from lingjax.evaluation.giveaways.text_column import (
    LETTER_CLASSES,
    LETTERS_COUNTED,
    LONGEST_READ,
    MOST_KMERS,
    Numbers,
    TextColumn,
    letter_shares,
    named,
)
from lingjax.evaluation.giveaways.text_structure import phases, regularities

_EDGE_LETTERS = 256
_MIDDLE_LETTERS = 8
_EDGE_WORDS = 4
_LETTERS_COMPARED = 12
_WORD = re.compile(r"\w+|[^\w\s]")
_BRACKETS = "()[]{}<>"


def text_families(column: TextColumn) -> Iterator[tuple[str, Columns]]:
    """Yields the families of one column, by name."""
    yield "length", numbers(*_lengths(column))
    yield "letters", _composition(column)
    yield "letters counted against each other", _comparisons(column)
    for sizes in ((2,), (3, 4), (5, 6)):
        yield f"runs of {' and '.join(map(str, sizes))} letters", _kmers(column, sizes)
    yield "letters at fixed positions", _positions(column)
    yield "letters by phase", phases(column)
    yield "repeats and symmetry", numbers(*regularities(column))
    yield "case", _case(column)
    yield "spaces, digits and punctuation", numbers(*_characters(column))
    if column.kind is None:
        yield "words and pairs of words", _words(column)
    yield "two simple features together", crossed(atoms(column))


def _lengths(column: TextColumn) -> Numbers:
    letters = column.raw.lengths
    values = {"length": letters}
    if column.kind is None:
        values["number of words"] = np.array([len(text.split()) for text in column.texts])
    return named(values | {f"length modulo {divisor}": letters % divisor for divisor in (2, 3, 4, 5, 10)})


def _composition(column: TextColumn) -> Columns:
    table, counts, shares = letter_shares(column)
    letters = [place for place, letter in enumerate(table.alphabet[:LETTERS_COUNTED]) if letter != " "]
    values = {f"share of {table.alphabet[place]!r}": shares[:, place] for place in letters}
    for name, members in LETTER_CLASSES[column.kind].items():
        places = [table.alphabet.index(letter) for letter in members if letter in table.alphabet]
        values[f"share of {name}"] = shares[:, places].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        values["evenness of letters"] = -np.nansum(np.where(shares > 0, shares * np.log2(shares), 0), axis=1)
    values["number of different letters"] = (counts > 0).sum(axis=1)
    values |= {f"count of {table.alphabet[place]!r}": counts[:, place] for place in letters}
    return numbers(*named(values))


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
    return numbers(*named(values))


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
                most=MOST_KMERS,
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
        most=MOST_KMERS,
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
        most=MOST_KMERS,
    )


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
    return joined([numbers(*named(values)), _at_places(places, column, where, lambda code: names[code])])


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
    for one in sorted(letter for letter in alphabet[: LETTERS_COUNTED * 4] if not letter.isalnum()):
        values[f"count of {one!r}"] = counts[:, alphabet.index(one)]
        values[f"{one!r} at the end"] = each(lambda text, one=one: text.endswith(one))
    return named(values)


def _category(letter: str) -> int:
    return 0 if not letter else 1 + "LNPSZCM".find(unicodedata.category(letter)[0])


def _words(column: TextColumn) -> Columns:
    names: dict[str, int] = {}
    owner, codes = [], []
    for row, text in enumerate(column.texts):
        words = _WORD.findall(text.casefold()[:LONGEST_READ])
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
        most=MOST_KMERS,
    )
