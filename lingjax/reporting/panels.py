"""Draws pictures, for the page as inline SVG and for slides as PNG and SVG; equal values give equal bytes."""

import dataclasses
import html
import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from etils import epath

from lingjax.files import write_bytes

Panel: TypeAlias = Callable[[Any], None]
"""Draws into matplotlib's axes."""

# The page's colours by daylight (page.css); SVG in a page names the variable instead, and turns dark with the page.
ACCENT, SECOND, THIRD, FOURTH = "#1d5d8c", "#a8480c", "#1a7a5e", "#7a4e9e"
MUTED, FAINT, RULE = "#656a70", "#6b7178", "#e2dfd8"
_VARIABLES = {
    ACCENT: "accent",
    SECOND: "second",
    THIRD: "third",
    FOURTH: "fourth",
    MUTED: "muted",
    FAINT: "faint",
    RULE: "rule",
}

# In points, which are pixels where a page's picture has its own size: about the width of a phone's screen.
WIDTH = 360
_POINTS_PER_INCH = 72
_DOTS_PER_INCH = 150
_TITLE, _PANEL_TITLE = 12, 11
_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
_SETTINGS = {
    "svg.hashsalt": "lingjax",
    "svg.fonttype": "none",  # letters stay letters
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 10,
    "text.parse_math": False,  # a dollar sign in a name is no formula
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": RULE,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.6,
}


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture, wherever it is shown.

    Attributes:
      title: the caption.
      words: what can be seen, in words and figures, for those who cannot see it.
      draw: draws it.
      height: in points, beside a width of `WIDTH`.
    """

    title: str
    words: str
    draw: Panel
    height: float = 210


def embed_picture(picture: Picture, *, name: str) -> str:
    """Returns a `<figure>` with its caption and an SVG whose colours are the page's; texts are escaped.

    Args:
      picture: what to draw.
      name: a plain word that no other picture of the page has.
    """
    with _settings():
        figure = _figure([picture.draw], height=picture.height)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    label = html.escape(f"{picture.title}. {picture.words}", quote=True)
    return (
        f'<figure><figcaption>{html.escape(picture.title)}</figcaption><svg role="img" aria-label="{label}" '
        f'viewBox="0 0 {WIDTH} {picture.height:g}">{_inner(drawn.getvalue(), name)}</svg></figure>\n'
    )


def write_pictures(folder: epath.PathLike, name: str, *, title: str, pictures: Sequence[Picture]) -> list[epath.Path]:
    """Writes pictures side by side as `NAME.png` and `NAME.svg`, and returns the paths.

    Args:
      folder: made if need be.
      name: what the files are called, without ending.
      title: above all pictures; wrapped where it is too long.
      pictures: from left to right.
    """
    height = max(picture.height for picture in pictures)
    panels = [_titled(picture) for picture in pictures]
    written = []
    with _settings():
        figure = _figure(panels, height=height + 40, title=title)
        for kind, metadata in _METADATA.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=metadata)
            path = epath.Path(folder) / f"{name}.{kind}"
            write_bytes(path, buffer.getvalue())
            written.append(path)
    return written


def wrap_lines(text: str, *, width: float, size: float) -> str:
    """Breaks a text into lines that are no wider than `width` points where letters are `size` points high."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=size)
    lines = [""]
    for piece in re.findall(r"\S+\s*|\s+", text):
        if _wide(lines[-1] + piece.rstrip(), font, text_to_path) > width and lines[-1]:
            lines.append("")
        if _wide(lines[-1] + piece.rstrip(), font, text_to_path) <= width:
            lines[-1] += piece
            continue
        for letter in piece:  # longer than a line by itself
            if letter.strip() and _wide(lines[-1] + letter, font, text_to_path) > width:
                lines.append("")
            lines[-1] += letter
    return "\n".join(line.rstrip() for line in lines)


def _wide(text: str, font: Any, measure: Any) -> float:
    return measure.get_text_width_height_descent(text, font, ismath=False)[0] if text else 0.0


class _settings:  # noqa: N801 - reads as a statement
    """What is set on this machine decides nothing, and a letter that the font lacks is no reason to stop."""

    def __enter__(self) -> None:
        import matplotlib

        self._context, self._caught = matplotlib.rc_context(), warnings.catch_warnings()
        self._context.__enter__()
        self._caught.__enter__()
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)

    def __exit__(self, *error: Any) -> None:
        self._caught.__exit__(*error)
        self._context.__exit__(*error)


