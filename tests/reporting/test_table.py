import csv
import dataclasses
import io

import pytest

from lingjax.errors import InputError
from lingjax.reporting import (
    TABLE_HEADINGS,
    as_csv,
    as_html,
    as_latex,
    as_markdown,
    as_text,
    table_records,
    table_rows,
    write_table,
)
from lingjax.reporting.table import model_name

HOSTILE = "<script>alert(1)</script>|a_b*c"


@pytest.fixture(scope="module")
def hostile(make_report, report):
    return make_report(target=report.target | {"dataset": HOSTILE})


def test_a_row_says_it_all(report):
    (row,) = table_rows([report])
    accuracy = report.summary["accuracy"]
    low, high = accuracy["ci95_over_both"]
    assert row.accuracy == f"{accuracy['mean']:.3f} ± {accuracy['std_over_seeds']:.3f} [{low:.3f}, {high:.3f}]"
    assert (row.model, row.source, row.target, row.seeds) == ("bert (minilm)", "paws_en", "paws_de", "3")
    control = report.controls["token_jaccard"]
    low, high = control["ci95"]
    assert row.best_control == f"token_jaccard {control['auroc']:.3f} [{low:.3f}, {high:.3f}]"
    assert row.above_best_control == "yes"
    assert row.warnings == str(len(report.verdict["warnings"]))


def test_one_seed_an_unknown_source_and_a_random_model_have_a_row_too(make_report, report):
    model = report.model | {"init": {"kind": "random", "source": None, "sha256": None}}
    (row,) = table_rows([make_report(seeds=1, source=None, model=model)])
    assert "±" not in row.accuracy
    assert (row.model, row.source) == ("bert (random)", "unknown")


def test_synthetic_targets_are_marked(make_report, report):
    (row,) = table_rows([make_report(target=report.target | {"synthetic": True})])
    assert row.target == "paws_de (synthetic)"


def test_columns_of_the_text_table_line_up(report, hostile):
    lines = as_text(table_rows([report, hostile]), TABLE_HEADINGS).splitlines()
    assert len(lines) == 4
    assert len({line.index(cell) for line, cell in zip(lines[2:], ["paws_en"] * 2, strict=True)}) == 1
    assert set(lines[1]) == {"-", " "}


def test_markdown_escapes_its_own_characters(hostile, make_report, report):
    lines = as_markdown(table_rows([hostile]), TABLE_HEADINGS).splitlines()
    assert r"\<script\>alert(1)\</script\>\|a_b\*c" in lines[2]
    assert r"[x]\(y)" in as_markdown(
        table_rows([make_report(target=report.target | {"dataset": "[x](y)"})]), TABLE_HEADINGS
    )
    unescaped_bars = [line.replace(r"\|", "").count("|") for line in lines]
    assert unescaped_bars == [13, 13, 13]


def test_csv_holds_bare_numbers(report, hostile):
    first, second = csv.DictReader(io.StringIO(as_csv(table_records([report, hostile]))))
    assert float(first["auroc_mean"]) == report.summary["auroc"]["mean"]
    assert float(first["accuracy_ci95_low"]) == report.summary["accuracy"]["ci95_over_items"][0]
    assert (first["best_control"], first["seeds"], first["synthetic"]) == ("token_jaccard", "3", "False")
    assert second["target"] == HOSTILE


def test_csv_holds_the_intervals_over_items_and_seeds(report):
    (record,) = csv.DictReader(io.StringIO(as_csv(table_records([report]))))
    for metric in ("accuracy", "flipped_accuracy", "auroc"):
        bounds = [float(record[f"{metric}_ci95_over_both_{end}"]) for end in ("low", "high")]
        assert bounds == report.summary[metric]["ci95_over_both"]


def test_csv_leaves_the_unknown_empty(make_report, report):
    one_seed = make_report(seeds=1)
    without = {key: value for key, value in report.summary["auroc"].items() if key != "ci95_over_both"}
    older = dataclasses.replace(report, summary=report.summary | {"auroc": without})
    first, second = csv.DictReader(io.StringIO(as_csv(table_records([one_seed, older]))))
    assert (first["auroc_std_over_seeds"], first["auroc_ci95_over_both_low"]) == ("", "")
    assert (second["auroc_ci95_over_both_low"], second["auroc_ci95_over_both_high"]) == ("", "")


def test_html_escapes(hostile):
    text = as_html(table_rows([hostile]), TABLE_HEADINGS)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_latex_escapes_its_own_characters(make_report, report):
    target = report.target | {"dataset": r"50%_{a}$x$ & \c ~^#<|>"}
    text = as_latex(table_rows([make_report(target=target)]), TABLE_HEADINGS)
    assert r"50\%\_\{a\}\$x\$ \& \textbackslash{}c \textasciitilde{}\textasciicircum{}\#" in text
    assert r"\textless{}\textbar{}\textgreater{}" in text
    assert r"$\pm$" in text


def test_latex_rows_have_as_many_cells_as_columns_and_start_with_no_option(report):
    (row,) = table_rows([report])
    rows = [dataclasses.replace(row, model="[x]"), dataclasses.replace(row, model="*")]
    lines = as_latex(rows, TABLE_HEADINGS).splitlines()
    cells = [line for line in lines if line.endswith(r"\\")]
    assert [line.count(" & ") for line in cells] == [11, 11, 11]
    assert lines[1] == r"\begin{tabular}{" + "l" * 12 + "}"
    assert cells[1].startswith("{[}x]")
    assert cells[2].startswith("{*}")


@pytest.mark.parametrize("ending", [".md", ".csv", ".html", ".tex", ".txt"])
def test_the_ending_chooses_the_format(tmp_path, report, ending):
    write_table(tmp_path / f"table{ending}", [report])
    assert "paws_de" in (tmp_path / f"table{ending}").read_text().replace(r"\_", "_")


def test_an_unknown_ending_is_refused(tmp_path, report):
    with pytest.raises(InputError, match=r"must end in one of \.md, \.csv, \.html, \.tex, \.txt"):
        write_table(tmp_path / "table.xlsx", [report])


@pytest.mark.parametrize("render", [as_text, as_markdown, as_html, as_latex])
def test_no_reports_give_an_empty_table(render):
    assert "Target" in render(table_rows([]), TABLE_HEADINGS)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("models/minilm/", "minilm"),
        ("site-packages/some_wheel/model", "some_wheel"),
        ("model", "model"),
        ("", "random"),
    ],
)
def test_a_model_is_named_by_the_last_folder_that_says_which_it_is(source, name):
    init = {"kind": "pretrained" if source else "random", "source": source}
    assert model_name({"family": "bert", "init": init}) == f"bert ({name})"
