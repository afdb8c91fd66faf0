import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest

from lingjax.reporting import write_plots

PLOTS = ("scores", "bands", "calibration", "learning_curve", "sample_efficiency", "alignment")
HOSTILE = "$\\x<b>&%"


@pytest.fixture(scope="module")
def plots(full_report, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots")
    write_plots(folder, {"dna": full_report})
    return folder


def test_every_plot_is_there_as_png_and_svg(plots):
    assert {path.name for path in plots.iterdir()} == {
        f"dna.{plot}.{kind}" for plot in PLOTS for kind in ("png", "svg")
    }
    for plot in PLOTS:
        assert (plots / f"dna.{plot}.png").read_bytes().startswith(b"\x89PNG")
        assert ElementTree.parse(plots / f"dna.{plot}.svg").getroot().tag.endswith("svg")


def test_equal_reports_give_equal_bytes_whatever_is_set(plots, full_report, tmp_path):
    with matplotlib.rc_context({"lines.linewidth": 9, "svg.hashsalt": None, "font.size": 30}):
        write_plots(tmp_path, {"dna": full_report})
        assert matplotlib.rcParams["font.size"] == 30
    for path in plots.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name
    assert "dc:date" not in (tmp_path / "dna.scores.svg").read_text()


def test_what_a_report_lacks_is_not_drawn(report, tmp_path):
    written = write_plots(tmp_path / "deep", {"bare": report})
    assert [path.name for path in written] == ["bare.scores.png", "bare.scores.svg"]


def test_any_name_and_undefined_figures_can_be_drawn(make_report, full_report, report, tmp_path):
    nothing = dict.fromkeys(full_report.alignment["states"]["after"])
    empty = {
        "rows": {"source": 0, "target": 0},
        "layers": [],
        "states": {"after": nothing},
        "attention": {"after": {"source": None, "target": None}},
        "projection": {"after": {"source": [], "target": []}},
    }
    hostile = make_report(
        rows=1,
        seeds=1,
        target=report.target | {"dataset": HOSTILE},
        bands={HOSTILE: [full_report.bands["length"][2] | {"accuracy": None}]},
        calibration=[{"low": 0.5, "high": 1, "rows": 0, "confidence": None, "accuracy": None}],
        alignment=empty,
    )
    written = write_plots(tmp_path, {"x": hostile})
    assert [path.name for path in written] == [
        f"x.{plot}.{kind}" for plot in ("scores", "bands") for kind in ("png", "svg")
    ]
