import numpy as np
import pytest

from lingjax.errors import InputError
from lingjax.evaluation import PairPredictions
from lingjax.reporting import read_groups, read_predictions, write_predictions


def test_predictions_come_back_exactly(tmp_path):
    logits = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    predictions = PairPredictions(np.arange(5, dtype=np.int32), np.array([0, 1, 1, 0, 1], np.int32), logits)
    write_predictions(tmp_path / "p" / "t.seed0.jsonl", predictions, ["a", "b\u2028", 'c"', "ü", "\n"])
    back = read_predictions(tmp_path / "p" / "t.seed0.jsonl")
    for name in ("row_ids", "labels", "logits"):
        np.testing.assert_array_equal(getattr(back, name), getattr(predictions, name))


@pytest.mark.parametrize("line", ["", "{", "[]"])
def test_a_line_that_is_no_object_is_named(tmp_path, line):
    path = tmp_path / "t.jsonl"
    path.write_text('{"row": 0, "pair_id": "a", "label": 0, "logits": [0.5, 1.5]}\n' + line + "\n")
    with pytest.raises(InputError, match=r"t\.jsonl: line 2 is not JSON"):
        read_predictions(path)


@pytest.mark.parametrize("line", ["{}", '{"row": 1, "label": 0, "logits": [1.0]}'])
def test_a_broken_line_is_named(tmp_path, line):
    path = tmp_path / "t.jsonl"
    path.write_text('{"row": 0, "pair_id": "a", "label": 0, "logits": [0.5, 1.5]}\n' + line + "\n")
    with pytest.raises(InputError, match=r"t\.jsonl, line 2: not a prediction"):
        read_predictions(path)


def test_missing_predictions_are_one_clear_error(tmp_path):
    with pytest.raises(InputError, match=r"absent\.jsonl: cannot be read"):
        read_predictions(tmp_path / "absent.jsonl")


def test_groups_come_back_where_they_were_written(tmp_path):
    predictions = PairPredictions(np.arange(3), np.array([0, 1, 1]), np.zeros((3, 2), np.float32))
    write_predictions(tmp_path / "a.jsonl", predictions, ["a", "b", "c"], groups=np.array([4, 4, 0]))
    write_predictions(tmp_path / "b.jsonl", predictions, ["a", "b", "c"])
    assert read_groups(tmp_path / "a.jsonl").tolist() == [4, 4, 0]
    assert read_groups(tmp_path / "b.jsonl") is None
