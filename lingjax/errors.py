"""The one exception that means: the input is wrong, the program is not."""

import difflib
from collections.abc import Iterable, Sequence


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
