import numpy as np
import pytest

from lingjax.evaluation import (
    CONTROL_NAMES,
    ControlResult,
    LabelledScores,
    SkippedControl,
    auroc,
    complete_controls,
    majority,
    model_control,
    threshold_control,
    token_jaccard,
    token_overlap,
)
from lingjax.evaluation.controls import best_control, best_threshold


def tokens(*rows):
    return [np.array(row, np.int32) for row in rows]


def test_majority_is_the_commoner_label_at_chance_ranking():
    control = majority(np.array([0, 1, 0, 0, 1]))
    assert control.to_json() == {"accuracy": 0.6, "auroc": 0.5, "ci95": [0.5, 0.5]}


def test_majority_of_one_class_has_no_ranking():
    assert majority(np.ones(3, int)).to_json() == {"accuracy": 1.0, "auroc": None, "ci95": None}


def test_token_overlap_compares_sets():
    overlap = token_overlap(tokens([1, 2, 3], [4, 4], [], [5]), tokens([3, 2, 9, 9], [4], [], [6]))
    assert overlap.tolist() == [0.5, 1.0, 1.0, 0.0]


def test_token_overlap_wants_as_many_second_sentences():
    with pytest.raises(ValueError, match="1 first and 2 second"):
        token_overlap(tokens([1]), tokens([1], [2]))


def test_threshold_comes_from_the_source_and_not_from_the_target():
    target = np.array([0.2, 0.4, 0.6, 0.8])
    source = LabelledScores(scores=np.array([0.6, 0.7, 0.9]), labels=np.array([0, 0, 1]))
    control = threshold_control(target, np.array([0, 0, 1, 1]), source=source)
    # The source's threshold is 0.8, which calls every target pair 0; the target's own best would be 0.5.
    assert control.accuracy == 0.5
    assert control.auroc == 1.0


def test_without_a_source_the_ranking_is_known_and_the_accuracy_is_not():
    control = token_jaccard(tokens([1], [1], [2]), tokens([1], [1], [3]), np.array([1, 1, 0]))
    assert control.accuracy is None
    assert control.auroc == 1.0


def test_token_jaccard_with_a_source_reports_accuracy():
    source = LabelledScores(scores=np.array([0.1, 0.9]), labels=np.array([0, 1]))
    control = token_jaccard(tokens([1], [1], [2]), tokens([1], [4], [3]), np.array([1, 1, 0]), source=source)
    assert control.accuracy == pytest.approx(2 / 3)


def test_best_threshold_is_as_accurate_as_trying_them_all():
    rng = np.random.default_rng(4)
    scores, positive = rng.integers(0, 9, 67) / 8, rng.random(67) < 0.4
    tried = [np.mean((scores > threshold) == positive) for threshold in [-1, *np.arange(0, 9) / 8 + 1 / 16]]
    assert np.mean((scores > best_threshold(scores, positive)) == positive) == max(tried)


def test_best_threshold_may_give_every_row_the_same_label():
    assert best_threshold(np.array([0.1, 0.2]), np.array([True, True])) == -np.inf
    assert best_threshold(np.array([0.1, 0.2]), np.array([False, False])) == np.inf


def test_model_control_averages_its_seeds(skilled):
    predictions = skilled(rows=101, seeds=2)
    control = model_control(predictions)
    aurocs = [auroc(one.labels, one.positive_probability) for one in predictions.values()]
    assert control.auroc == pytest.approx(np.mean(aurocs))
    assert [entry["auroc"] for entry in control.to_json()["seeds"]] == aurocs
    assert control.scores.shape == (2, 101)


def test_controls_that_did_not_run_say_why():
    controls = complete_controls({"majority": majority(np.array([0, 1]))}, reason="not asked for")
    assert tuple(controls) == CONTROL_NAMES
    assert controls["edit_similarity"].to_json() == {"skipped": "not asked for"}


def test_an_optional_control_is_named_where_it_was_measured():
    controls = complete_controls({"local_alignment": SkippedControl("text")}, reason="not asked for")
    assert tuple(controls) == (*CONTROL_NAMES, "local_alignment")


def test_settings_of_a_control_are_reported():
    control = threshold_control(np.arange(4.0), np.array([0, 1, 0, 1]), source=None, settings={"k": 3})
    assert control.to_json()["settings"] == {"k": 3}


def test_unknown_controls_are_refused():
    with pytest.raises(ValueError, match="unknown controls \\['magic'\\]"):
        complete_controls({"magic": SkippedControl("no")}, reason="x")


def test_best_control_ranks_by_auroc_and_skips_the_undefined():
    controls = {
        "majority": ControlResult(accuracy=0.9, auroc=0.5, ci95=None),
        "token_jaccard": ControlResult(accuracy=None, auroc=0.8, ci95=None),
        "length_only": ControlResult(accuracy=None, auroc=None, ci95=None),
        "edit_similarity": SkippedControl("no"),
    }
    assert best_control(controls)[0] == "token_jaccard"
    assert best_control({"edit_similarity": SkippedControl("no")}) is None
