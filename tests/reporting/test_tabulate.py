"""The command experiments.tabulate in a process of its own, on reports made here."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(make_run, tmp_path_factory, report):
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "a", rows=31, seeds=1)
    make_run(folder / "a", rows=31, seeds=1, target=report.target | {"dataset": "dna_pairs"})
    make_run(folder / "b", rows=31, seeds=2, skill=0.2)
    return folder


def tabulate(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "experiments.tabulate", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_workdir_stands_for_its_reports_and_plots_are_named_by_run_where_targets_are_alike(runs, tmp_path):
    done = tabulate(runs / "a", runs / "b" / "reports" / "paws_de.json", f"--plots={tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert [done.stdout.count(target) for target in ("paws_de", "dna_pairs")] == [2, 1]
    names = {f"{run}.scores.{kind}" for run in ("a.dna_pairs", "a.paws_de", "b.paws_de") for kind in ("png", "svg")}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_reports_of_several_runs_name_their_run_and_those_of_one_do_not(runs, tmp_path, make_run):
    make_run(tmp_path / "other" / "a", rows=31, seeds=1)
    for ending in ("csv", "md", "html"):
        done = tabulate(runs / "a", tmp_path / "other" / "a", f"--out={tmp_path}/table.{ending}")
        assert done.returncode == 0, done.stderr
        text = (tmp_path / f"table.{ending}").read_text()
        assert text.count(f"{runs.name}/a") == 2
        assert text.count("other/a") == 1
    assert tabulate(runs / "a", runs / "b").stdout.startswith("Run  Model ")
    assert tabulate(runs / "a").stdout.startswith("Model ")


def test_the_long_layout_has_every_figure_of_every_seed_once(runs, tmp_path):
    done = tabulate(runs / "a", runs / "b", "--layout=long", f"--out={tmp_path}/long.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "long.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["run", "model", "source", "target", "seed", "metric", "value"]
    found = {tuple(row[key] for key in ("run", "target", "seed", "metric")): row["value"] for row in rows}
    assert len(found) == len(rows) == (1 + 1 + 2) * 9  # eight metrics and the source's dev accuracy
    for path in runs.glob("*/reports/*.json"):
        report = json.loads(path.read_text())
        for seed in report["seeds"]:
            key = (path.parent.parent.name, path.stem, str(seed["seed"]))
            assert float(found[*key, "auroc"]) == seed["auroc"]
            assert float(found[*key, "source_dev_accuracy"]) == report["source"]["dev"]["accuracy"][key[2]]
    printed = tabulate(runs / "a", "--layout=long").stdout.splitlines()
    assert printed[0].split() == ["Run", "Model", "Source", "Target", "Seed", "Metric", "Value"]
    assert len(printed) == 2 + 2 * 9 + 1


def test_the_pivot_has_a_row_a_model_and_a_column_a_target(runs, tmp_path):
    for ending in ("csv", "md"):
        done = tabulate(runs / "a", runs / "b", "--layout=pivot", f"--out={tmp_path}/pivot.{ending}")
        assert done.returncode == 0, done.stderr
    with (tmp_path / "pivot.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    summary = json.loads((runs / "b" / "reports" / "paws_de.json").read_text())["summary"]["auroc"]
    assert (second["run"], second["seeds"], float(second["source_dev_accuracy"])) == ("b", "2", 0.9)
    assert float(second["paws_de_auroc"]) == summary["mean"]
    assert [float(second[f"paws_de_auroc_ci95_{end}"]) for end in ("low", "high")] == summary["ci95_over_both"]
    assert (second["dna_pairs_auroc"], second["dna_pairs_auroc_ci95_low"]) == ("", "")
    assert first["dna_pairs_auroc"] != ""
    head, _, _, last = (tmp_path / "pivot.md").read_text().splitlines()
    assert head == "| Run | Model | Source | Seeds | Source dev accuracy | dna_pairs | paws_de |"
    low, high = summary["ci95_over_both"]
    assert last.endswith(f"| 2 | 0.900 | – | {summary['mean']:.3f} [{low:.3f}, {high:.3f}] |")


def test_two_runs_are_compared_and_what_one_lacks_is_named(runs, tmp_path):
    done = tabulate(runs / "a", runs / "b", "--compare", f"--out={tmp_path}/c.md")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"left out, its target is in one run only: {runs}/a/reports/dna_pairs.json\n"
    assert "| AUROC, second - first |" in (tmp_path / "c.md").read_text()


def test_a_comparison_is_printed_with_what_it_means(runs):
    done = tabulate(runs / "a", runs / "b", "--compare")
    assert done.stdout.startswith("Target ")
    assert "for other training runs on other pairs" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name at least one workdir or report"),
        (["a", "--compare"], "--compare takes two workdirs or two reports, got 1"),
        (["a", "a", "--plots=plots"], "has the name and folder of another report"),
        (["a", "a", "--layout=pivot"], "a has two reports on dna_pairs"),
        (["a", "b", "--compare", "--layout=long"], "--layout=long is for reports one by one"),
        (["a", "b", "--compare", "--plots=plots"], "--plots draws single runs"),
        (["a", "b", "--compare", "--page=page.html"], "--page shows single runs"),
        (["a", "--page=page.pdf"], "--page=page.pdf: the file must end in .html"),
    ],
)
def test_bad_input_is_one_line(runs, tmp_path, arguments, says):
    done = tabulate(*(runs / argument if argument in ("a", "b") else argument for argument in arguments))
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]


def test_several_runs_share_a_page_and_the_terminal_says_what_was_found(runs, tmp_path):
    done = tabulate(runs / "a", runs / "b", f"--page={tmp_path}/report.html")
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "report.html").read_text()
    found = page.split('<p class="finding">')[1].split("</p>")[0]
    assert done.stdout.startswith(found[:40])
    assert done.stdout.endswith(f"{tmp_path}/report.html\n")
    assert page.index("What was learned from paws_en") < page.index("<table")
    assert page.count("<section id=") == 3


def test_the_guides_lines_of_pandas_give_what_the_long_table_holds(runs, tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    (line,) = (
        line.strip()
        for line in (ROOT / "docs/reading-a-report.md").read_text().splitlines()
        if line.strip().startswith('pandas.read_csv("long')
    )
    assert tabulate(runs / "a", runs / "b", "--layout=long", f"--out={tmp_path}/long.csv").returncode == 0
    monkeypatch.chdir(tmp_path)
    grouped = eval(line, {"pandas": pandas})
    with (tmp_path / "long.csv").open() as file:
        values = [float(row["value"]) for row in csv.DictReader(file) if row["run"] == "b" and row["metric"] == "auroc"]
    assert grouped.loc["b"].xs("auroc", level="metric")["mean"].iloc[0] == pytest.approx(sum(values) / len(values))
