import numpy as np

from lingjax.evaluation import text_groups

FILLER = [f"x{row}" for row in range(60)]


def test_rows_that_share_a_text_on_either_side_are_one_group():
    groups = text_groups(["a", "b", "c", "b", *FILLER], ["b", "d", "e", "f", *(text + "y" for text in FILLER)])
    assert groups.of_row[0] == groups.of_row[1] == groups.of_row[3] != groups.of_row[2]
    assert groups.rows_that_share_a_text == 3
    assert groups.to_json() == {"count": 62, "largest": 3, "by": "any text"}


def test_a_text_beside_itself_is_not_shared():
    assert text_groups(["a", "b"], ["a", "c"]).rows_that_share_a_text == 0


def test_few_genes_beside_many_others_are_grouped_by_the_gene():
    first = [f"gene{row % 10}" for row in range(200)]
    second = [f"partner{row % 37}" for row in range(200)]
    groups = text_groups(first, second)
    assert groups.by == "first text"
    assert np.bincount(groups.of_row).tolist() == [20] * 10
    assert text_groups(second, first).by == "second text"


def test_a_text_of_most_rows_joins_none():
    groups = text_groups(["same"] * 30, FILLER[:30])
    assert groups.to_json() == {"count": 30, "largest": 1, "by": "any text"}
    assert groups.rows_that_share_a_text == 30


def test_no_rows_have_no_groups():
    assert text_groups([], []).to_json() == {"count": 0, "largest": 0, "by": "any text"}
