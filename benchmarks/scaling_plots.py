"""The growth of cost as plots: SVG, logarithmic axes, equal results give equal bytes."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib
from etils import epath
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from lingjax.files import write_text

# Distinct for colour-blind readers and in grey. Source: Okabe and Ito, https://jfly.uni-koeln.de/color/
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#7f7f7f"
_COLOURS = {"data": _ORANGE, "fsdp": _BLUE, "data x fsdp": _GREEN}
_GIB = 2**30
_INCHES = (3.6, 3.0)  # of one panel
_AXIS_NAMES = {"length": "sequence length, tokens", "parameters": "parameters", "rows": "rows of a batch"}

_Panel = Callable[[Axes], None]


def draw_scaling(folder: epath.PathLike, result: Mapping[str, Any]) -> list[epath.Path]:
    """Writes `PART.svg` for every part of a result that has points, and returns the paths."""
    panels = {"step": _step_panels, "pods": _pods_panels, "input": _input_panels}
    written = []
    # What is set on this machine decides nothing; letters stay text, so files stay small.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lingjax", "font.size": 8})
        for part, make in panels.items():
            rows = [row for row in make(result[part]) if row] if part in result else []
            if rows:
                path = epath.Path(folder) / f"{part}.svg"
                write_text(path, _draw(rows))
                written.append(path)
    return written


def _draw(rows: Sequence[Sequence[_Panel]]) -> str:
    columns = max(map(len, rows))
    figure = Figure(figsize=(_INCHES[0] * columns, _INCHES[1] * len(rows)), layout="constrained", facecolor="white")
    for panels, row in zip(rows, figure.subplots(len(rows), columns, squeeze=False), strict=True):
        for panel, axes in zip(panels, row, strict=True):
            panel(axes)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return drawn.getvalue()


def _step_panels(step: Mapping[str, Any]) -> Iterator[list[_Panel]]:
    """Time above, memory below, a column for each thing that varies."""
    curves = {axis: curve for axis, curve in step["curves"].items() if curve["points"]}
    yield [_time_panel(axis, curve) for axis, curve in curves.items()]
    yield [_memory_panel(axis, curve) for axis, curve in curves.items()]


def _time_panel(axis: str, curve: Mapping[str, Any]) -> _Panel:
    points = curve["points"]
    x = [point[axis] for point in points]

    def draw(axes: Axes) -> None:
        _draw_spread(axes, x, [point["seconds"] for point in points], name="measured, least to most")
        _draw_law(axes, x, curve["time"])
        flops = [point["flops"] for point in points]
        # Theory says how cost grows, not what it is: one factor brings it to the measured level.
        factor = points[-1]["seconds"]["median"] / flops[-1]
        exponent = curve["theory_exponent"]
        name = "6N + 12LdT" if exponent is None else f"6N + 12LdT: exponent {exponent:.2f}"
        axes.plot(x, [factor * each for each in flops], ":", color=_GREY, label=name)
        _set_axes(axes, x, _AXIS_NAMES[axis], "seconds a step")

    return draw


def _memory_panel(axis: str, curve: Mapping[str, Any]) -> _Panel:
    points = curve["points"]
    x = [point[axis] for point in points]

    def draw(axes: Axes) -> None:
        memory = [point["peak_memory_bytes"] / _GIB for point in points]
        axes.plot(x, memory, "o", color=_BLUE, markersize=4, label="compiled")
        _draw_law(axes, x, curve["memory"], unit=_GIB)
        _set_axes(axes, x, _AXIS_NAMES[axis], "peak memory, GiB")

    return draw


def _pods_panels(pods: Mapping[str, Any]) -> Iterator[list[_Panel]]:
    cells = pods["cells"]
    values = {
        "peak memory of a chip, GiB": [cell["memory"] and cell["memory"]["peak_bytes"] / _GIB for cell in cells],
        "a chip sends in a step, GB": [cell["sent_bytes"] / 1e9 or None for cell in cells],
    }
    panels = [_pods_panel(name, cells, each) for name, each in values.items() if any(each)]
    if any(cell["efficiency"] for cell in cells):
        panels.append(_efficiency_panel(cells))
    yield panels


def _pods_panel(name: str, cells: Sequence[Mapping[str, Any]], values: Sequence[float | None]) -> _Panel:
    def draw(axes: Axes) -> None:
        for kind in _COLOURS:
            known = [(cell["chips"], y) for cell, y in zip(cells, values, strict=True) if cell["kind"] == kind and y]
            if known:
                axes.plot(*zip(*known, strict=True), "o-", color=_COLOURS[kind], markersize=4, label=kind)
        _set_axes(axes, sorted({cell["chips"] for cell in cells}), "chips", name)
        axes.set_yscale("linear")
        axes.set_ylim(bottom=0)

    return draw


def _efficiency_panel(cells: Sequence[Mapping[str, Any]]) -> _Panel:
    estimates = [cell["efficiency"] or {"in_turns": None, "overlapped": None} for cell in cells]
    in_turns = _pods_panel("share of a step that computes", cells, [each["in_turns"] for each in estimates])

    def draw(axes: Axes) -> None:
        in_turns(axes)
        for kind in _COLOURS:
            overlapped = [
                (cell["chips"], each["overlapped"])
                for cell, each in zip(cells, estimates, strict=True)
                if cell["kind"] == kind and cell["efficiency"]
            ]
            if overlapped:
                axes.plot(*zip(*overlapped, strict=True), ":", color=_COLOURS[kind])
        axes.set_ylim(top=1.05)
        axes.set_title("Communication in turns; dotted: overlapped", fontsize=8)

    return draw


def _input_panels(read: Mapping[str, Any]) -> Iterator[list[_Panel]]:
    points = read["points"]
    hosts = [point["hosts"] for point in points]

    def one(axes: Axes) -> None:
        rates = [point["tokens_per_second_of_a_host"] for point in points]
        _draw_spread(axes, hosts, rates, unit=1e6, name="a host, slowest to fastest")
        _set_axes(axes, hosts, "hosts", "million tokens a second of one host")
        axes.set_yscale("linear")
        axes.set_ylim(bottom=0)

    def together(axes: Axes) -> None:
        rates = [point["tokens_per_second_together"] / 1e6 for point in points]
        axes.plot(hosts, rates, "o", color=_BLUE, markersize=4, label="all hosts")
        _draw_law(axes, hosts, read["together_law"], unit=1e6)
        axes.plot(hosts, [rates[0] / hosts[0] * each for each in hosts], ":", color=_GREY, label="exponent 1")
        _set_axes(axes, hosts, "hosts", "million tokens a second together")

    yield [one, together]


def _draw_spread(
    axes: Axes, x: Sequence[float], spreads: Sequence[Mapping[str, float]], *, unit: float = 1, name: str
) -> None:
    """Draws medians with bars from least to most."""
    middle = [each["median"] / unit for each in spreads]
    reach = [
        [(each["median"] - each["min"]) / unit for each in spreads],
        [(each["max"] - each["median"]) / unit for each in spreads],
    ]
    axes.errorbar(x, middle, yerr=reach, fmt="o", color=_BLUE, markersize=4, label=name)


def _draw_law(axes: Axes, x: Sequence[float], law: Mapping[str, Any] | None, *, unit: float = 1) -> None:
    if law is None:
        return
    error = "" if law["standard_error"] is None else f" ± {law['standard_error']:.2f}"
    y = [law["coefficient"] / unit * each ** law["exponent"] for each in x]
    axes.plot(x, y, "-", color=_BLUE, linewidth=1, label=f"fit: exponent {law['exponent']:.2f}{error}")


def _set_axes(axes: Axes, x: Sequence[float], x_name: str, y_name: str) -> None:
    """Makes both axes logarithmic, with plain numbers and, along x, a tick at every point."""
    axes.set(xscale="log", yscale="log", xlabel=x_name, ylabel=y_name)
    axes.set_xticks(x, [f"{each / 1e6:.3g} M" if each >= 1e6 else f"{each:,}" for each in x])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
