import pytest

from lingjax.errors import InputError, nearest, raise_problems


def test_no_problem_raises_nothing():
    raise_problems("file.csv", [])


def test_all_problems_are_named_in_one_error():
    with pytest.raises(InputError) as caught:
        raise_problems("file.csv", ["row 2: no label", "row 5: label is 7"])
    assert str(caught.value) == "file.csv: row 2: no label; row 5: label is 7"


def test_problems_beyond_those_shown_are_counted():
    with pytest.raises(InputError) as caught:
        raise_problems("file.csv", ["a", "b", "c", "d", "e"], shown=3)
    assert str(caught.value) == "file.csv: a; b; c; and 2 more"


def test_an_input_error_is_a_value_error():
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linaer", "did you mean 'linear'?"),
        ("xyz", "choose one of: cosine, linear"),
        ("", "choose one of: cosine, linear"),
    ],
)
def test_the_nearest_name_is_suggested_or_all_are_listed(name, expected):
    assert nearest(name, (choice for choice in ("linear", "cosine"))) == expected
