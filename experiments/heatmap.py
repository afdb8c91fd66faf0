"""The matrix of tasks as a picture: AUROC by source and target."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lingjax.files import write_text
from lingjax.reporting.numbers import figure as in_digits

_INCHES = 1.1  # of a field
_PALE = 0.3  # distance from chance up to which black letters can be read


def draw_heatmap(path: Path, tasks: Sequence[str], by_pair: Mapping[tuple[str, str], dict[str, Any]]) -> None:
    """Draws an SVG; equal values give equal bytes.

    Args:
      path: where the file lies.
      tasks: names, in the order of rows (sources) and columns (targets).
      by_pair: by source and target `auroc` and `above_best_control`; a field that is missing stays grey.
    """
    import matplotlib

    # What is set on this machine decides nothing.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Letters stay text, and ids do not change from run to run.
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lingjax"})
        _draw(path, tasks, by_pair)


def _draw(path: Path, tasks: Sequence[str], by_pair: Mapping[tuple[str, str], dict[str, Any]]) -> None:
    import numpy as np
    from matplotlib.figure import Figure

    size = len(tasks)
    auroc = np.full((size, size), np.nan)
    figure = Figure(figsize=(_INCHES * size + 2.6, _INCHES * size + 1.8), layout="constrained")
    axes = figure.subplots()
    for row, source in enumerate(tasks):
        for column, target in enumerate(tasks):
            entry = by_pair.get((source, target))
            if entry is None or entry["auroc"] is None:
                continue
            auroc[row, column] = entry["auroc"]
            above = bool(entry["above_best_control"])
            colour = "black" if abs(entry["auroc"] - 0.5) < _PALE else "white"
            text = in_digits(entry["auroc"], digits=2) + (" *" if above else "")
            weight = "bold" if above else "normal"
            axes.text(column, row, text, ha="center", va="center", color=colour, weight=weight)
    # White is chance; blue ranks as the labels do, red the other way round.
    image = axes.imshow(auroc, cmap="RdBu", vmin=0, vmax=1)
    axes.set_facecolor("lightgrey")
    axes.set_xticks(range(size), tasks, rotation=30, ha="right")
    axes.set_yticks(range(size), tasks)
    axes.set_xlabel("target")
    axes.set_ylabel("fine-tuned on")
    axes.set_title("AUROC; * above the best control", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.8)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    write_text(path, drawn.getvalue())
