"""The figures of a report as files, PNG and SVG, for papers and slides; equal reports give equal bytes."""

from collections.abc import Iterator, Mapping
from typing import Any

from etils import epath

from lingjax.reporting.alignment_figures import NO_POINTS, PROJECTIONS, attention_curves, similarity_curves
from lingjax.reporting.panels import BLUE, GREY, ORANGE, Panel, write_figure
from lingjax.reporting.report import TransferReport
from lingjax.reporting.table import model_name
from lingjax.reporting.target_section import few_shot_curves, learning_curves, source_name, strip_rows


def write_plots(folder: epath.PathLike, reports: Mapping[str, TransferReport]) -> list[epath.Path]:
    """Writes `NAME.PLOT.png` and `.svg` for every plot that a report has values for, and returns the paths.

    Plots: `scores`; `bands`, `calibration`, `learning_curve`, `sample_efficiency` and `alignment` where the report has
    them.

    Args:
      folder: made if need be.
      reports: by the start of their files' names.
    """
    written = []
    for name, report in reports.items():
        title = f"{model_name(report.model)}: {_transfer(report)}"
        for plot, panels in _plots(report):
            written += write_figure(epath.Path(folder), f"{name}.{plot}", title=title, panels=panels)
    return written


def _transfer(report: TransferReport) -> str:
    return f"{source_name(report)} → {report.target['dataset']}" + (" (synthetic)" if report.synthetic else "")


def _plots(report: TransferReport) -> Iterator[tuple[str, list[Panel]]]:
    """Yields name and panels of every plot that has something to show."""
    found = {
        "scores": [_strips(report, "auroc"), _strips(report, "accuracy")],
        "bands": [_bands(name, bands) for name, bands in (report.bands or {}).items() if bands],
        "calibration": [_reliability(report.calibration)] if _filled(report.calibration) else [],
        "learning_curve": [_learning(title, curves, reference) for title, curves, reference in learning_curves(report)],
        "sample_efficiency": [_few_shots(curves)] if (curves := few_shot_curves(report)) else [],
        "alignment": list(_alignment(report.alignment)) if report.alignment else [],
    }
    for plot, panels in found.items():
        if panels:
            yield plot, panels


def _strips(report: TransferReport, metric: str) -> Panel:
    rows, reference = strip_rows(report, metric)

    def draw(axes: Any) -> None:
        axes.axvline(reference, color=GREY, linestyle="--", linewidth=0.8)
        for place, row in enumerate(rows):
            colour = BLUE if row.strong else GREY
            if row.interval:
                low, high = row.interval
                axes.barh(place, high - low, left=low, height=0.45, color=colour, alpha=0.35)
            if row.outer_interval:
                axes.hlines(place, *row.outer_interval, color=colour, linewidth=1.2)
            if row.value is not None:
                axes.plot(row.value, place, "|", color=colour, markersize=13, markeredgewidth=2)
            axes.plot(row.dots, [place] * len(row.dots), "o", color=BLUE, markerfacecolor="none", markersize=5)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.set_title("AUROC (dashed: chance)" if metric == "auroc" else "Accuracy (dashed: commoner label)")

    return draw


def _bands(name: str, bands: list[Mapping[str, Any]]) -> Panel:
    def draw(axes: Any) -> None:
        places = range(len(bands))
        for place, band in enumerate(bands):
            if band["ci95"]:
                axes.vlines(place, *band["ci95"], color=BLUE, linewidth=5, alpha=0.3)
        for metric, style in (
            ("auroc", {"marker": "_", "color": BLUE}),
            ("accuracy", {"marker": "o", "color": ORANGE}),
        ):
            known = [place for place, band in enumerate(bands) if band[metric] is not None]
            label = "AUROC [95 % interval]" if metric == "auroc" else metric
            values = [bands[place][metric] for place in known]
            axes.plot(known, values, linestyle="", markersize=9, fillstyle="none", label=label, **style)
        axes.axhline(0.5, color=GREY, linestyle="--", linewidth=0.8)
        labels = [f"{band['low']:.3g}–{band['high']:.3g}\nn={band['rows']:,}" for band in bands]
        axes.set_xticks(places, labels, fontsize=7, rotation=0 if len(bands) <= 6 else 90)
        axes.set_ylim(0, 1)
        axes.set_title(f"By {name} (dashed: chance)")
        axes.legend(frameon=False, fontsize=8)

    return draw


