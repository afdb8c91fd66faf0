import numpy as np
import pytest

from lingjax.evaluation.tally import BinaryTally, binary_rates


def test_tallies_add_before_they_divide():
    total = BinaryTally(1, 2, 3, 4, log_loss_sum=6.0) + BinaryTally(1, 0, 0, 3, log_loss_sum=1.0)
    assert total == BinaryTally(2, 2, 3, 7, log_loss_sum=7.0)
    assert total.rates()["log_loss"] == 0.5


def test_nothing_counted_has_no_rate():
    assert set(BinaryTally().rates().values()) == {None}


def test_rates_of_a_table_worked_out_by_hand():
    rates = BinaryTally(true_negative=5, false_positive=2, false_negative=3, true_positive=7, log_loss_sum=8.5).rates()
    assert rates["accuracy"] == pytest.approx(12 / 17)
    assert rates["flipped_accuracy"] == pytest.approx(5 / 17)
    assert rates["f1"] == pytest.approx(14 / 19)
    assert rates["mcc"] == pytest.approx((35 - 6) / np.sqrt(9 * 8 * 10 * 7))
    assert rates["log_loss"] == 0.5
    assert rates["predicted_positive_fraction"] == pytest.approx(9 / 17)


def test_mcc_is_the_correlation_of_labels_and_predictions():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 2, (2, 53))
    counts = [int(np.sum((labels == a) & (predicted == b))) for a in (0, 1) for b in (0, 1)]
    assert BinaryTally(*counts).rates()["mcc"] == pytest.approx(np.corrcoef(labels, predicted)[0, 1], abs=1e-12)


def test_collapsed_predictions_have_mcc_and_f1_of_zero():
    rates = BinaryTally(true_negative=7, false_negative=5).rates()
    assert (rates["mcc"], rates["f1"], rates["predicted_positive_fraction"]) == (0.0, 0.0, 0.0)


def test_labels_of_one_class_leave_mcc_undefined():
    assert BinaryTally(true_negative=7, false_positive=2).rates()["mcc"] is None
    assert BinaryTally(false_negative=2, true_positive=3).rates()["mcc"] is None


def test_no_positive_anywhere_leaves_f1_undefined():
    assert BinaryTally(true_negative=7).rates()["f1"] is None


def test_many_tables_at_once_equal_one_at_a_time():
    tables = np.random.default_rng(1).integers(0, 4, (11, 4))
    together = binary_rates(*tables.T)
    for position, table in enumerate(tables.tolist()):
        rates = BinaryTally(*table).rates()
        for name, values in together.items():
            assert rates[name] is None if np.isnan(values[position]) else rates[name] == values[position]
