import dataclasses
import itertools
import re
import xml.etree.ElementTree as ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from lingjax.reporting import panels, render_report_page
from lingjax.reporting.figures import (
    StripRow,
    band_chart,
    heat_map,
    line_chart,
    reliability_diagram,
    scatter,
    strip_chart,
)
from lingjax.reporting.numbers import figure
from lingjax.reporting.panels import embed_picture
from lingjax.reporting.report_figures import report_pictures

BAND = {"low": 0, "high": 1, "rows": 7, "accuracy": 0.5, "auroc": 0.75, "ci95": [0.5, 1.0]}


def drawn(picture):
    """The axes after the picture was drawn into them."""
    axes = Figure(figsize=(5, 3)).subplots()
    picture.draw(axes)
    return axes


def curves(picture):
    return {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in drawn(picture).lines}


def texts(picture):
    svg = re.search(r'<svg role="img".*?</svg>', embed_picture(picture, name="n"), re.DOTALL)[0]
    return [one.text for one in ElementTree.fromstring(svg).iter("text")]


def cut_off(shown):
    """Texts of a matplotlib figure that reach beyond it."""
    FigureCanvasAgg(shown).draw()
    frame = shown.bbox.padded(1)
    found = []
    axes = [axis for one in shown.axes for axis in (one.xaxis, one.yaxis)]
    # Ticks beyond the axes' limits are made, and not drawn.
    beyond = [
        label
        for axis in axes
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        for label in (tick.label1, tick.label2)
    ]
    for text in shown.findobj(Text):
        if text not in beyond and text.get_visible() and text.get_text().strip():
            box = text.get_window_extent()
            if not (frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)):
                found.append(text.get_text())
    return found


@pytest.mark.parametrize("name", ["dna_pairs", "W" * 90, "a name of many words " * 9])
def test_no_text_of_any_figure_is_cut_off(full_report, name):
    for pictures in report_pictures(full_report).values():
        with panels._settings():
            page = [panels._figure([one.draw], height=one.height) for one in pictures]
            titled = [panels._titled(one) for one in pictures]
            slide = panels._figure(titled, height=max(one.height for one in pictures) + 40, title=name)
            assert [cut_off(one) for one in [*page, slide]] == [[]] * (len(page) + 1)


def test_strips_share_one_scale():
    chart = strip_chart("t", [StripRow("a", 0.25), StripRow("b", 0.75, strong=True)], reference=0.5)
    axes = drawn(chart)
    reference, control, _, model, _ = ([*line.get_xdata()] for line in axes.lines)
    assert (reference, control, model) == ([0.5, 0.5], [0.25, 0.25], [0.75, 0.75])
    low, high = axes.get_xlim()
    assert (low + high) / 2 == pytest.approx(0.5)
    assert low < 0.25 and high > 0.75


def test_values_keep_their_digits_on_the_page():
    assert "0.853" in texts(strip_chart("t", [StripRow("a", 0.8531)], reference=0.5))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(0.99975, "0.9998"), (1.0, "1.000"), (0.0, "0.000"), (0.00012, "0.0001"), (None, "–"), (-0.9999, "-0.9999")],
        *[(1 - 1e-9, ">0.999999"), (1e-9, "<0.000001"), (0.8531, "0.853"), (12.00001, "12.000")],
    ],
)
def test_nothing_rounds_into_perfection(value, text):
    assert figure(value) == text


def test_curves_keep_what_is_finite():
    chart = line_chart("t", {"a": {"": [(0, 1.0), (1, float("nan"))]}, "c": {"": [(1, 2.0)]}}, x_name="s")
    assert curves(chart) == {"a": [(0, 1.0)], "c": [(1, 2.0)]}
    assert line_chart("t", {"": {"c": [(0, float("nan"))]}}, x_name="step") is None
    assert line_chart("t", {}, x_name="step") is None


def test_curves_end_where_their_values_say():
    points = [(0, 0.0), (50, 2.0), (100, 1.0)]
    chart = line_chart("t", {"": {"c": points}}, x_name="step")
    axes = drawn(chart)
    (line,) = axes.lines
    assert [*zip(*line.get_data(), strict=True)] == points
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left <= 0 and right >= 100 and bottom <= 0 and top >= 2
    assert "0.000 at 0, 1.000 at 100" in chart.words


def test_curves_of_a_group_share_a_colour_and_groups_do_not():
    groups = {"model": {"seed0": [(0, 1.0)], "seed1": [(0, 0.9)]}, "random_init": {"seed0": [(0, 1.1)]}}
    first, second, control = (line.get_color() for line in drawn(line_chart("t", groups, x_name="step")).lines)
    assert first == second != control