def _figure(panels: Sequence[Panel], *, height: float, title: str = "") -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = WIDTH * len(panels)
    lines = wrap_lines(title, width=width - 24, size=_TITLE) if title else ""
    height += _TITLE * 1.3 * lines.count("\n")
    figure = Figure(
        figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), dpi=_DOTS_PER_INCH, layout="constrained"
    )
    FigureCanvasAgg(figure)
    figure.patch.set_visible(bool(title))
    if title:
        figure.suptitle(lines, fontsize=_TITLE)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.patch.set_visible(False)
        panel(axes)
    # Laid out once, here. A figure that still has an engine is laid out anew and drawn twice for each file.
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine(None)
    return figure


def _titled(picture: Picture) -> Panel:
    def draw(axes: Any) -> None:
        picture.draw(axes)
        axes.set_title(wrap_lines(picture.title, width=WIDTH - 60, size=_PANEL_TITLE), fontsize=_PANEL_TITLE)

    return draw


def _inner(svg: str, name: str) -> str:
    """Returns what stands inside matplotlib's `<svg>`: no outside name, no id twice in a page, no needless byte."""
    content = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    for needless in (
        r"<metadata>.*?</metadata>",
        r"<!--.*?-->",
        r"<style.*?</style>",
        r"<clipPath.*?</clipPath>",  # axes hold all that is drawn
        r" ?clip-path=\"[^\"]*\"",
        r"<defs>\s*</defs>",
        r"(?<=<g) id=\"[^\"]*\"",
        r"\s*font-family:[^;\"]*;?",
        r"(?<= )stroke-(linecap|linejoin|miterlimit): \w+;? ?",
    ):
        content = re.sub(needless, "", content, flags=re.DOTALL)
    content = re.sub(r"font: (?:[\w]+ )*?([\d.]+px) [^;\"]*", r"font-size: \1", content)
    content = re.sub(r"<[^>]+>", lambda tag: _on_page(tag[0], name), content)
    content = _without_inherited(_without_groups(content))
    return "".join(line.strip() + "\n" for line in content.splitlines() if line.strip())


def _without_groups(content: str) -> str:
    """Returns the drawing without groups that set nothing, or hold nothing."""
    kept, groups = [], []
    for piece in re.split(r"(<[^>]+>)", re.sub(r"<g\s*/>", "", content)):
        if re.match(r"<g[\s>]", piece):
            groups.append(piece != "<g>")
        if (piece == "<g>") or (piece == "</g>" and not groups.pop()):
            continue
        kept.append(piece)
    return "".join(kept)


def _without_inherited(content: str) -> str:
    """Returns the drawing in which uses of a mark do not repeat what the mark sets by itself, which comes first."""
    marks = dict(re.findall(r'<path id="([^"]+)"[^>]* style="([^"]*)"', content))

    def shorter(use: re.Match[str]) -> str:
        own = {entry.partition(":")[0].strip() for entry in marks.get(use[2], "").split(";")}
        left = [entry.strip() for entry in use[4].split(";") if entry.partition(":")[0].strip() not in own]
        return use[1] + use[3] + (f' style="{"; ".join(left)}"' if left else "")

    return re.sub(r'(<use href="#([^"]+)")([^>]*?) style="([^"]*)"', shorter, content)


def _on_page(tag: str, name: str) -> str:
    """Returns a tag with the page's colours, ids of its own and places to a hundredth; texts stay as they are."""
    tag = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", tag.replace("xlink:href", "href"))
    tag = re.sub(r"-?\d+\.\d{2,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), tag)
    tag = re.sub(r' transform="rotate\(-?0 [^"]*"', "", tag)
    tag = re.sub(r'(?<= d=")[^"]*', lambda path: re.sub(r"\s*([A-Za-z])\s*", r"\1", path[0]), tag)
    tag = re.sub(r';\s*"', '"', tag)
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(colour, f"var(--{variable})")
    return tag


def number_pictures(pictures: Sequence[Picture], *, name: str) -> Iterator[str]:
    """Yields `<figure>`s with names `NAME-0`, `NAME-1` and so on."""
    for place, picture in enumerate(pictures):
        yield embed_picture(picture, name=f"{name}-{place}")
