import numpy as np
import pytest
from scipy import stats

from lingjax.evaluation import mcnemar_test, mean_spread


def test_mcnemar_by_hand():
    """Rows that only one has right: 1 against 5; two-sided 2 * (1 + 6) / 2^6."""
    first = np.array([1, 0, 0, 0, 0, 0, 1, 1, 0])
    second = np.array([0, 1, 1, 1, 1, 1, 1, 1, 0])
    test = mcnemar_test(first, second)
    assert test.to_json() == {"first_only": 1, "second_only": 5, "p": pytest.approx(2 * 7 / 64)}
    assert mcnemar_test(second, first).p == test.p
    assert mcnemar_test(first, first).to_json() == {"first_only": 0, "second_only": 0, "p": 1.0}


def test_of_several_seeds_the_side_with_more_of_them_has_the_row():
    assert mcnemar_test(np.array([1, 1 / 3, 2 / 3]), np.array([2 / 3, 1.0, 2 / 3])).to_json() == {
        "first_only": 1, "second_only": 1, "p": 1.0,
    }  # fmt: skip


def test_a_group_counts_once():
    first, second = np.zeros(6), np.array([1.0, 1, 1, 1, 1, 0])
    grouped = mcnemar_test(first, second, groups=np.array([0, 0, 0, 1, 1, 2]))
    assert (grouped.second_only, grouped.p) == (2, 0.5)


def test_the_interval_of_a_mean_is_students():
    values = np.array([0.3, -1.0, 2.5, 0.7, 0.1])
    spread = mean_spread(values)
    assert spread.interval == pytest.approx(stats.t.interval(0.95, 4, values.mean(), stats.sem(values)))
    assert spread.variance == pytest.approx(stats.sem(values) ** 2)


def test_copies_of_rows_in_groups_tell_what_the_rows_tell():
    values = np.array([0.3, -1.0, 2.5, 0.7, 0.1])
    grouped = mean_spread(np.repeat(values, 7), groups=np.repeat(np.arange(5), 7))
    assert grouped.interval == pytest.approx(mean_spread(values).interval)


@pytest.mark.parametrize(("values", "groups"), [([0.5], None), ([1.0, 1.0], None), ([], None), ([1.0, 2.0], [0, 0])])
def test_without_spread_there_is_no_interval(values, groups):
    assert mean_spread(np.array(values), groups=groups and np.array(groups)).interval is None
