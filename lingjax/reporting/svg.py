"""Parts of hand-written inline SVG: no script, colours and fonts by CSS class, every figure described in words."""

import dataclasses
import html
from collections.abc import Iterable, Sequence

# About the width of a phone's screen, so that text keeps its size there; wider screens set figures side by side.
WIDTH = 360


def draw_figure(
    title: str, description: str, parts: Iterable[str], *, height: float, legend: Sequence[tuple[str, str]] = ()
) -> str:
    """Returns a `<figure>` with caption, SVG and legend; texts are escaped here.

    Args:
      title: the caption, and the start of what a screen reader says.
      description: what can be seen, in words and figures.
      parts: SVG elements.
      height: of the SVG, where its width is `WIDTH`.
      legend: CSS class of a mark and its name; one mark alone needs none.
    """
    label = html.escape(f"{title}. {description}", quote=True)
    entries = "".join(
        f'<li><svg class="mark" viewBox="0 0 22 10" aria-hidden="true">{_mark(kind)}</svg>{html.escape(name)}</li>'
        for kind, name in legend
    )
    return (
        f'<figure><figcaption>{html.escape(title)}</figcaption><svg role="img" aria-label="{label}" '
        f'viewBox="0 0 {WIDTH} {height:g}">{"".join(parts)}</svg>'
        + (f'<ul class="legend">{entries}</ul>' if len(legend) > 1 else "")
        + "</figure>\n"
    )


def _mark(kind: str) -> str:
    if kind.startswith("curve"):
        return line(1, 5, 21, 5, kind)
    if kind.startswith("mean"):
        return bar(4, 4, 14, 2, kind)
    return point(11, 5, kind)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Returns a straight line of a CSS class."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Returns a rectangle of a CSS class."""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def point(x: float, y: float, kind: str) -> str:
    """Returns a mark of a CSS class; the classes `label0` and `label1` are a square and a triangle, others circles."""
    if "label0" in kind:
        return bar(x - 2.5, y - 2.5, 5, 5, kind)
    if "label1" in kind:
        return f'<path class="{kind}" d="M{x:.1f} {y - 3.5:.1f}l3.5 6.2h-7z"/>'
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'


def words(x: float, y: float, content: str, kind: str) -> str:
    """Returns an escaped text of a CSS class."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{html.escape(content)}</text>'


def number(value: float) -> str:
    """Returns a short figure for an axis, at most three digits after which none matters."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@dataclasses.dataclass(frozen=True)
class Frame:
    """A rectangle of the figure and the values that its sides stand for."""

    left: float
    right: float
    top: float
    bottom: float
    x_bounds: tuple[float, float]
    y_bounds: tuple[float, float]

    def x(self, value: float) -> float:
        """Where a value of the horizontal axis lies."""
        return self.left + (self.right - self.left) * _share(value, self.x_bounds)

    def y(self, value: float) -> float:
        """Where a value of the vertical axis lies."""
        return self.bottom - (self.bottom - self.top) * _share(value, self.y_bounds)

    def draw_axes(self, *, x_ticks: Sequence[float] = (), y_ticks: Sequence[float] = ()) -> list[str]:
        """Returns both axes, ticks below (the last ends at the right side) and to the left, and a horizontal grid."""
        parts = []
        for tick in y_ticks:
            y = self.y(tick)
            parts += [
                line(self.left, y, self.right, y, "grid"),
                words(self.left - 5, y + 4, number(tick), "label control"),
            ]
        for tick in x_ticks:
            kind = "tick end" if tick == self.x_bounds[1] else "tick"
            parts.append(words(self.x(tick), self.bottom + 14, number(tick), kind))
        return [
            *parts,
            line(self.left, self.bottom, self.right, self.bottom, "axis"),
            line(self.left, self.top, self.left, self.bottom, "axis"),
        ]


def _share(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return (value - low) / (high - low) if high > low else 0.5
