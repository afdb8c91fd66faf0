import math
from decimal import Decimal

import pytest

from data_prep.builders.pair_rows import read_pair
from data_prep.formats.tables import Row

VALUES = {"sentence1": "a", "sentence2": "b", "label": "1"}


def read(**changes):
    return read_pair(Row("x.tsv:2", {**VALUES, **changes}), default_id="x.tsv:1")


@pytest.mark.parametrize("value", ["0", "0.0", "0 ", "False", 0, 0.0, False, Decimal("0.0")])
def test_every_way_to_write_label_0(value):
    record, faults = read(label=value)
    assert (record["label"], faults) == (0, [])
    assert type(record["label"]) is int


@pytest.mark.parametrize("value", ["1", "1.0", " 1", "True", 1, 1.0, True, Decimal("1.0")])
def test_every_way_to_write_label_1(value):
    record, faults = read(label=value)
    assert (record["label"], faults) == (1, [])


@pytest.mark.parametrize("value", ["2", 2, -1, 0.5, "", " ", "1 0", Decimal("0.5"), b"1", "yes", "true", [1], math.nan])
def test_any_other_label_is_a_fault(value):
    assert read(label=value)[1] == [f"label is {value!r}, not 0 or 1"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"sentence1": ""}, "sentence1 is empty"),
        ({"sentence2": " \u3000"}, "sentence2 is empty"),
        ({"sentence2": 5}, "sentence2 is 5, not text"),
        ({"sentence2": None}, "sentence2 is missing"),
        ({"sentence1": "half \ud83e"}, "sentence1 holds half of a surrogate pair, which is no character"),
        ({"label": None}, "label is missing"),
        ({"id": ""}, "id is empty"),
        ({"pair_id": 1.5}, "pair_id is 1.5, not text"),
        ({"id": True}, "id is True, not text"),
        ({"identity": "most"}, "identity is 'most', not a number"),
        ({"identity": math.inf}, "identity is inf, not a number"),
        ({"source": 3}, "source is 3, not text"),
    ],
)
def test_a_faulty_value_is_named(changes, fault):
    assert read(**changes)[1] == [fault]


def test_all_faults_of_a_row_are_named():
    assert len(read(sentence1="", sentence2="", label="x")[1]) == 3


def test_text_is_kept_as_it_is():
    record, _ = read(sentence1=' "kept" ', sentence2="NS")
    assert (record["sentence1"], record["sentence2"]) == (' "kept" ', "NS")


@pytest.mark.parametrize(
    ("columns", "pair_id"),
    [({}, "x.tsv:1"), ({"id": "v7"}, "v7"), ({"id": 7}, "7"), ({"pair_id": "p", "id": "v7"}, "p")],
)
def test_the_id_is_the_rows_own_or_the_default(columns, pair_id):
    assert read(**columns)[0]["pair_id"] == pair_id


@pytest.mark.parametrize("value", [None, "", "nan", math.nan])
def test_an_unknown_identity_is_absent_and_no_fault(value):
    record, faults = read(identity=value)
    assert "identity" not in record
    assert faults == []


def test_a_long_value_is_shown_in_part():
    (fault,) = read(sentence1={str(number): "x" for number in range(10_000)})[1]
    assert fault == "sentence1 is {'0': 'x', '1': 'x', '2': 'x', '3': 'x',..., not text"