def _filled(bins: list[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    return [one for one in bins or [] if one["rows"] and None not in (one["confidence"], one["accuracy"])]


def _reliability(bins: list[Mapping[str, Any]]) -> Panel:
    def draw(axes: Any) -> None:
        start, filled = min(0.5, *(one["low"] for one in bins)), _filled(bins)
        axes.plot([start, 1], [start, 1], color=GREY, linestyle="--", linewidth=0.8)
        most = max(one["rows"] for one in filled)
        for one in filled:  # a tenth of the height is the fullest bin
            axes.bar(
                (one["low"] + one["high"]) / 2,
                0.1 * one["rows"] / most,
                width=one["high"] - one["low"],
                color=GREY,
                alpha=0.4,
            )
        axes.plot([one["confidence"] for one in filled], [one["accuracy"] for one in filled], "o-", color=BLUE)
        axes.set(xlim=(start, 1), ylim=(0, 1), xlabel="predicted probability of the chosen class", ylabel="accuracy")
        axes.set_title(f"Reliability (bars: rows, at most {most:,})")

    return draw


def _learning(title: str, curves: Mapping[str, Any], reference: float | None) -> Panel:
    def draw(axes: Any) -> None:
        for name, curve in curves.items():
            axes.plot(*zip(*curve, strict=True), marker=".", linewidth=1, label=name)
        if reference is not None:
            axes.axhline(reference, color=GREY, linestyle="--", linewidth=0.8)
        axes.set(ylim=(0, 1), xlabel="step")
        axes.set_title(title)
        axes.legend(frameon=False, fontsize=7, ncols=2)

    return draw


def _few_shots(groups: Mapping[str, Mapping[str, Any]]) -> Panel:
    def draw(axes: Any) -> None:
        for (start, curves), colour in zip(groups.items(), (BLUE, ORANGE), strict=False):
            for place, curve in enumerate(curves.values()):
                label = None if place else start
                axes.plot(*zip(*curve, strict=True), marker=".", color=colour, linewidth=1, label=label)
        shots = sorted({shots for curves in groups.values() for curve in curves.values() for shots, _ in curve})
        axes.axhline(0.5, color=GREY, linestyle="--", linewidth=0.8)
        axes.set_xscale("symlog", base=2, linthresh=max(shots[1] if len(shots) > 1 else 1, 1))
        axes.set_xticks(shots, [str(each) for each in shots])
        axes.set(ylim=(0, 1), xlabel="training pairs of the target")
        axes.set_title("AUROC after fine-tuning on the target (dashed: chance)")
        axes.legend(frameon=False, fontsize=8)

    return draw


def _alignment(alignment: Mapping[str, Any]) -> Iterator[Panel]:
    after = alignment["states"]["after"]
    changes = {
        name: {"": [place for place in zip(alignment["layers"], row, strict=True) if place[1] is not None]}
        for name, row in (("target", after["cka"]), ("source", after["source_cka"]))
        if row
    }
    for title, curves, x_name in (
        ("CKA with the state before fine-tuning", changes, "layer"),
        ("Similarity of like pairs less that of unlike ones", similarity_curves(alignment), "layer"),
        ("Attention to the other sentence, target, after", attention_curves(alignment), "block"),
    ):
        if curves:
            yield _by_layer(title, curves, x_name)
    for key, name in PROJECTIONS.items():
        rows = alignment["projection"].get(key, NO_POINTS)
        if rows["source"] or rows["target"]:
            yield _scatter(f"Pairs, after fine-tuning, {name}", rows)


def _by_layer(title: str, groups: Mapping[str, Any], x_name: str) -> Panel:
    def draw(axes: Any) -> None:
        for name, curves in groups.items():
            axes.plot(*zip(*curves[""], strict=True), marker=".", label=name)
        axes.set(xlabel=x_name)
        axes.set_title(title)
        axes.legend(frameon=False, fontsize=8)

    return draw


def _scatter(title: str, rows: Mapping[str, list[list[float]]]) -> Panel:
    def draw(axes: Any) -> None:
        groups = {"source": [row[:2] for row in rows["source"]]} | {
            f"target, label {label}": [row[:2] for row in rows["target"] if row[2] == label] for label in (0, 1)
        }
        for (name, points), marker, colour in zip(groups.items(), "os^", (GREY, BLUE, ORANGE), strict=True):
            if points:
                axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=3, alpha=0.6, label=name)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set(xticks=[], yticks=[])
        axes.set_title(title)
        axes.legend(frameon=False, fontsize=8)

    return draw
