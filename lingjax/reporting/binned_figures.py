"""Figures of what is measured in bins: by a property of the pairs, and by predicted probability."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from lingjax.reporting.svg import WIDTH, Frame, bar, draw_figure, line, number, point, words

_LEFT, _RIGHT = 44, WIDTH - 12
_WIDEST_BAR = 60
_MOST_LIMITS = 8
_QUARTERS = (0, 0.25, 0.5, 0.75, 1)


def band_chart(title: str, bands: Sequence[Mapping[str, Any]]) -> str:
    """Returns AUROC with interval and accuracy of every band, above bars of its rows; empty without bands.

    Args:
      title: what the bands are of.
      bands: as in the report's `bands`.
    """
    if not bands:
        return ""
    frame = Frame(_LEFT, _RIGHT, 8, 130, (0, len(bands)), (0, 1))
    parts = [*frame.draw_axes(y_ticks=_QUARTERS), line(_LEFT, frame.y(0.5), _RIGHT, frame.y(0.5), "reference")]
    for place, band in enumerate(bands):
        x = frame.x(place + 0.5)
        if band["ci95"] is not None:
            low, high = map(frame.y, band["ci95"])
            parts.append(bar(x - 4, high, 8, low - high, "bar model"))
        if band["auroc"] is not None:
            parts.append(bar(x - 7, frame.y(band["auroc"]) - 1, 14, 2, "mean model"))
        if band["accuracy"] is not None:
            parts.append(point(x, frame.y(band["accuracy"]), "dot second"))
    parts += _row_bars(bands, [frame.x(place + 0.5) for place in range(len(bands))], top=146, width=0.6)
    parts += _band_limits(bands, frame)
    return draw_figure(
        title,
        "; ".join(map(_band_in_words, bands)),
        parts,
        height=212,
        legend=[("mean model", "AUROC [95 % interval]"), ("dot second", "accuracy")],
    )


def reliability_diagram(title: str, bins: Sequence[Mapping[str, Any]]) -> str:
    """Returns accuracy over predicted probability with the diagonal of honest ones, above bars of the bins' rows.

    Args:
      title: the caption.
      bins: as in the report's `calibration`; empty bins leave a gap.
    """
    filled = [one for one in bins if one["rows"] and None not in (one["confidence"], one["accuracy"])]
    if not filled:
        return ""
    start = min(0.5, *(one["low"] for one in bins))
    frame = Frame(_LEFT, _RIGHT, 8, 130, (start, 1), (0, 1))
    ticks = [start + share * (1 - start) for share in _QUARTERS]
    parts = frame.draw_axes(y_ticks=_QUARTERS)
    parts.append(line(frame.x(start), frame.y(start), frame.x(1), frame.y(1), "reference"))
    for one in filled:
        x = frame.x(one["confidence"])
        parts.append(line(x, frame.y(one["accuracy"]), x, frame.y(one["confidence"]), "whisker second"))
    path = " ".join(f"{frame.x(one['confidence']):.1f},{frame.y(one['accuracy']):.1f}" for one in filled)
    parts.append(f'<polyline class="curve series0" points="{path}"/>')
    parts += [point(frame.x(one["confidence"]), frame.y(one["accuracy"]), "fill series0") for one in filled]
    narrowest = min(frame.x(one["high"]) - frame.x(one["low"]) for one in bins)
    centres = [frame.x((one["low"] + one["high"]) / 2) for one in bins]
    parts += _row_bars(bins, centres, top=146, width=0.8, slot=narrowest)
    parts += [words(frame.x(tick), 194, number(tick), "tick") for tick in ticks]
    parts.append(words((_LEFT + _RIGHT) / 2, 207, "predicted probability of the chosen class", "tick"))
    said = "; ".join(
        f"{one['low']:.2f} to {one['high']:.2f}: accuracy {one['accuracy']:.3f}, {one['rows']:,} rows" for one in filled
    )
    return draw_figure(title, said, parts, height=214)


def _band_limits(bands: Sequence[Mapping[str, Any]], frame: Frame) -> list[str]:
    """Returns the limits between adjoining bands, every so many if they are many; else each band's own two."""
    if any(one["high"] != after["low"] for one, after in itertools.pairwise(bands)):
        return [
            words(frame.x(place + 0.5), y, text, "tick")
            for place, band in enumerate(bands)
            for y, text in ((194, f"{number(band['low'])} to"), (207, number(band["high"])))
        ]
    limits = [*(band["low"] for band in bands), bands[-1]["high"]]
    every = -(-len(limits) // _MOST_LIMITS)
    return [words(frame.x(place), 194, number(limits[place]), "tick") for place in range(0, len(limits), every)]


def _row_bars(
    bins: Sequence[Mapping[str, Any]], centres: Sequence[float], *, top: float, width: float, slot: float | None = None
) -> list[str]:
    """Returns bars of the rows on a scale of their own, 34 high, the largest one's count beside it."""
    most = max(max(one["rows"] for one in bins), 1)
    slot = slot or (_RIGHT - _LEFT) / len(bins)
    across = min(slot * width, _WIDEST_BAR)
    bottom = top + 34
    parts = [words(_LEFT - 5, top + 8, _short(most), "label control"), line(_LEFT, bottom, _RIGHT, bottom, "axis")]
    parts.append(words(_LEFT - 5, bottom, "rows", "label control"))
    for one, centre in zip(bins, centres, strict=True):
        height = 34 * one["rows"] / most
        parts.append(bar(centre - across / 2, bottom - height, across, height, "rows"))
    return parts


def _short(rows: int) -> str:
    return f"{rows / 1000:.3g}k" if rows >= 10_000 else f"{rows:,}"


def _band_in_words(band: Mapping[str, Any]) -> str:
    said = f"{number(band['low'])} to {number(band['high'])}: {band['rows']:,} rows"
    for metric in ("auroc", "accuracy"):
        if band[metric] is not None:
            said += f", {'AUROC' if metric == 'auroc' else metric} {band[metric]:.3f}"
    return said
