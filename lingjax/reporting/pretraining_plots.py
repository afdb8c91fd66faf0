"""The curves of a pretraining run, a picture a domain, beside what models that only count lose."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from etils import epath

from lingjax.reporting.numbers import figure as in_digits
from lingjax.reporting.panels import ACCENT, FAINT, SECOND, Panel, Picture, write_pictures


class _Curve(NamedTuple):
    """One line of a panel: the key after the domain's name, and how it is drawn."""

    key: str
    label: str
    style: Mapping[str, Any]


class _Plot(NamedTuple):
    """What a panel shows of a domain: curves over the steps, and figures that training does not change."""

    name: str
    unit: str
    curves: Sequence[_Curve]
    yardsticks: Sequence[_Curve]


_HELD_OUT = {"color": ACCENT, "marker": "."}
_PLOTS = (
    _Plot(
        "loss",
        "nats a predicted token",
        [
            _Curve("training_loss", "training", {"color": FAINT, "linewidth": 0.8}),
            _Curve("loss", "held out", _HELD_OUT),
        ],
        [_Curve("unigram_loss", "token frequencies", {"color": SECOND, "linestyle": "--"})],
    ),
    _Plot(
        "bits_per_character",
        "bits a character",
        [_Curve("bits_per_character", "held out", _HELD_OUT)],
        [
            _Curve("composition_bits_per_character", "character frequencies", {"color": SECOND, "linestyle": "--"}),
            _Curve("markov_bits_per_character", "Markov model", {"color": FAINT, "linestyle": ":"}),
        ],
    ),
)


def write_pretraining_plots(
    folder: epath.PathLike, metrics: Sequence[Mapping[str, Any]], *, title: str
) -> list[epath.Path]:
    """Writes `loss` and, where it is known, `bits_per_character` as PNG and SVG, and returns the paths.

    Args:
      folder: made if need be.
      metrics: the lines of `metrics.jsonl` (`lingjax.training.pretrain` names their values).
      title: above the panels.
    """
    domains = dict.fromkeys(
        name.removesuffix("_unigram_loss") for line in metrics for name in line if name.endswith("_unigram_loss")
    )
    written = []
    for plot in _PLOTS:
        pictures = [
            Picture(domain, f"{plot.unit} over steps", _panel(metrics, domain, plot), height=230)
            for domain in domains
            if _points(metrics, f"{domain}_{plot.name}")
        ]
        if pictures:
            written += write_pictures(folder, plot.name, title=title, pictures=pictures)
    return written


def _panel(metrics: Sequence[Mapping[str, Any]], domain: str, plot: _Plot) -> Panel:
    def draw(axes: Any) -> None:
        for curve in plot.curves:
            if points := _points(metrics, f"{domain}_{curve.key}"):
                axes.plot(*zip(*points, strict=True), label=f"{curve.label}, {in_digits(points[-1][1])}", **curve.style)
        for yardstick in plot.yardsticks:
            if points := _points(metrics, f"{domain}_{yardstick.key}"):
                value = points[-1][1]
                axes.axhline(value, label=f"{yardstick.label}, {in_digits(value)}", **yardstick.style)
        axes.set(xlabel="step", ylabel=plot.unit)
        axes.legend(title="at the end", frameon=False, fontsize=8, title_fontsize=8)

    return draw


def _points(metrics: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    return [(line["step"], line[name]) for line in metrics if line.get(name) is not None]
