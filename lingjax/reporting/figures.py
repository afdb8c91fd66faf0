"""Figures as hand-written inline SVG: no script, colours by CSS class, described in words for screen readers."""

import dataclasses
import html
import math
from collections.abc import Mapping, Sequence

# Name -> points (x, y).
Curves = Mapping[str, Sequence[tuple[float | int, float]]]

# About the width of a phone's screen, so that text keeps its size there; wider screens set figures side by side.
_WIDTH = 360
_LABEL_WIDTH = 112
_VALUE_WIDTH = 46
_ROW_HEIGHT = 24


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
    left, right = _LABEL_WIDTH, _WIDTH - _VALUE_WIDTH
    bottom = _ROW_HEIGHT * len(rows) + 8
    parts = [_axis(left, right, bottom), _line(_at(reference), 0, _at(reference), bottom, "reference")]
    for number, row in enumerate(rows):
        y = _ROW_HEIGHT * number + _ROW_HEIGHT / 2 + 2
        kind = "model" if row.strong else "control"
        parts.append(f'<text class="label {kind}" x="{left - 8}" y="{y + 4:g}">{html.escape(row.label)}</text>')
        if row.interval:
            low, high = map(_at, row.interval)
            parts.append(f'<rect class="bar {kind}" x="{low:.1f}" y="{y - 5:g}" width="{high - low:.1f}" height="10"/>')
        if row.outer_interval:
            parts.append(_line(_at(row.outer_interval[0]), y, _at(row.outer_interval[1]), y, f"whisker {kind}"))
        parts += [f'<circle class="dot" cx="{_at(dot):.1f}" cy="{y:g}" r="3.5"/>' for dot in row.dots]
        if row.value is not None:
            parts.append(
                f'<rect class="mean {kind}" x="{_at(row.value) - 1:.1f}" y="{y - 7:g}" width="2" height="14"/>'
            )
            parts.append(f'<text class="value {kind}" x="{_WIDTH}" y="{y + 4:g}">{row.value:.3f}</text>')
    return _figure(title, "; ".join(map(_in_words, rows)), parts, height=bottom + 18)


def line_chart(title: str, curves: Curves) -> str:
    """Returns the curves over common scales; x from 0, y from 0 to the largest finite value."""
    points = [point for curve in curves.values() for point in curve if math.isfinite(point[1])]
    if not points:
        return ""
    left, right, top, bottom = 36, _WIDTH - 6, 8, 150
    last, largest = max(max(x for x, _ in points), 1e-12), max(max(y for _, y in points), 1e-12)
    parts = [_line(left, bottom, right, bottom, "axis"), _line(left, top, left, bottom, "axis")]
    parts += [
        f'<text class="tick" x="{left}" y="{bottom + 14}">0</text>',
        f'<text class="tick" x="{right - 12}" y="{bottom + 14}">{last:g}</text>',
        f'<text class="label control" x="{left - 5}" y="{top + 4}">{largest:.2f}</text>',
        f'<text class="label control" x="{left - 5}" y="{bottom}">0</text>',
    ]
    described = []
    for number, (name, curve) in enumerate(curves.items()):
        finite = [(x, y) for x, y in curve if math.isfinite(y)]
        if not finite:
            continue
        path = " ".join(
            f"{left + (right - left) * x / last:.1f},{bottom - (bottom - top) * y / largest:.1f}" for x, y in finite
        )
        parts.append(
            f'<polyline class="curve" style="opacity:{max(0.35, 1 - 0.15 * number):.2f}" points="{path}">'
            f"<title>{html.escape(name)}</title></polyline>"
        )
        described.append(f"{name}: {finite[0][1]:.3f} at {finite[0][0]:g}, {finite[-1][1]:.3f} at {finite[-1][0]:g}")
    return _figure(title, "; ".join(described), parts, height=bottom + 20)


def _figure(title: str, description: str, parts: Sequence[str], *, height: int) -> str:
    label = html.escape(f"{title}. {description}", quote=True)
    return (
        f'<figure><figcaption>{html.escape(title)}</figcaption><svg role="img" aria-label="{label}" '
        f'viewBox="0 0 {_WIDTH} {height:g}"><title>{html.escape(title)}</title>{"".join(parts)}</svg></figure>\n'
    )


def _axis(left: int, right: int, bottom: int) -> str:
    ticks = "".join(
        _line(_at(tick), 0, _at(tick), bottom, "grid")
        + f'<text class="tick" x="{_at(tick):g}" y="{bottom + 14:g}">{tick:g}</text>'
        for tick in (0, 0.25, 0.5, 0.75, 1)
    )
    return ticks + _line(left, bottom, right, bottom, "axis")


def _line(x1: float | int, y1: float | int, x2: float | int, y2: float | int, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:g}" x2="{x2:.1f}" y2="{y2:g}"/>'


def _at(value: float | int) -> float | int:
    return _LABEL_WIDTH + (_WIDTH - _VALUE_WIDTH - _LABEL_WIDTH) * value


def _in_words(row: StripRow) -> str:
    words = row.label
    if row.value is not None:
        words += f" {row.value:.3f}"
    if row.interval:
        words += f", interval {row.interval[0]:.3f} to {row.interval[1]:.3f}"
    if row.dots:
        words += " " + ", ".join(f"{dot:.3f}" for dot in row.dots)
    return words
