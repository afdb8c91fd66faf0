"""Strips, curves, bands, reliability, heat maps and scatters: each is described once, as a `Picture`."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from lingjax.reporting.numbers import figure
from lingjax.reporting.panels import ACCENT, FAINT, FOURTH, MUTED, SECOND, THIRD, WIDTH, Picture

# Name -> points (x, y).
Curves = Mapping[str, Sequence[tuple[float | int, float]]]

_STYLES = ((ACCENT, "-"), (SECOND, (0, (5, 2))), (THIRD, (0, (1.5, 1.5))), (FOURTH, (0, (6, 2, 1.5, 2))))
# With more points than these, a curve is a line without marks.
_MOST_MARKS = 30
# More layers than these leave no room for a figure in a cell.
_MOST_FIGURES = 14
_MOST_UPRIGHT_BANDS = 4
_NARROWEST = 0.2  # share of the scale from 0 to 1 that an axis shows at least


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


def strip_chart(title: str, rows: Sequence[StripRow], *, reference: float) -> Picture:
    """Returns one line a row over a common scale, with a dashed vertical line at `reference`.

    The scale is the part of 0 to 1 that holds everything drawn.
    """
    shown = [value for row in rows for value in (row.value, *row.dots) if value is not None]
    shown += [end for row in rows for interval in (row.interval, row.outer_interval) for end in interval or ()]

    def draw(axes: Any) -> None:
        axes.axvline(reference, color=MUTED, linestyle=(0, (3, 3)), linewidth=1)
        for place, row in enumerate(rows):
            _draw_strip(axes, row, place)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(_zoom([*shown, reference]))
        axes.grid(axis="x")
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        axes.locator_params(axis="x", nbins=6)

    return Picture(title, "; ".join(map(_in_words, rows)), draw, height=22 * len(rows) + 34)


def _draw_strip(axes: Any, row: StripRow, place: int) -> None:
    colour = ACCENT if row.strong else FAINT
    if row.interval:
        low, high = row.interval
        axes.barh(place, high - low, left=low, height=0.45, color=colour, alpha=0.3)
    if row.outer_interval:
        axes.hlines(place, *row.outer_interval, color=colour, linewidth=1.4)
    if row.value is not None:
        axes.plot([row.value] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=2)
        style = {"color": "black", "fontweight": "bold"} if row.strong else {"color": MUTED}
        axes.text(
            1.02, place, figure(row.value), transform=axes.get_yaxis_transform(), va="center", clip_on=False, **style
        )
    # Circles that would hide each other stand one above the other.
    step = 0.5 / max(len(row.dots) - 1, 1)
    heights = [place - 0.25 + step * number if len(row.dots) > 1 else place for number in range(len(row.dots))]
    axes.plot(row.dots, heights, "o", color=ACCENT, markerfacecolor="none", markersize=5)


def line_chart(
    title: str,
    groups: Mapping[str, Curves],
    *,
    x_name: str,
    share: bool = False,
    reference: float | None = None,
    by_name: bool = False,
    x_from: float | None = None,
) -> Picture | None:
    """Returns curves over common scales; None if no point is finite.

    Args:
      title: what the vertical axis shows.
      groups: name -> its curves, which share colour and dash; a legend names the groups if there are several.
      x_name: what the horizontal axis counts.
      share: whether values are shares, from 0 to 1, of which the axis shows the part that holds all curves.
      reference: where a dashed horizontal line lies.
      by_name: whether each curve of the only group has a style and a legend of its own.
      x_from: where the horizontal axis begins; by default at the first point.
    """
    if by_name:
        groups = {name: {"": curve} for curves in groups.values() for name, curve in curves.items()}
    finite = {
        group: {name: kept for name, curve in curves.items() if (kept := [p for p in curve if math.isfinite(p[1])])}
        for group, curves in groups.items()
    }
    points = [p for curves in finite.values() for curve in curves.values() for p in curve]
    if not points:
        return None

    def draw(axes: Any) -> None:
        if reference is not None:
            axes.axhline(reference, color=MUTED, linestyle=(0, (3, 3)), linewidth=1)
        for place, (group, curves) in enumerate(finite.items()):
            colour, dash = _STYLES[place % len(_STYLES)]
            for number, curve in enumerate(curves.values()):
                axes.plot(
                    *zip(*curve, strict=True),
                    color=colour,
                    linestyle=dash,
                    linewidth=1.5,
                    marker="o" if len(curve) <= _MOST_MARKS else "",
                    markersize=3.5,
                    label="_" if number else group,
                )
        xs = sorted({x for x, _ in points})
        axes.set_xlabel(x_name)
        if x_from is not None:
            axes.set_xlim(left=x_from)
        if all(float(x).is_integer() for x in xs):
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y")
        if share:
            axes.set_ylim(_zoom([y for _, y in points] + ([] if reference is None else [reference])))
        _add_legend(axes, [group for group in finite if finite[group]])

    described = [
        f"{f'{group} {name}'.strip()}: {_end_in_words(curve[0])}, {_end_in_words(curve[-1])}"
        for group, curves in finite.items()
        for name, curve in curves.items()
    ]
    return Picture(title, "; ".join(described), draw)


def band_chart(title: str, bands: Sequence[Mapping[str, Any]]) -> Picture | None:
    """Returns AUROC with interval and accuracy of every band; None without bands.

    A band without an interval has too few rows of a label, so that its AUROC gets no mark.

    Args:
      title: what the bands are of.
      bands: as in the report's `bands`.
    """
    if not bands:
        return None
    upright = len(bands) <= _MOST_UPRIGHT_BANDS

    def draw(axes: Any) -> None:
        axes.axhline(0.5, color=MUTED, linestyle=(0, (3, 3)), linewidth=1)
        judged = [place for place, band in enumerate(bands) if _is_judged(band)]
        for place in judged:
            low, high = bands[place]["ci95"]
            axes.bar(place, high - low, bottom=low, width=0.16, color=ACCENT, alpha=0.3)
        aurocs = [bands[place]["auroc"] for place in judged]
        axes.plot(judged, aurocs, "_", color=ACCENT, markersize=14, markeredgewidth=2, label="AUROC [95 % interval]")
        known = [place for place, band in enumerate(bands) if band["accuracy"] is not None]
        axes.plot(
            known,
            [bands[place]["accuracy"] for place in known],
            "o",
            color=SECOND,
            markerfacecolor="none",
            markersize=6,
            label="accuracy",
        )
        texts = [_band_label(band, "\n" if upright else "; ") for band in bands]
        axes.set_xticks(range(len(bands)), texts, fontsize=9, rotation=0 if upright else 90)
        axes.set(ylim=(-0.02, 1.02), xlim=(-0.6, len(bands) - 0.4))
        axes.grid(axis="y")
        _add_legend(axes, ["AUROC [95 % interval]", "accuracy"], below=50 if upright else 150)

    return Picture(title, "; ".join(map(_band_in_words, bands)), draw, height=240 if upright else 340)


def _is_judged(band: Mapping[str, Any]) -> bool:
    return band["auroc"] is not None and band["ci95"] is not None


def _label_counts(band: Mapping[str, Any]) -> str:
    counts = band.get("label_counts")
    return f"{counts['0']:,} + {counts['1']:,}" if counts else ""


def _band_label(band: Mapping[str, Any], between: str) -> str:
    limits = f"{short_number(band['low'])} to {short_number(band['high'])}"
    return between.join(filter(None, [limits, f"n={band['rows']:,}", _label_counts(band)]))


def reliability_diagram(title: str, bins: Sequence[Mapping[str, Any]]) -> Picture | None:
    """Returns accuracy over predicted probability with the diagonal of honest ones, above bars of the bins' rows.

    Args:
      title: the caption.
      bins: as in the report's `calibration`; empty bins leave a gap.
    """
    filled = [one for one in bins if one["rows"] and None not in (one["confidence"], one["accuracy"])]
    if not filled:
        return None
    start, most = min(0.5, *(one["low"] for one in bins)), max(one["rows"] for one in filled)

    def draw(axes: Any) -> None:
        axes.plot([start, 1], [start, 1], color=MUTED, linestyle=(0, (3, 3)), linewidth=1)
        for one in filled:  # a fifth of the height is the fullest bin
            middle, across = (one["low"] + one["high"]) / 2, one["high"] - one["low"]
            axes.bar(middle, 0.2 * one["rows"] / most, width=0.9 * across, color=FAINT, alpha=0.35)
            axes.vlines(one["confidence"], *sorted((one["accuracy"], one["confidence"])), color=SECOND, linewidth=1.4)
        axes.plot(
            [one["confidence"] for one in filled], [one["accuracy"] for one in filled], "o-", color=ACCENT, markersize=4
        )
        axes.set(xlim=(start, 1.005), ylim=(0, 1.02), xlabel="predicted probability of the chosen class")
        axes.set_ylabel(f"accuracy; bars: rows, at most {most:,}", fontsize=9)
        axes.grid(axis="y")

    said = "; ".join(
        f"{one['low']:.2f} to {one['high']:.2f}: accuracy {figure(one['accuracy'])}, {one['rows']:,} rows"
        for one in filled
    )
    return Picture(title, said, draw)


def heat_map(title: str, layers: Sequence[int], values: Mapping[str, Sequence[float | None] | None]) -> Picture | None:
    """Returns a row of cells for each name with values, a column a layer, darker where the value is larger."""
    known = {name: row for name, row in values.items() if row and any(one is not None for one in row)}
    if not known:
        return None

    def draw(axes: Any) -> None:
        for place, row in enumerate(known.values()):
            for column, value in enumerate(row):
                axes.bar(
                    column, 0.94, bottom=place - 0.47, width=0.96, color=ACCENT, alpha=0.55 * min(max(value or 0, 0), 1)
                )
                if len(layers) <= _MOST_FIGURES:
                    shown = _cell(value).replace("0.", ".") if len(layers) > 6 else _cell(value)
                    axes.text(column, place, shown, ha="center", va="center", fontsize=9)
        every = -(-len(layers) // _MOST_FIGURES)
        axes.set_xticks(range(0, len(layers), every), [str(layer) for layer in layers[::every]])
        axes.set_yticks(range(len(known)), list(known))
        axes.set(xlabel="layer", xlim=(-0.5, len(layers) - 0.5), ylim=(len(known) - 0.5, -0.5))
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    said = "; ".join(f"{name}: {', '.join(map(_cell, row))}" for name, row in known.items())
    return Picture(title, said, draw, height=30 * len(known) + 46)


def scatter(title: str, rows: Mapping[str, Sequence[Sequence[float]]]) -> Picture | None:
    """Returns source and target pairs as points, both axes on one scale; None if there are none."""
    source, target = rows["source"], rows["target"]
    if not source and not target:
        return None
    groups = {"source": source} | {f"target, label {label}": [p for p in target if p[2] == label] for label in (0, 1)}

    def draw(axes: Any) -> None:
        for (name, points), mark, colour in zip(groups.items(), "os^", (FAINT, ACCENT, SECOND), strict=True):
            if points:
                xs, ys = [point[0] for point in points], [point[1] for point in points]
                style = {"markerfacecolor": "none"} if name == "source" else {"alpha": 0.7}
                axes.plot(xs, ys, mark, color=colour, markersize=4, label=name, **style)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set(xticks=[], yticks=[])
        _add_legend(axes, [name for name in groups if groups[name]], below=16)

    counts = [len(groups[f"target, label {label}"]) for label in (0, 1)]
    said = f"{len(source):,} rows of the source; of the target {counts[0]:,} with label 0, {counts[1]:,} with label 1"
    return Picture(title, said, draw, height=290)


def short_number(value: float) -> str:
    """Returns a short figure for an axis, at most three digits after which none matters."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _zoom(values: Sequence[float]) -> tuple[float, float]:
    """Returns the part of 0 to 1 that holds the values with some room, never less than a fifth."""
    low, high = min(values), max(values)
    spare = max((_NARROWEST - (high - low)) / 2, 0.06 * (high - low))
    low, high = low - spare, high + spare
    if low < -0.02:
        low, high = -0.02, max(high, _NARROWEST)
    if high > 1.02:
        low, high = min(low, 1 - _NARROWEST), 1.02
    return low, high


