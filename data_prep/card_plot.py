"""The plot of a card: how long the texts are, what they are made of and how alike they are, by label."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_prep.pair_audit import LABELS, Measured

# Distinct for colour-blind readers and in grey. Source: Okabe and Ito, https://jfly.uni-koeln.de/color/
_COLOURS = {0: "#E69F00", 1: "#0072B2"}
_NAMES = {0: "label 0", 1: "label 1"}
_ALPHABETS = {"dna": "DNA", "protein": "protein", "text": "text"}
_UNITS = {"dna": "nucleotides", "protein": "residues", "text": "characters"}
_BINS = 40
_LEAST_FRACTION_WIDTH = 0.02  # of a bin of shares
_ROUNDING = 1e-9
_INCHES = (4.2, 3.0)  # of one panel
_DOTS_PER_INCH = 110


def draw_distributions(path: Path, title: str, measured: Measured) -> None:
    """Draws a panel for each distribution that the dataset has; equal values give equal bytes.

    Args:
      path: the PNG.
      title: what stands above all.
      measured: the values.
    """
    import matplotlib

    # What is set on this machine decides nothing.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        _draw(path, title, measured)


def _draw(path: Path, title: str, measured: Measured) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _choose_panels(measured)
    columns = {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(_INCHES[0] * columns, _INCHES[1] * rows + 0.5), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_panel(axes, *panel)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    figure.savefig(path, format="png", metadata={"Software": None})


def _choose_panels(measured: Measured) -> list[tuple[str, str, Mapping[int, np.ndarray], float | None]]:
    """Returns title, label of the x axis, values by label, and for shares the step between two possible values."""
    panels, step = [], _common_step(measured)
    for number, (column, values) in enumerate(measured.lengths.items(), start=1):
        alphabet = measured.alphabets[column]
        panels.append((f"Length of text {number} ({_ALPHABETS[alphabet]})", _UNITS[alphabet], values, None))
    for column, values in measured.gc.items():
        panels.append((f"GC content of text {column[-1]}", "share of G and C", values, step))
    # Pairs that do not align have no identity, and hold 0 in its stead; one value is no distribution.
    aligned = {label: values[values > 0] for label, values in measured.identity.items()}
    if len(np.unique([value for values in aligned.values() for value in values])) > 1:
        panels.append(("Identity of aligned pairs", "share of equal letters", aligned, step))
    return panels


def _draw_panel(axes, title: str, unit: str, values: Mapping[int, np.ndarray], step: float | None) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    present = {label: values[label] for label in LABELS if label in values and values[label].size}
    together = np.concatenate([*present.values()])
    edges = _choose_edges(together, step)
    for label, of_label in present.items():
        # Shares, not counts: where one label is rarer, its distribution can still be compared.
        weights = np.full(of_label.size, 100 / of_label.size)
        style = {"bins": edges, "weights": weights, "color": _COLOURS[label]}
        axes.hist(of_label, histtype="stepfilled", alpha=0.25, **style)
        axes.hist(of_label, histtype="step", linewidth=1.6, label=f"{_NAMES[label]} (n = {of_label.size:,})", **style)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(unit, fontsize=9)
    axes.set_ylabel("rows of the label (%)", fontsize=9)
    axes.set_xlim(edges[0], edges[-1])
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=step is None))
    if step is not None:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_yticks([tick for tick in axes.get_yticks() if tick <= 100])
    axes.set_ylim(0, axes.get_ylim()[1] * 1.22)  # room for the legend
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)


def _choose_edges(values: np.ndarray, step: float | None) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if step is None:
        # Bins of whole letters, with a value in the middle and two empty bins to each side.
        width = max(int(np.ceil((high - low + 1) / _BINS)), 1)
        return np.arange(low - 0.5 - 2 * width, high + 2.5 * width + 1, width)
    width = np.ceil(_LEAST_FRACTION_WIDTH / step - _ROUNDING) * step
    first, last = np.floor(low / width + _ROUNDING), np.ceil(high / width - _ROUNDING)
    edges = np.arange(first - 1, last + 2) * width
    # A value on an edge belongs to the bin above it, whatever it was rounded to; above 1 there is none.
    edges = edges[(edges > -_ROUNDING) & (edges < 1 - _ROUNDING)] - _ROUNDING
    return np.append(edges, min((last + 1) * width, 1.0) + _ROUNDING)


def _common_step(measured: Measured) -> float:
    """Returns the step between possible shares in texts of one length: bins of other widths would show a comb."""
    lengths = np.concatenate([values for by_label in measured.lengths.values() for values in by_label.values()])
    return 1 / lengths[0] if np.ptp(lengths) == 0 else _LEAST_FRACTION_WIDTH
