import base64
import dataclasses
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from lingjax.reporting import render_report_page, write_report_page

HOSTILE = '"><script>alert(1)</script>'


class _Balance(HTMLParser):
    """Collects tags that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.problems = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(tag)


@pytest.fixture(scope="module")
def page(make_report, report):
    other = make_report(seeds=1, skill=0.0, target=report.target | {"dataset": "dna_pairs"})
    return render_report_page([report, other], {"seed 0": [(0, 0.7), (50, 0.4), (60, float("nan"))]})


def test_page_makes_no_outside_request(page):
    assert not re.search(r"https?:|//|<link|<img|@import|url\(| src=", page)


def test_page_has_one_script_and_lets_no_other_run(page):
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


def test_tags_are_closed_in_order(page):
    parser = _Balance()
    parser.feed(page)
    assert (parser.open, parser.problems) == ([], [])


def test_figures_are_well_formed_and_described(page, report):
    figures = drawn(page)
    assert len(figures) == 5
    assert f"model, mean {report.summary['auroc']['mean']:.3f}" in figures[0].get("aria-label")


def drawn(page):
    """The figures of a page, each of which has a caption and says in words what it shows."""
    figures = [ElementTree.fromstring(svg) for svg in re.findall(r'<svg role="img".*?</svg>', page, re.DOTALL)]
    assert page.count("<svg") == len(figures)
    assert len(figures) == page.count("<figcaption>")
    assert all(re.fullmatch(r".+\. .+", figure.get("aria-label")) for figure in figures)
    return figures


def test_every_optional_part_is_drawn_and_described(full_report):
    said = [figure.get("aria-label") for figure in drawn(render_report_page([full_report]))]
    assert len(said) == 13
    for expected in (
        "AUROC and accuracy by length; dashed: chance. 30 to 40: 101 rows, AUROC 0.610 [0.560, 0.660], accuracy 0.600;",
        "AUROC and accuracy by identity",
        "Reliability, all seeds; dashed: honest probabilities. 0.50 to 0.60: accuracy 0.510, 211 rows; 0.80 to 1.00:",
        "Accuracy on the source's dev set, by seed. seed 0: 0.625 at 50, 0.875 at 150; seed 1:",
        "AUROC on the target, by seed; dashed: chance. seed 0: 0.550 at 50, 0.650 at 150; seed 1: 0.650",
        "AUROC after fine-tuning on the target; dashed: chance. transferred seed 0: 0.8",
        "CKA with the state before fine-tuning, by layer. target: 0.90, 0.50, –; source: -0.01, 0.70, 1.00",
        "Similarity of like pairs less that of unlike ones, by layer; dashed: none. target, before: 0.1",
        "Attention to the other sentence of a target's pair, by block, after fine-tuning. aligned token: 0.400 at 1",
        "Pairs as points, after fine-tuning, PCA. 13 rows of the source; of the target 7 with label 0, 6 with label 1",
    ):
        assert any(one.startswith(expected) for one in said), (expected, said)


def test_parts_that_a_report_lacks_leave_no_heading(report):
    page = render_report_page([report])
    for heading in ("By part of the target", "Calibration and learning curves", "Representations", "Published"):
        assert heading not in page


def test_empty_parts_leave_no_heading_either(report):
    empty = dataclasses.replace(report, bands={"length": []}, calibration=[], alignment=None)
    page = render_report_page([empty])
    assert "By part of the target" not in page
    assert "Representations" not in page


def test_published_figures_stand_beside_the_model_they_are_of(make_report, report):
    model = report.model | {"init": {"kind": "pretrained", "source": "bert-base-cased", "sha256": None}}
    page = render_report_page([make_report(model=model), make_report(target=report.target | {"dataset": "other"})])
    assert page.count("Published beside ours</h3>") == 1
    assert page.count("PAWS-X German test") == 2
    assert "pairs, splits and training are not the same" in page


def test_losses_of_controls_have_a_colour_of_their_own(report):
    curves = {"random_init/seed0": [(0, 3.0)], "seed0": [(0, 1.0)], "seed1": [(0, 2.0)]}
    page = render_report_page([report], curves)
    *_, losses = re.findall(r'<svg role="img".*?</svg>', page, re.DOTALL)
    lines = [losses.count(f"stroke: var(--{colour}); stroke-width: 1.5") for colour in ("accent", "second")]
    lines += [losses.count(f"stroke-width: 1.5; stroke: var(--{colour})") for colour in ("accent", "second")]
    assert losses.count(">random_init</text>") == losses.count(">model</text>") == 1, lines
    assert "random_init seed0: 3.000 at 0" in page


def test_links_lead_to_the_targets(page):
    for place in range(2):
        assert page.count(f'href="#target-{place}"') == page.count(f'<section id="target-{place}">') == 1


def test_each_seed_is_a_circle(page):
    (marks,) = re.findall(r"(?:<use [^>]*/>\s*){3}", re.findall(r"<svg.*?</svg>", page, re.DOTALL)[0])
    assert marks.count("target-0-scores-0") == 3


def test_what_was_found_stands_above_the_table_with_its_text_escaped(make_report, report):
    hostile = make_report(target=report.target | {"dataset": HOSTILE})
    page = render_report_page([hostile])
    assert page.index('<p class="finding">') < page.index("<table")
    assert HOSTILE not in page


def test_warnings_come_before_figures_and_shared_ones_once(page, report):
    shared = "Rows that also occur in the source training set: 2."
    assert page.count(shared) == 1
    assert page.index(shared) < page.index("<svg")
    assert page.count("One seed only") == 1


def test_confusion_matrices_show_every_count(page, report):
    for row in report.seeds[2]["confusion"]:
        for cell in row:
            assert f">{cell}</td>" in page


def test_undefined_figures_do_not_break_the_page(make_report):
    report = make_report(rows=1, seeds=2, source=None)
    page = render_report_page([report])
    assert "an unknown source" in page
    assert not re.search(r"\bnan\b|\bNone\b", page)


def test_names_are_escaped_everywhere(make_report, report, full_report):
    hostile = make_report(
        command=HOSTILE,
        target=report.target | {"dataset": HOSTILE},
        source=report.source | {"dataset": HOSTILE},
        model=report.model | {"init": report.model["init"] | {"source": HOSTILE}},
    )
    hostile = dataclasses.replace(
        hostile,
        bands={HOSTILE: full_report.bands["length"]},
        verdict=hostile.verdict | {"warnings": [HOSTILE]},
        environment=hostile.environment | {"device_kind": HOSTILE},
        code_version=HOSTILE,
    )
    page = render_report_page([hostile, hostile], {f"{HOSTILE}/{HOSTILE}": [(0, 1.0)], "x/y": [(0, 1.0)]})
    assert page.count("<script") == 1
    assert page.count("&lt;script&gt;") >= 5


def test_synthetic_data_are_announced(make_report, report):
    assert "Synthetic data" not in render_report_page([report])
    synthetic = make_report(target=report.target | {"synthetic": True})
    assert "Synthetic data: paws_de." in render_report_page([synthetic])


def test_page_without_reports_says_so(tmp_path):
    write_report_page(tmp_path / "report.html", [])
    assert "No target was evaluated" in (tmp_path / "report.html").read_text()


def test_what_tells_a_label_by_itself_stands_in_the_audit(report):
    shortcut = {"auroc": 0.8765, "ci95": [0.8, 0.9]}
    page = render_report_page([dataclasses.replace(report, audit=report.audit | {"length_predicts_label": shortcut})])
    assert "Label told by lengths alone" in page
    assert "0.877" in page or "0.876" in page
    assert "Label told by letter shares alone" not in page


def test_page_shows_the_sign_tests(report):
    page = render_report_page([report])
    assert "Sign tests" in page
    test = report.verdict["sign_tests"]["token_jaccard"]
    assert f"{test['wins']:,} better, {test['losses']:,} worse" in page


def test_page_of_a_report_without_sign_tests_leaves_them_out(report):
    older = {name: value for name, value in report.verdict.items() if name != "sign_tests"}
    assert "Sign tests" not in render_report_page([dataclasses.replace(report, verdict=older)])


def test_parts_are_open_on_a_page_of_one_target_and_folded_on_one_of_several(full_report):
    alone, several = render_report_page([full_report]), render_report_page([full_report] * 2)
    assert (alone.count("<details open>"), several.count("<details open>")) == (7, 0)
    assert several.count("<details>") == 2 * 8
    assert "<summary><h3>Sign tests</h3></summary>" in alone


def test_a_page_of_four_targets_with_every_part_stays_small(full_report):
    page = render_report_page([full_report] * 4)
    assert len(drawn(page)) == 4 * 13
    assert len(page.encode()) < 300_000
