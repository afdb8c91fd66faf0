"""Where letters stand to one another: phases, periods, runs, palindromes."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Int

from lingjax.evaluation.giveaways.columns import Columns, counted, joined, numbers
from lingjax.evaluation.giveaways.letters import LetterTable
from lingjax.evaluation.giveaways.text_column import LETTERS_COUNTED, MOST_KMERS, Numbers, TextColumn, named

# A protein's helices turn every 3.6 residues, its strands every 2.
_PERIODS: Mapping[str | None, tuple[int, ...]] = {
    "dna": (2, 3, 4, 5, 6, 7, 8, 10),
    "protein": (2, 3, 4, 5, 7),
    None: (2, 3, 4),
}
_LETTERS_PHASED: Mapping[str | None, int] = {"dna": 6, "protein": 22, None: 12}
_LAGS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16, 18, 20)
_PALINDROME_RADIUS = 10
_COMPLEMENTS = {"a": "t", "c": "g", "g": "c", "t": "a", "u": "a"}


def phases(column: TextColumn) -> Columns:
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
    parts = [numbers(*named(values))] if values and width else []
    if column.kind == "dna":
        row, start, code = table.kmers(3)
        parts.append(
            counted(
                row,
                code * 3 + start % 3,
                rows,
                lambda one: f"{table.spell(one // 3)!r} in reading frame {one % 3 + 1}",
                fewest_rows=column.fewest_rows,
                most=MOST_KMERS,
            )
        )
    return joined(parts) if parts else numbers(np.zeros((rows, 0)), [])


def _by_phase(places: Bool[np.ndarray, "rows letters"], period: int) -> Int[np.ndarray, "rows period"]:
    """Counts by place modulo the period."""
    padded = np.pad(places, ((0, 0), (0, -places.shape[1] % period)))
    return padded.reshape(len(places), -1, period).sum(axis=1)


def regularities(column: TextColumn) -> Numbers:
    """Longest runs of a letter, periods, palindromes, and halves that repeat."""
    table = column.folded
    codes, held = table.codes, table.held
    rows, width = codes.shape
    values: dict[str, np.ndarray] = {}
    letters = min(len(table.alphabet), LETTERS_COUNTED)
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
    return named(values)


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
