"""The one exception that means: the input is wrong, the program is not."""

import difflib
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class InputError(ValueError):
    """A user's file, flag or configuration cannot be used; commands print its text as one line and exit with 2.

    The text says what is wrong and where (file, record, key), what was expected, and the next move.
    """


def raise_problems(heading: str, problems: Sequence[str], *, shown: int = 10) -> None:
    """Raises one `InputError` that lists every problem found; does nothing if there are none.

    Args:
      heading: what was being read, for example the path of a file.
      problems: one text a problem, each naming its own place.
      shown: how many problems the message spells out; the others are counted.
    """
    if not problems:
        return
    listed = "; ".join(problems[:shown])
    more = f"; and {len(problems) - shown} more" if len(problems) > shown else ""
    raise InputError(f"{heading}: {listed}{more}")


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Returns the end of an error message: the nearest allowed name, or all of them.

    >>> nearest("trian", ["train", "test"])
    "did you mean 'train'?"
    >>> nearest("zzz", ["train", "test"])
    'choose one of: test, train'
    """
    allowed = sorted(allowed)
    close = difflib.get_close_matches(name, allowed, n=1)
    return f"did you mean '{close[0]}'?" if close else "choose one of: " + ", ".join(allowed)


def first_line(error: object, *, most_characters: int = 200) -> str:
    """Returns the first line of an error's text, or its type's name where it has no text.

    >>> first_line(ValueError("disk full\\nand more"))
    'disk full'
    >>> first_line(ValueError())
    'ValueError'
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:most_characters]


def printable(text: str) -> str:
    r"""Returns a text in which nothing moves a terminal's cursor, colours it, or turns the direction of reading.

    >>> printable("a\x1b[2Jb\u202ec\nd")
    'a\\x1b[2Jb\\u202ec\nd'
    """
    return "".join(
        each if each in "\n\t" or unicodedata.category(each) not in ("Cc", "Cf") else ascii(each)[1:-1] for each in text
    )


def range_problems(
    numbers: Mapping[str, Any],
    *,
    above_0: Iterable[str] = (),
    at_least_1: Iterable[str] = (),
    not_negative: Iterable[str] = (),
    below_1: Iterable[str] = (),
) -> list[str]:
    """Returns what is wrong with named numbers, one text a problem, for `raise_problems`.

    >>> range_problems({"steps": 0, "rate": 0.5, "epsilon": float("inf")}, at_least_1=["steps"], above_0=["epsilon"])
    ['epsilon=inf must be finite', 'steps=0 must be at least 1']

    Args:
      numbers: by name; `vars(self)` of a dataclass.
      above_0: names of those that are positive.
      at_least_1: names of counts.
      not_negative: names of those that may be 0.
      below_1: names of those that are at least 0 and less than 1.
    """
    kinds = [
        (above_0, lambda value: value > 0, "must be positive"),
        (at_least_1, lambda value: value >= 1, "must be at least 1"),
        (not_negative, lambda value: value >= 0, "must not be negative"),
        (below_1, lambda value: 0 <= value < 1, "must be at least 0 and less than 1"),
    ]
    problems = []
    for names, holds, wanted in kinds:
        for name in names:
            value = numbers[name]
            if not holds(value):
                problems.append(f"{name}={value} {wanted}")
            elif value == math.inf:
                problems.append(f"{name}={value} must be finite")
    return problems