def _add_legend(axes: Any, names: Sequence[str], *, below: float = 34) -> None:
    """Names what is drawn in several styles, below the axes, in as many columns as fit; `below` is in points."""
    if len(names) < 2:
        return
    width = 5.6 * max(map(len, names)) + 40
    height = axes.figure.get_size_inches()[1] * 72
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.45, -below / (0.7 * height)),
        ncols=max(1, min(len(names), int((WIDTH - 10) / width))),
        columnspacing=1.2,
    )


def _end_in_words(place: tuple[float, float]) -> str:
    return f"{figure(place[1])} at {place[0]:g}"


def _in_words(row: StripRow) -> str:
    said = row.label
    if row.value is not None:
        said += f" {figure(row.value)}"
    if row.interval:
        said += f", interval {figure(row.interval[0])} to {figure(row.interval[1])}"
    if row.dots:
        said += " " + ", ".join(map(figure, row.dots))
    return said


def _band_in_words(band: Mapping[str, Any]) -> str:
    said = f"{short_number(band['low'])} to {short_number(band['high'])}: {band['rows']:,} rows"
    if counts := band.get("label_counts"):
        said += f" ({counts['0']:,} with label 0, {counts['1']:,} with label 1)"
    if _is_judged(band):
        said += f", AUROC {figure(band['auroc'])} [{figure(band['ci95'][0])}, {figure(band['ci95'][1])}]"
    else:
        said += ", too few rows of a label for an AUROC"
    return said + ("" if band["accuracy"] is None else f", accuracy {figure(band['accuracy'])}")


def _cell(value: float | None) -> str:
    return "–" if value is None else figure(value, digits=2)