def test_losses_of_controls_have_a_colour_of_their_own_on_the_page(report):
    losses = {"seed0": [(0, 1.0), (9, 0.5)], "seed1": [(0, 1.1), (9, 0.4)], "random_init/seed0": [(0, 1.0), (9, 0.9)]}
    page = render_report_page([report], losses)
    section = page[page.index("<h2>Fine-tuning</h2>") :]
    # A curve is an open path of this width, first those of the model.
    strokes = re.findall(r'style="fill: none;[^"]*stroke: var\(--(\w+)\);? stroke-width: 1\.5', section)
    assert strokes[:3] == ["accent", "accent", "second"]


def test_bands_name_both_of_their_limits_whether_they_adjoin_or_not():
    chart = band_chart("t", [BAND, BAND | {"low": 2, "high": 3}, BAND | {"low": 3, "high": 4}])
    limits = [label.get_text().split("\n")[0] for label in drawn(chart).get_xticklabels()]
    assert limits == ["0 to 1", "2 to 3", "3 to 4"]


def test_many_bands_are_each_named_and_none_hides_another():
    chart = band_chart("t", [BAND | {"low": place, "high": place + 1} for place in range(20)])
    with panels._settings():
        shown = panels._figure([chart.draw], height=chart.height)
    FigureCanvasAgg(shown).draw()
    labels = shown.axes[0].get_xticklabels()
    assert [label.get_text().split("; ")[0] for label in labels] == [f"{low} to {low + 1}" for low in range(20)]
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 <= right.x0 + 1 for left, right in itertools.pairwise(boxes))


def test_a_band_without_figures_is_still_named():
    chart = band_chart("t", [BAND | {"auroc": None, "accuracy": None, "ci95": None}])
    assert curves(chart)["AUROC [95 % interval]"] == curves(chart)["accuracy"] == []
    assert "0 to 1: 7 rows" in chart.words
    assert "0 to 1" in texts(chart)


def test_honest_probabilities_lie_on_the_diagonal():
    bins = [
        {"low": low, "high": low + 0.25, "rows": 3, "confidence": low + 0.1, "accuracy": low + 0.1}
        for low in (0.5, 0.75)
    ]
    diagonal, marks = drawn(reliability_diagram("t", bins)).lines
    assert [*zip(*diagonal.get_data(), strict=True)] == [(0.5, 0.5), (1, 1)]
    assert [*marks.get_xdata()] == [*marks.get_ydata()] == [0.6, 0.85]


def test_a_report_without_tsne_is_drawn_without_it(full_report):
    projection = {"after": full_report.alignment["projection"]["after"]}
    older = dataclasses.replace(full_report, alignment=full_report.alignment | {"projection": projection})
    named = [
        [name for one in report_pictures(report)["alignment"] for name in ("PCA", "t-SNE") if name in one.title]
        for report in (full_report, older)
    ]
    assert named == [["PCA", "t-SNE"], ["PCA"]]


def test_a_band_with_too_few_rows_of_a_label_has_no_mark_of_an_auroc():
    counts = {"label_counts": {"0": 236, "1": 3}}
    chart = band_chart("t", [BAND, BAND | counts | {"rows": 239, "auroc": 0.696, "ci95": None}])
    assert curves(chart)["AUROC [95 % interval]"] == [(0, 0.75)]
    assert "239 rows (236 with label 0, 3 with label 1), too few rows of a label for an AUROC" in chart.words
    assert drawn(chart).get_xticklabels()[1].get_text().endswith("236 + 3")
    assert band_chart("t", []) is None


def test_calibration_without_rows_is_no_diagram():
    assert reliability_diagram("t", [{"low": 0.5, "high": 1, "rows": 0, "confidence": None, "accuracy": None}]) is None
    assert reliability_diagram("t", []) is None


def test_every_layer_is_a_cell_and_many_have_no_figures():
    few, many = (heat_map("t", range(count), {"target": [0.25] * count}) for count in (5, 25))
    assert (len(drawn(few).patches), len(drawn(many).patches)) == (5, 25)
    assert (texts(few).count("0.25"), texts(many).count("0.25")) == (5, 0)


def test_labels_have_marks_of_their_own_and_both_axes_one_scale():
    chart = scatter("t", {"source": [[0, 0]], "target": [[10, 1, 0], [5, 1, 1]]})
    axes = drawn(chart)
    assert [line.get_marker() for line in axes.lines] == ["o", "s", "^"]
    assert axes.get_aspect() == 1
    assert scatter("t", {"source": [], "target": []}) is None


@pytest.mark.parametrize("value", ["<b>", '"', "&", "$x$", "蛋白"])
def test_texts_are_escaped(value):
    for picture in (
        strip_chart(value, [StripRow(value, 0.5)], reference=0.5),
        line_chart(value, {value: {value: [(0, 1.0)]}, "x": {value: [(0, 1.0)]}}, x_name=value),
    ):
        assert value in texts(picture)
        assert "<b>" not in embed_picture(picture, name="n")
