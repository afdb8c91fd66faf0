import re
import xml.etree.ElementTree as ElementTree

import pytest

from lingjax.reporting.alignment_figures import alignment_figures
from lingjax.reporting.binned_figures import band_chart, reliability_diagram
from lingjax.reporting.figures import StripRow, line_chart, strip_chart
from lingjax.reporting.svg import WIDTH

BAND = {"low": 0, "high": 1, "rows": 7, "accuracy": 0.5, "auroc": 0.75, "ci95": [0.5, 1.0]}


def svg(figure):
    return ElementTree.fromstring(re.search(r'<svg role="img".*?</svg>', figure, re.DOTALL)[0])


def elements(figure, kind):
    return [one for one in svg(figure).iter() if one.get("class") == kind]


def texts(figure):
    return [one.text for one in svg(figure).iter("text")]


def test_strips_share_one_scale():
    chart = strip_chart("t", [StripRow("a", 0.25), StripRow("b", 0.75, strong=True)], reference=0.5)
    (control,), (model,), (reference,) = (elements(chart, kind) for kind in ("mean control", "mean model", "reference"))
    middle = (float(control.get("x")) + float(model.get("x"))) / 2 + 1
    assert float(reference.get("x1")) == pytest.approx(middle, abs=0.1)


def test_curves_end_where_their_values_say():
    chart = line_chart("t", {"": {"c": [(0, 0.0), (50, 2.0), (100, 1.0)]}}, x_name="step")
    (curve,) = elements(chart, "curve series0")
    places = [tuple(map(float, place.split(","))) for place in curve.get("points").split()]
    assert places == [(36, 150), (195, 8), (WIDTH - 6, 79)]


def test_curves_skip_what_is_not_finite_and_groups_have_colours():
    chart = line_chart(
        "t",
        {"a": {"": [(0, 1.0), (1, float("nan"))]}, "b": {"": [(0, float("inf"))]}, "c": {"": [(1, 2.0)]}},
        x_name="s",
    )
    assert len(elements(chart, "curve series0")) == len(elements(chart, "curve series2")) == 1
    assert "curve series1" not in chart
    assert "nan" not in chart
    assert chart.count("<li>") == 2


def test_no_finite_point_is_no_chart():
    assert line_chart("t", {"": {"c": [(0, float("nan"))]}}, x_name="step") == ""
    assert line_chart("t", {}, x_name="step") == ""


def test_bars_are_as_high_as_their_rows_are_many():
    chart = band_chart(
        "t", [BAND | {"rows": rows, "low": low, "high": low + 1} for low, rows in enumerate((50, 100, 0))]
    )
    heights = [float(bar.get("height")) for bar in elements(chart, "rows")]
    assert heights == [17, 34, 0]
    assert texts(chart)[-4:] == ["0", "1", "2", "3"]


def test_bands_that_do_not_adjoin_have_both_limits():
    chart = band_chart("t", [BAND, BAND | {"low": 2, "high": 3}])
    assert texts(chart)[-4:] == ["0 to", "1", "2 to", "3"]


def test_many_bands_have_some_of_their_limits():
    chart = band_chart("t", [BAND | {"low": place, "high": place + 1} for place in range(20)])
    assert texts(chart)[-7:] == ["0", "3", "6", "9", "12", "15", "18"]


def test_undefined_figures_of_a_band_are_left_out():
    chart = band_chart("t", [BAND | {"auroc": None, "accuracy": None, "ci95": None}])
    assert not elements(chart, "mean model")
    assert "0 to 1: 7 rows" in svg(chart).get("aria-label")


def test_honest_probabilities_lie_on_the_diagonal():
    bins = [
        {"low": low, "high": low + 0.25, "rows": 3, "confidence": low + 0.1, "accuracy": low + 0.1}
        for low in (0.5, 0.75)
    ]
    chart = reliability_diagram("t", bins)
    (diagonal,) = elements(chart, "reference")
    x1, y1, x2, y2 = (float(diagonal.get(name)) for name in ("x1", "y1", "x2", "y2"))
    for mark in elements(chart, "fill series0"):
        share = (float(mark.get("cx")) - x1) / (x2 - x1)
        assert float(mark.get("cy")) == pytest.approx(y1 + share * (y2 - y1), abs=0.1)


def test_calibration_without_rows_is_no_diagram():
    assert reliability_diagram("t", [{"low": 0.5, "high": 1, "rows": 0, "confidence": None, "accuracy": None}]) == ""
    assert reliability_diagram("t", []) == ""


def alignment(layers=0, *, points=None, **of_target):
    """The smallest `alignment` of a report."""
    names = ("cka", "similarity", "similarity_ci95")
    unknown = {f"{prefix}{name}": None for prefix in ("", "source_") for name in names}
    return {
        "layers": list(range(layers)),
        "states": {"after": unknown | of_target},
        "attention": {"after": {"source": None, "target": None}},
        "projection": {"after": points or {"source": [], "target": []}},
    }


def test_every_layer_is_a_cell_and_many_have_no_figures():
    def heat_map(layers):
        return next(alignment_figures(alignment(layers, cka=[0.25] * layers)))

    assert texts(heat_map(5)).count(".25") == len(elements(heat_map(5), "cell")) == 5
    assert texts(heat_map(25)).count(".25") == 0
    assert len(elements(heat_map(25), "cell")) == 25


def test_a_report_without_tsne_is_drawn_without_it():
    rows = {"source": [[0, 0]], "target": [[10, 1, 0]]}
    old = alignment(points=rows)
    new = old | {"projection": {"after": rows, "after_tsne": rows}}
    assert len([chart for chart in alignment_figures(old) if "PCA" in chart]) == 1
    assert [name for chart in alignment_figures(new) for name in ("PCA", "t-SNE") if name in chart] == ["PCA", "t-SNE"]
    assert not any("t-SNE" in chart for chart in alignment_figures(old))


def test_labels_have_marks_of_their_own_and_both_axes_one_scale():
    rows = {"source": [[0, 0]], "target": [[10, 1, 0], [5, 1, 1]]}
    *_, chart, _ = alignment_figures(alignment(points=rows))
    (circle,), (square,) = elements(chart, "scatter source"), elements(chart, "scatter label0")
    assert len(elements(chart, "scatter label1")) == 1
    right = float(square.get("x")) + 2.5 - float(circle.get("cx"))
    up = float(circle.get("cy")) - float(square.get("y")) - 2.5
    assert right == pytest.approx(10 * up, abs=0.6)


@pytest.mark.parametrize("value", ["<b>", '"', "&"])
def test_texts_are_escaped(value):
    charts = [
        strip_chart(value, [StripRow(value, 0.5)], reference=0.5),
        line_chart(value, {value: {value: [(0, 1.0)]}, "x": {value: [(0, 1.0)]}}, x_name=value),
        band_chart(value, [BAND]),
    ]
    for chart in charts:
        assert svg(chart).get("aria-label").startswith(value)
        assert "<b>" not in chart
