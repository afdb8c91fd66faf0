import pytest

from data_prep.tally import MOST_PROBLEMS, Tally, TooManyProblemsError, add_up


def test_counts_of_parts_add_up_and_problems_keep_their_order():
    first, second = Tally(), Tally()
    first.add("dropped", "b", 2)
    first.add("dropped", "nothing", 0)
    first.add_problem("one")
    second.add("dropped", "b")
    second.add("dropped", "a", 5)
    second.add("read", "b", 7)
    second.add_problem("two")
    whole = add_up([first, second])
    assert list(whole.group("dropped").items()) == [("a", 5), ("b", 3)]
    assert (whole.group("read"), whole.group("changed")) == ({"b": 7}, {})
    assert whole.problems == ["one", "two"]
    assert first.group("dropped") == {"b": 2}


def test_a_thousand_problems_are_enough():
    tally = Tally()
    for number in range(MOST_PROBLEMS - 1):
        tally.add_problem(str(number))
    with pytest.raises(TooManyProblemsError):
        tally.add_problem("last")
    assert tally.problems[-1] == "last"
