"""Figures as people read them; page, tables and terminal write all of theirs this way."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

_MOST_DIGITS = 6
_NORMAL_95 = NormalDist().inv_cdf(0.975)


def figure(value: float | None, digits: int = 3) -> str:
    """Returns a figure for people; a dash where it is undefined.

    What is not whole never reads as if it were: 0.99975 has one digit more, "0.9998", and 0.00001 is "<0.000001".

    Args:
      value: the figure.
      digits: after the point.
    """
    if value is None:
        return "–"
    for count in range(digits, _MOST_DIGITS + 1):
        text = f"{value:.{count}f}"
        if float(text) == value or not float(text).is_integer() or abs(value) > 1:
            return text if float(text) else text.removeprefix("-")
    nearest = f"{round(value):d}"
    smallest = f"{10.0**-_MOST_DIGITS:.{_MOST_DIGITS}f}"
    if nearest in ("0", "-0"):
        return f"<{smallest}" if value > 0 else f">-{smallest}"
    sign = ">" if abs(value) < 1 else "<"
    almost = f"{1 - float(smallest):.{_MOST_DIGITS}f}"
    return f"{sign}{almost}" if value > 0 else f"<-{almost}"


def p_text(p: float) -> str:
    """Returns a p-value as `p = 0.012`.

    >>> p_text(0.0123), p_text(1e-9)
    ('p = 0.012', 'p < 0.0001')
    """
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"


def seed_share(summary: Mapping[str, Any], *, num_seeds: int) -> float | None:
    """Returns which share of the variance of a mean over seeds comes from the seeds, the rest from the items; 0 to 1.

    A large share says that more seeds would narrow the interval over both, a small one that more rows would.

    Args:
      summary: a figure's, as the report holds it; its interval over items tells the variance over items.
      num_seeds: how many seeds the mean is taken of.

    Returns:
      None with one seed, or where there is no interval.
    """
    spread, interval = summary["std_over_seeds"], summary["ci95_over_items"]
    if spread is None or interval is None or num_seeds < 2:
        return None
    over_seeds = spread**2 / num_seeds
    over_items = ((interval[1] - interval[0]) / 2 / _NORMAL_95) ** 2
    return over_seeds / (over_seeds + over_items) if over_seeds + over_items else None
