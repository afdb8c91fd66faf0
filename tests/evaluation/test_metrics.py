import itertools

import numpy as np
import pytest

from lingjax.data import PairBatch
from lingjax.evaluation import auroc, collect_predictions, pair_metrics


def batch_of(rows, *, slots=2, length=7):
    """A batch of one or more rows of `slots` slots; -1 marks a filler slot; the label is the row's parity."""
    row_ids = np.array(rows, np.int32).reshape(-1, slots)
    tokens = np.zeros((len(row_ids), length), np.int32)
    is_real = row_ids >= 0
    return PairBatch(
        token_ids=tokens,
        segment_ids=tokens,
        document_ids=tokens,
        positions=tokens,
        pool_positions=np.zeros_like(row_ids),
        labels=np.where(is_real, row_ids % 2, 0).astype(np.int32),
        is_real=is_real,
        row_ids=row_ids,
    )


def forward(batch):
    """Logits that tell the row, and a filler slot by absurd values."""
    logits = np.stack([-batch.row_ids, batch.row_ids / 2], axis=-1).astype(np.float32)
    return np.where(batch.is_real[..., None], logits, 1e9).astype(np.float32)


def test_rows_come_back_sorted_whatever_the_batches():
    predictions = collect_predictions(forward, [batch_of([4, 2]), batch_of([0, 3, 1, -1])], 5)
    assert predictions.row_ids.tolist() == [0, 1, 2, 3, 4]
    assert predictions.labels.tolist() == [0, 1, 0, 1, 0]
    assert predictions.logits[:, 0].tolist() == [0, -1, -2, -3, -4]
    assert predictions.positive_probability == pytest.approx(1 / (1 + np.exp(-1.5 * np.arange(5))))


def test_progress_counts_real_pairs_only():
    seen = []
    collect_predictions(forward, [batch_of([2, -1]), batch_of([0, 1])], 3, seen.append)
    assert seen == [1, 2]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1]], "1 missing, 0 repeated, 0 out of range, first missing row 2"),
        ([[0, 1], [2, 1]], "0 missing, 1 repeated, 0 out of range, first repeated row 1"),
        ([[0, 1], [2, 5]], "0 missing, 0 repeated, 1 out of range"),
    ],
)
def test_each_row_must_come_exactly_once(rows, message):
    with pytest.raises(ValueError, match=message):
        collect_predictions(forward, [batch_of(row) for row in rows], 3)


def test_logits_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 2\), expected \(1, 2, 2\)"):
        collect_predictions(lambda batch: forward(batch)[..., 0], [batch_of([0, 1])], 2)


def test_logits_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="2 of 2 rows are not finite, first at row 0"):
        collect_predictions(lambda batch: forward(batch) * np.nan, [batch_of([0, 1])], 2)


def test_no_rows_give_no_figures_and_no_error():
    predictions = collect_predictions(forward, [], 0)
    metrics = pair_metrics(predictions.labels, predictions.positive_probability)
    assert metrics.confusion == [[0, 0], [0, 0]]
    assert {value for name, value in metrics.to_json().items() if name != "confusion"} == {None}


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 2, 47), rng.integers(0, 6, 47) / 7
    pairs = list(itertools.product(scores[labels == 1], scores[labels == 0]))
    wins = sum(1.0 if positive > negative else 0.5 if positive == negative else 0.0 for positive, negative in pairs)
    assert auroc(labels, scores) == pytest.approx(wins / len(pairs), abs=1e-12)


def test_equal_scores_rank_at_chance():
    assert auroc(np.array([0, 1, 1]), np.full(3, 0.3)) == 0.5


def test_each_label_needs_its_score():
    with pytest.raises(ValueError, match=r"labels of shape \(2,\) do not match scores of shape \(1,\)"):
        auroc(np.array([0, 1]), np.array([0.1]))


def test_one_class_has_no_auroc():
    metrics = pair_metrics(np.array([1, 1]), np.array([0.2, 0.7]))
    assert (metrics.auroc, metrics.mcc, metrics.accuracy) == (None, None, 0.5)


def test_metrics_worked_out_by_hand():
    metrics = pair_metrics(np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.6, 0.9, 0.4, 0.8]))
    assert metrics.confusion == [[1, 1], [1, 2]]
    assert metrics.accuracy == metrics.predicted_positive_fraction == 0.6
    assert metrics.flipped_accuracy == 0.4
    assert metrics.f1 == pytest.approx(4 / 6)
    assert metrics.auroc == pytest.approx(5 / 6)
    assert metrics.log_loss == pytest.approx(-np.log([0.9, 0.4, 0.9, 0.4, 0.8]).mean())
    # Bins of 1/15: confidence 0.6 twice (0 of 2 right), 0.8 once (right), 0.9 twice (2 of 2 right).
    assert metrics.ece == pytest.approx((2 * 0.6 + 0.2 + 2 * 0.1) / 5)


def test_a_probability_of_one_half_predicts_label_0():
    assert pair_metrics(np.array([0]), np.array([0.5])).confusion == [[1, 0], [0, 0]]


def test_certain_but_wrong_predictions_have_a_finite_log_loss():
    metrics = pair_metrics(np.array([0, 1]), np.array([1.0, 0.0]))
    assert metrics.log_loss == pytest.approx(-np.log(np.finfo(np.float64).eps))
    assert metrics.ece == 1.0


@pytest.mark.parametrize(
    ("labels", "probability", "message"),
    [
        ([0, 2], [0.1, 0.2], r"labels must be 0 or 1, got \[2\]"),
        ([0, 1], [0.1, 1.5], "outside 0 to 1"),
        ([0, 1], [0.1, np.nan], "outside 0 to 1 or NaN"),
    ],
)
def test_impossible_input_is_refused(labels, probability, message):
    with pytest.raises(ValueError, match=message):
        pair_metrics(np.array(labels), np.array(probability))
