"""Figures of how alike a model represents source and target, layer by layer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lingjax.reporting.figures import Curves, line_chart
from lingjax.reporting.svg import WIDTH, Frame, draw_figure, number, point, words

PROJECTIONS = {"after": "PCA", "after_tsne": "t-SNE"}
"""Keys of the report's `projection`, the second of which earlier reports lack, and what to call them."""

NO_POINTS: Mapping[str, Sequence[Sequence[float]]] = {"source": (), "target": ()}

_STATES = ("before", "after")
_ATTENDED = {"matching": "aligned token", "same_token": "same token elsewhere", "elsewhere": "other tokens"}
_LEFT, _RIGHT = 52, WIDTH - 2
_CELL_HEIGHT = 30
# More layers than these leave no room for a figure in a cell.
_MOST_FIGURES = 14


def alignment_figures(alignment: Mapping[str, Any]) -> Iterator[str]:
    """Yields heat map, lines and scatters, as far as there are values for them.

    Args:
      alignment: as in the report.
    """
    after = alignment["states"]["after"]
    changes = {"target": after["cka"], "source": after["source_cka"]}
    yield _heat_map("CKA with the state before fine-tuning, by layer", alignment["layers"], changes)
    gaps = similarity_curves(alignment)
    # Differences of cosines are small: the axis follows them, zero in its middle.
    widest = max((abs(value) for curves in gaps.values() for _, value in curves[""]), default=1) or 1
    yield line_chart(
        "Similarity of like pairs less that of unlike ones, by layer; dashed: none",
        gaps,
        x_name="layer",
        y_bounds=(-widest, widest),
        reference=0,
    )
    yield line_chart(
        "Attention to the other sentence of a target's pair, by block, after fine-tuning",
        attention_curves(alignment),
        x_name="block",
    )
    for key, name in PROJECTIONS.items():
        yield _scatter(f"Pairs as points, after fine-tuning, {name}", alignment["projection"].get(key, NO_POINTS))


def similarity_curves(alignment: Mapping[str, Any]) -> dict[str, Curves]:
    """Returns by dataset and state how much more alike the sentences of like pairs are than those of unlike ones."""
    return {
        f"{dataset}, {state}": {"": list(curve)}
        for dataset, key in (("target", "similarity"), ("source", "source_similarity"))
        for state in _STATES
        if (curve := _known(alignment["layers"], alignment["states"].get(state, {}).get(key)))
    }


def attention_curves(alignment: Mapping[str, Any]) -> dict[str, Curves]:
    """Returns by kind of token the share of attention that it gets in the target's pairs, over blocks from 1."""
    shares = alignment["attention"]["after"]["target"] or {}
    return {
        name: {"": list(curve)}
        for key, name in _ATTENDED.items()
        if (curve := _known(range(1, len(shares.get(key) or ()) + 1), shares.get(key)))
    }


def _known(places: Sequence[int], values: Sequence[float | None] | None) -> list[tuple[int, float]]:
    return [(place, value) for place, value in zip(places, values or (), strict=False) if value is not None]


def _heat_map(title: str, layers: Sequence[int], values: Mapping[str, Sequence[float | None] | None]) -> str:
    known = {name: row for name, row in values.items() if row and any(one is not None for one in row)}
    if not known:
        return ""
    width = (_RIGHT - _LEFT) / len(layers)
    parts, said = [], []
    for place, (name, row) in enumerate(known.items()):
        y = _CELL_HEIGHT * place
        parts.append(words(_LEFT - 6, y + 18, name, "label control"))
        for column, (layer, value) in enumerate(zip(layers, row, strict=True)):
            x = _LEFT + width * column
            shade = "" if value is None else f' style="--share:{max(value, 0):.3f}"'
            parts.append(
                f'<rect class="cell" x="{x:.1f}" y="{y}" width="{width - 1:.1f}" height="{_CELL_HEIGHT - 2}"{shade}>'
                f"<title>layer {layer}: {_figure(value)}</title></rect>"
            )
            if len(layers) <= _MOST_FIGURES:
                shown = _figure(value).removeprefix("0")
                parts.append(words(x + width / 2, y + 18, shown, "tick cell"))
        said.append(f"{name}: {', '.join(map(_figure, row))}")
    bottom = _CELL_HEIGHT * len(known)
    every = -(-len(layers) // _MOST_FIGURES)
    for column in range(0, len(layers), every):
        parts.append(words(_LEFT + width * (column + 0.5), bottom + 12, str(layers[column]), "tick"))
    parts.append(words(_LEFT - 8, bottom + 12, "layer", "label control"))
    return draw_figure(title, "; ".join(said), parts, height=bottom + 18)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _scatter(title: str, rows: Mapping[str, Sequence[Sequence[float]]]) -> str:
    source, target = rows["source"], rows["target"]
    xs, ys = zip(*((row[0], row[1]) for row in [*source, *target]), strict=True) if source or target else ((), ())
    if not xs:
        return ""
    # One scale for both directions, so that distances can be compared.
    half = max(max(xs) - min(xs), max(ys) - min(ys)) / 2 * 1.04
    x, y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    frame = Frame(WIDTH / 2 - 130, WIDTH / 2 + 130, 4, 264, (x - half, x + half), (y - half, y + half))
    parts = frame.draw_axes()
    parts += [point(frame.x(row[0]), frame.y(row[1]), "scatter source") for row in source]
    parts += [point(frame.x(row[0]), frame.y(row[1]), f"scatter label{row[2]}") for row in target]
    counts = [sum(row[2] == label for row in target) for label in (0, 1)]
    return draw_figure(
        title,
        f"{len(source):,} rows of the source; of the target {counts[0]:,} with label 0, {counts[1]:,} with label 1; "
        f"axes from {number(x - half)} to {number(x + half)} and {number(y - half)} to {number(y + half)}",
        parts,
        height=270,
        legend=[
            ("scatter source", "source"),
            ("scatter label0", "target, label 0"),
            ("scatter label1", "target, label 1"),
        ],
    )
