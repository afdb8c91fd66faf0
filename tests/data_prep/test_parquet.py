import json

import pyarrow
import pytest
from pyarrow import parquet

from data_prep.builders.pairs import build, read_pairs
from data_prep.formats.parquet import read_parquet
from lingjax.errors import InputError


def write(path, **columns):
    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_rows_have_their_values_and_their_place(tmp_path):
    table = read_parquet(write(tmp_path / "x.parquet", a=["p", None], b=[1, 2]))
    assert table.columns == ("a", "b")
    assert [row.values for row in table.rows] == [{"a": "p", "b": 1}, {"a": None, "b": 2}]
    assert table.rows[1].place == f"{tmp_path}/x.parquet:2"


def test_parquet_goes_through_pairs_like_any_table(tmp_path):
    path = write(tmp_path / "x.parquet", sentence1=["a", "c"], sentence2=["b", "d"], label=[True, False], other=[1, 2])
    table = read_pairs([path])
    records, dropped = table.records, table.dropped
    assert [(record["pair_id"], record["sentence1"], record["label"]) for record in records] == [
        ("x.parquet:1", "a", 1),
        ("x.parquet:2", "c", 0),
    ]
    assert dropped == {"values of column 'other'": 2}
    bad = write(tmp_path / "y.parquet", sentence1=["a"], sentence2=[None], label=[7])
    with pytest.raises(InputError, match=r"y.parquet:1: sentence2 is missing; .*y.parquet:1: label is 7, not 0 or 1"):
        read_pairs([bad])


@pytest.mark.parametrize(("content", "reason"), [(b"", "is no readable"), (b"PAR1 hello", "is no readable")])
def test_a_damaged_file_is_one_line(tmp_path, content, reason):
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_parquet(tmp_path / "x.parquet")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_one_without_rows_are_named(tmp_path):
    with pytest.raises(InputError, match=r"x.parquet does not exist"):
        read_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match="has a header but no rows"):
        read_parquet(write(tmp_path / "x.parquet", a=pyarrow.array([], pyarrow.string())))


def write_classes(path, names):
    features = {"label": {"names": names, "_type": "ClassLabel"}, "sentence1": {"dtype": "string", "_type": "Value"}}
    table = pyarrow.table({"sentence1": ["a"], "sentence2": ["b"], "label": [1]})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


@pytest.mark.parametrize("names", [["not_equivalent", "equivalent"], ["0", "1"], ["no", "yes"], []])
def test_classes_of_which_1_means_a_match_are_read(tmp_path, names):
    path = write_classes(tmp_path / "x.parquet", names)
    assert read_parquet(path).label_names == tuple(names)
    assert read_pairs([path]).records[0]["label"] == 1
    (folder,) = build(tmp_path / "ds", name="x", source=[str(path)])
    told = f"In the files label 0 is called '{names[0]}' and label 1 '{names[1]}'." if names else ""
    card = (folder / "README.md").read_text()
    assert told in card
    assert ("is called" in card) == bool(names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["entailment", "not_entailment"], "opposite.*1 is 'not_entailment'.*exchange 0 and 1"),
        (["same", "Different"], "opposite"),
        (["entailment", "neutral", "contradiction"], "3 classes.*2 is 'contradiction'"),
    ],
)
def test_classes_that_mean_something_else_are_refused(tmp_path, names, message):
    with pytest.raises(InputError, match=message):
        read_pairs([write_classes(tmp_path / "x.parquet", names)])
