from lingjax.reporting import LAYOUTS


def test_other_data_of_the_same_name_have_a_column_of_their_own(make_report, report):
    other_split = make_report(rows=31, target=report.target | {"split": "dev", "fingerprint": "12" * 32})
    other_data = make_report(rows=31, target=report.target | {"fingerprint": "34" * 32})
    elsewhere = make_report(rows=31, target=report.target | {"dataset": "dna_pairs"})
    table = LAYOUTS["pivot"]([report, other_split, other_data, elsewhere], ["a", "a", "a", "b"])
    columns = [heading for field, heading in table.headings.items() if field.startswith("target")]
    assert columns == ["paws_de@test abababab", "paws_de@dev", "paws_de@test 34343434", "dna_pairs"]
    assert [row.run for row in table.rows] == ["a", "b"]


def test_an_unknown_source_and_undefined_figures_stay_empty(make_report):
    report = make_report(rows=1, seeds=1, source=None)
    long, pivot = (LAYOUTS[name]([report], ["a"]) for name in ("long", "pivot"))
    assert {record["source"] for record in long.records} == {"unknown"}
    assert "source_dev_accuracy" not in {record["metric"] for record in long.records}
    assert next(record["value"] for record in long.records if record["metric"] == "auroc") is None
    assert (pivot.records[0]["source_dev_accuracy"], pivot.rows[0].source_dev_accuracy) == (None, "–")
    assert (pivot.records[0]["paws_de_auroc"], pivot.rows[0].target0) == (None, "–")
