import dataclasses

import pytest

from lingjax.reporting import added_text, power_text, render_report_page, table_rows, why_undetermined


def changed(report, **verdict):
    return dataclasses.replace(report, verdict=report.verdict | verdict)


@pytest.mark.parametrize(
    ("shown", "words"), [(True, "no transfer beyond 0.05 shown"), (False, "these rows could not tell")]
)
def test_undetermined_says_which_of_the_two_it_is(report, shown, words):
    undetermined = changed(
        report, orientation="undetermined", equivalence={"margin": 0.05, "shown": shown, "p": 0.02 if shown else 0.4}
    )
    assert why_undetermined(undetermined.verdict) == words
    assert table_rows([undetermined])[0].orientation == f"undetermined: {words}"
    page = render_report_page([undetermined])
    assert words in page.replace("These rows", "these rows").replace("No transfer", "no transfer")
    assert why_undetermined(report.verdict) == ""


@pytest.mark.parametrize(("adds", "words"), [(True, "adds to"), (False, "not shown to add"), (None, "cannot be told")])
def test_what_is_added_is_said_with_its_figures(report, adds, words):
    text = added_text(report.verdict | {"adds_to_best_control": adds})
    assert words in text
    assert "nats a row [" in text
    reason = report.verdict["added_value"] | {"reason": "too few rows of a label"}
    assert added_text({"adds_to_best_control": None, "added_value": reason}).endswith("too few rows of a label")
    assert table_rows([changed(report, adds_to_best_control=adds)])[0].adds_to_best_control in ("yes", "no", "–")


def test_power_names_what_would_have_been_shown(report):
    power = report.verdict["power"]
    assert "80 % of repetitions" in power_text(report.verdict)
    assert "no AUROC" in power_text({"power": power | {"auroc": None}})
    older = changed(report)
    for name in ("adds_to_best_control", "added_value", "power", "equivalence"):
        del older.verdict[name]
    assert added_text(older.verdict) == power_text(older.verdict) == why_undetermined(older.verdict) == ""
    assert table_rows([older])[0].adds_to_best_control == "–"
