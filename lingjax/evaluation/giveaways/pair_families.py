"""Families of features that read both texts: what these share is what a task of pairs is about, so no give-aways."""

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from lingjax.evaluation.giveaways.columns import Columns, counted, joined, numbers
from lingjax.evaluation.giveaways.crossed import atoms, crossed
from lingjax.evaluation.giveaways.text_column import TextColumn

_LETTERS_COMPARED = 24
_CASES = ("mixed", "small", "capital")
_MOST_SHARED_KMERS = 5000


def pair_families(first: TextColumn, second: TextColumn) -> Iterator[tuple[str, Columns]]:
    """Yields the families of both columns together, by name."""
    yield "lengths of both", numbers(*_lengths(first, second))
    yield "likeness of both", numbers(*_likeness(first, second))
    yield "differences of letters", numbers(*_letter_differences(first, second))
    yield "runs of letters in both", _shared_kmers(first, second)
    yield (
        "simple features of one text with those of the other",
        crossed(atoms(first), atoms(second), names=("text 1's ", "text 2's ")),
    )


def unlike_features(first: TextColumn, second: TextColumn) -> Columns:
    """Returns features of one text with other ones of the other text, which no likeness of the two explains.

    The letters at the ends of one with the length of the other, and the case of both: of like texts ends are like ends,
    lengths like lengths, and case is no part of what they say.
    """
    parts = []
    for (here, one), (there, other) in itertools.permutations((("text 1's ", first), ("text 2's ", second))):
        every, others = atoms(one), atoms(other)
        ends = {name: values for name, values in every.items() if name in ("first letter", "last letter")}
        lengths = {name: values for name, values in others.items() if name.startswith("length")}
        parts.append(crossed(ends, lengths, names=(here, there)))
    cases = [{"case": (_case_class(column), _CASES)} for column in (first, second)]
    return joined([*parts, crossed(*cases, names=("text 1's ", "text 2's "))])


def _case_class(column: TextColumn) -> Int[np.ndarray, " rows"]:
    return np.array([2 if text.isupper() else 1 if text.islower() else 0 for text in column.texts], np.int64)


def _lengths(first: TextColumn, second: TextColumn) -> tuple[np.ndarray, list[str]]:
    one, other = first.raw.lengths.astype(np.float64), second.raw.lengths.astype(np.float64)
    longer = np.maximum(one, other)
    values = {
        "length of text 1 less that of text 2": one - other,
        "difference of lengths": np.abs(one - other),
        "shorter length over longer": np.divide(
            np.minimum(one, other), longer, out=np.ones_like(one), where=longer > 0
        ),
        "sum of lengths": one + other,
    }
    return np.stack(list(values.values()), axis=1), list(values)


def _likeness(first: TextColumn, second: TextColumn) -> tuple[np.ndarray, list[str]]:
    from rapidfuzz.distance import Indel

    one, other = _same_alphabet(first, second)
    width = min(one.shape[1], other.shape[1])
    alike = (one[:, :width] == other[:, :width]) & (one[:, :width] > 0)
    held = np.maximum(np.minimum(first.folded.held, second.folded.held), 1)
    values = {
        "share of equal letters at equal positions": alike.sum(axis=1) / held,
        "equal first letter": alike[:, 0] if width else np.zeros(len(one)),
        "equal texts": np.array([a == b for a, b in zip(first.texts, second.texts, strict=True)]),
        "edit similarity": np.array(
            [Indel.normalized_similarity(a[:400], b[:400]) for a, b in zip(first.texts, second.texts, strict=True)]
        ),
        "same letters in another order": np.array(
            [
                a != b and len(a) == len(b) and sorted(a) == sorted(b)
                for a, b in zip(first.texts, second.texts, strict=True)
            ]
        ),
    }
    return np.stack([np.asarray(value, np.float64) for value in values.values()], axis=1), list(values)


def _same_alphabet(first: TextColumn, second: TextColumn) -> tuple[np.ndarray, np.ndarray]:
    """Returns both columns' codes in the first one's alphabet; letters that it lacks are 255."""
    translate = np.zeros(256, np.uint8)
    for place, letter in enumerate(second.folded.alphabet[:254]):
        known = first.folded.alphabet.find(letter)
        translate[place + 1] = known + 1 if 0 <= known < 254 else 254
    return first.folded.codes, translate[second.folded.codes]


def _letter_differences(first: TextColumn, second: TextColumn) -> tuple[np.ndarray, list[str]]:
    letters = [one for one in first.folded.alphabet[:_LETTERS_COMPARED] if one != " "]
    letters = [one for one in letters if one in second.folded.alphabet[:254]]
    counts = []
    for column in (first, second):
        every = column.folded.counts(min(len(column.folded.alphabet), 254))
        counts.append(every[:, [column.folded.alphabet.index(letter) for letter in letters]].astype(np.float64))
    lengths = [np.maximum(column.folded.lengths, 1)[:, None] for column in (first, second)]
    shares = np.abs(counts[0] / lengths[0] - counts[1] / lengths[1])
    values = np.concatenate([np.abs(counts[0] - counts[1]), shares, shares.sum(axis=1, keepdims=True)], axis=1)
    names = [f"difference of the counts of {letter!r}" for letter in letters]
    names += [f"difference of the shares of {letter!r}" for letter in letters]
    return values, [*names, "difference of all shares"]


def _shared_kmers(first: TextColumn, second: TextColumn) -> Columns:
    """Returns how many runs both texts have, over those of the one with fewer, and which."""
    one, other = _same_alphabet(first, second)
    rows = one.shape[0]
    parts, shares, names = [], [], []
    for size in (2, 3, 4, 6):
        held = []
        for codes, column in ((one, first), (other, second)):
            windows = codes.shape[1] - size + 1
            if windows < 1:
                held.append(np.zeros(0, np.int64))
                continue
            packed = np.zeros((rows, windows), np.int64)
            for offset in range(size):
                packed = packed << 8 | codes[:, offset : offset + windows]
            row, start = np.nonzero(np.arange(windows) < (column.folded.held - size + 1)[:, None])
            held.append(_distinct(row << 48 | packed[row, start]))
        everything = np.sort(np.concatenate(held), kind="stable")
        both = everything[:-1][everything[1:] == everything[:-1]]
        counts = [np.bincount(some >> 48, minlength=rows) for some in (*held, both)]
        shares.append(counts[2] / np.maximum(np.minimum(counts[0], counts[1]), 1))
        names.append(f"share of runs of {size} letters in both")
        if size in (3, 4):
            parts.append(
                counted(
                    both >> 48,
                    both & (1 << 48) - 1,
                    rows,
                    lambda code: f"{first.folded.spell(code)!r} in both",
                    fewest_rows=first.fewest_rows,
                    most=_MOST_SHARED_KMERS,
                )
            )
    return joined([numbers(np.stack(shares, axis=1), names), *parts])


def _distinct(codes: Int[np.ndarray, " codes"]) -> Int[np.ndarray, " distinct"]:
    """Returns the codes in order, each once; numpy's `unique` hashes, which takes longer."""
    codes = np.sort(codes)
    return codes[np.concatenate([[True], codes[1:] > codes[:-1]])] if codes.size else codes
