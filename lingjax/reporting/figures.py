"""Strips and curves of the report page."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from lingjax.reporting.svg import WIDTH, Frame, bar, draw_figure, line, number, point, words

# Name -> points (x, y).
Curves = Mapping[str, Sequence[tuple[float | int, float]]]

_LABEL_WIDTH = 116
_VALUE_WIDTH = 46
_ROW_HEIGHT = 24
_QUARTERS = (0, 0.25, 0.5, 0.75, 1)
# With more points than these, a curve is a line without marks.
_MOST_MARKS = 30


@dataclasses.dataclass(frozen=True)
class StripRow:
    """One line of a strip chart, on a scale from 0 to 1.

    `interval` is drawn as a broad bar, `outer_interval` as a thin one, `dots` as open circles; `strong` rows stand out.
    """

    label: str
    value: float | None
    interval: Sequence[float] | None = None
    outer_interval: Sequence[float] | None = None
    dots: Sequence[float] = ()
    strong: bool = False


def strip_chart(title: str, rows: Sequence[StripRow], *, reference: float) -> str:
    """Returns one line a row over a common scale from 0 to 1, with a dashed vertical line at `reference`."""
    bottom = _ROW_HEIGHT * len(rows) + 8
    frame = Frame(_LABEL_WIDTH, WIDTH - _VALUE_WIDTH, 0, bottom, (0, 1), (0, 1))
    parts = [line(frame.x(tick), 0, frame.x(tick), bottom, "grid") for tick in _QUARTERS]
    parts += [words(frame.x(tick), bottom + 14, number(tick), "tick") for tick in _QUARTERS]
    parts += [
        line(frame.left, bottom, frame.right, bottom, "axis"),
        line(frame.x(reference), 0, frame.x(reference), bottom, "reference"),
    ]
    for place, row in enumerate(rows):
        parts += _strip(row, frame, y=_ROW_HEIGHT * place + _ROW_HEIGHT / 2 + 2)
    return draw_figure(title, "; ".join(map(_in_words, rows)), parts, height=bottom + 18)


def _strip(row: StripRow, frame: Frame, *, y: float) -> list[str]:
    kind = "model" if row.strong else "control"
    parts = [words(frame.left - 8, y + 4, row.label, f"label {kind}")]
    if row.interval:
        low, high = map(frame.x, row.interval)
        parts.append(bar(low, y - 5, high - low, 10, f"bar {kind}"))
    if row.outer_interval:
        low, high = map(frame.x, row.outer_interval)
        parts.append(line(low, y, high, y, f"whisker {kind}"))
    parts += [point(frame.x(dot), y, "dot") for dot in row.dots]
    if row.value is not None:
        parts.append(bar(frame.x(row.value) - 1, y - 7, 2, 14, f"mean {kind}"))
        parts.append(words(WIDTH, y + 4, f"{row.value:.3f}", f"value {kind}"))
    return parts


def line_chart(
    title: str,
    groups: Mapping[str, Curves],
    *,
    x_name: str,
    y_bounds: tuple[float, float] | None = None,
    reference: float | None = None,
) -> str:
    """Returns curves over common scales; empty if no point is finite.

    Args:
      title: what the vertical axis shows.
      groups: name -> its curves, which share colour and dash; a legend names the groups if there are several.
      x_name: what the horizontal axis counts, from 0.
      y_bounds: of the vertical axis; by default from 0 to the largest finite value.
      reference: where a dashed horizontal line lies.
    """
    finite = {
        group: {name: kept for name, curve in curves.items() if (kept := [p for p in curve if math.isfinite(p[1])])}
        for group, curves in groups.items()
    }
    points = [p for curves in finite.values() for curve in curves.values() for p in curve]
    if not points:
        return ""
    last = max(x for x, _ in points)
    bounds = y_bounds or (0, max(max(y for _, y in points), 1e-12))
    frame = Frame(36, WIDTH - 6, 8, 150, (0, max(last, 1e-12)), bounds)
    ticks = [bounds[0] + share * (bounds[1] - bounds[0]) for share in (_QUARTERS if y_bounds else (0, 0.5, 1))]
    parts = frame.draw_axes(x_ticks=(0, last) if last else (0,), y_ticks=ticks)
    parts.append(words((frame.left + frame.right) / 2, frame.bottom + 14, x_name, "tick"))
    if reference is not None:
        parts.append(line(frame.left, frame.y(reference), frame.right, frame.y(reference), "reference"))
    described = []
    for place, (group, curves) in enumerate(finite.items()):
        for name, curve in curves.items():
            parts += _curve(curve, frame, kind=f"series{place % 4}")
            full_name = f"{group} {name}".strip()
            described.append(f"{full_name}: {_end_in_words(curve[0])}, {_end_in_words(curve[-1])}")
    legend = [(f"curve series{place % 4}", group) for place, group in enumerate(finite) if finite[group]]
    return draw_figure(title, "; ".join(described), parts, height=frame.bottom + 20, legend=legend)


def _curve(curve: Sequence[tuple[float, float]], frame: Frame, *, kind: str) -> list[str]:
    places = [(frame.x(x), frame.y(y)) for x, y in curve]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = [f'<circle class="fill {kind}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in places]
    return [f'<polyline class="curve {kind}" points="{path}"/>', *(marks if len(marks) <= _MOST_MARKS else ())]


def _end_in_words(place: tuple[float, float]) -> str:
    return f"{place[1]:.3f} at {place[0]:g}"


def _in_words(row: StripRow) -> str:
    said = row.label
    if row.value is not None:
        said += f" {row.value:.3f}"
    if row.interval:
        said += f", interval {row.interval[0]:.3f} to {row.interval[1]:.3f}"
    if row.dots:
        said += " " + ", ".join(f"{dot:.3f}" for dot in row.dots)
    return said
