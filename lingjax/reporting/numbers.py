"""Figures as people read them; page, tables and terminal write all of theirs this way."""

_MOST_DIGITS = 6


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
