"""What sequences of both alphabets have in common: their case and the check of their letters."""

import re

from data_prep.tally import Tally


def raise_letters(letters: str, tally: Tally) -> str:
    """Returns a sequence in upper case and counts the letters that were not: in genomes, repeats are masked so."""
    raised = letters.upper()
    if raised != letters:
        lower = sum(letters.count(letter) for letter in set(letters) if letter.islower())
        tally.add("changed", "lower-case letters raised", lower)
    return raised


def describe_foreign_letters(letters: str, alphabet: str) -> str:
    """Returns a text about the characters outside an alphabet, or "" if there are none.

    >>> describe_foreign_letters("ACGEE", "ACGT")
    "'E' at letter 4 and 1 more are not among ACGT"
    """
    places = re.finditer(f"[^{re.escape(alphabet)}]", letters)
    first = next(places, None)
    if first is None:
        return ""
    others = sum(1 for _ in places)
    more = f" and {others:,} more are" if others else " is"
    return f"{first[0]!r} at letter {first.start() + 1:,}{more} not among {alphabet}"
