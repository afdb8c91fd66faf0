"""Panels side by side in one figure, as PNG and SVG files; equal values give equal bytes."""

import io
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from etils import epath

from lingjax.files import write_bytes

# Distinct for colour-blind readers and in grey. Source: Okabe and Ito, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#7f7f7f"
_INCHES = (4.6, 3.2)  # of one panel
_DOTS_PER_INCH = 150
_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}

Panel: TypeAlias = Callable[[Any], None]
"""Draws into matplotlib's axes."""


def write_figure(folder: epath.PathLike, name: str, *, title: str, panels: Sequence[Panel]) -> list[epath.Path]:
    """Writes `NAME.png` and `NAME.svg`, and returns the paths.

    Args:
      folder: made if need be.
      name: of the files, without ending.
      title: above all panels.
      panels: from left to right.
    """
    import matplotlib

    written = []
    # What is set on this machine decides nothing; a dollar sign in a name is no formula.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.hashsalt": "lingjax", "text.parse_math": False, "font.size": 9})
        for kind, content in _draw(title, panels).items():
            path = epath.Path(folder) / f"{name}.{kind}"
            write_bytes(path, content)
            written.append(path)
    return written


def _draw(title: str, panels: Sequence[Panel]) -> dict[str, bytes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_INCHES[0] * len(panels), _INCHES[1] + 0.3), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        panel(axes)
        axes.title.set_fontsize(10)
        axes.spines[["top", "right"]].set_visible(False)
    contents = {}
    for kind, metadata in _METADATA.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=metadata)
        contents[kind] = buffer.getvalue()
        figure.set_layout_engine("none")  # laid out once; again would cost a third of the time
    return contents
