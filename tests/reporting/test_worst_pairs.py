import csv

import numpy as np

from lingjax.data import PairRecord
from lingjax.evaluation import ControlResult, PairPredictions, SkippedControl
from lingjax.reporting import write_worst_pairs

RECORDS = [
    PairRecord("a", "one", "two", 1),
    PairRecord("b", 'a "tab"\there', "line\nend", 0),
    PairRecord("c", "three", "four", 1),
    PairRecord("d", "five", "six", 0),
]
LABELS = np.array([1, 0, 1, 0], np.int32)


def predictions(*logits):
    both = np.stack([np.zeros(4), logits], axis=1).astype(np.float32)
    return PairPredictions(row_ids=np.arange(4, dtype=np.int32), labels=LABELS, logits=both)


def control(auroc, scores, rows=None):
    return ControlResult(accuracy=None, auroc=auroc, ci95=None, scores=np.array(scores, float), rows=rows)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_wrong_pairs_stand_with_texts_and_the_best_controls_score_the_worst_first(tmp_path):
    controls = {
        "edit_similarity": control(0.7, [[0.1, 0.5, 0.9, 0.2], [0.3, 0.5, 0.9, 0.2]]),
        "length_only": control(0.4, [[9, 9, 9, 9]]),
        "local_alignment": SkippedControl("not sequences"),
    }
    runs = {0: predictions(-1, 2, 3, -3), 1: predictions(-2, 3, 3, -3)}
    write_worst_pairs(tmp_path / "t.tsv", RECORDS, runs, controls)
    second, first = read(tmp_path / "t.tsv")[::-1]
    # Means of two sigmoids, by hand: of 2 and 3, and of -1 and -2.
    assert (first["pair_id"], first["label"], first["positive_probability"]) == ("b", "0", "0.916686")
    assert (first["sentence1"], first["sentence2"]) == ('a "tab"\there', "line\nend")
    assert (second["row"], second["positive_probability"]) == ("0", "0.194072")
    assert (second["control"], second["control_score"]) == ("edit_similarity", "0.2")


def test_a_control_that_saw_some_rows_scores_only_those(tmp_path):
    controls = {"local_alignment": control(0.9, [[5.0]], rows=np.array([1]))}
    write_worst_pairs(tmp_path / "t.tsv", RECORDS, {0: predictions(-1, 2, 3, -3)}, controls)
    assert [(line["pair_id"], line["control_score"]) for line in read(tmp_path / "t.tsv")] == [("b", "5"), ("a", "")]


def test_without_wrong_pairs_or_controls_there_is_the_heading(tmp_path):
    write_worst_pairs(tmp_path / "t.tsv", RECORDS, {0: predictions(1, -1, 1, -1)}, {})
    assert read(tmp_path / "t.tsv") == []
