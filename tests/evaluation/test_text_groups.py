import numpy as np
import pytest

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


@pytest.mark.parametrize(
    ("named", "by", "groups"),
    [
        ([], "any text", 19),
        ([""] * 20, "any text", 19),
        (["a", "a", *[""] * 18], "named group or any text", 18),
        (["b", "", "", "b", *[""] * 16], "named group or any text", 18),
        (["one"] * 10 + ["other"] * 10, "any text", 19),  # two files tell nothing of how far files differ
    ],
)
def test_named_groups_join_rows(named, by, groups):
    """Rows 2 and 3 share a text."""
    first = ["same" if row in (2, 3) else f"first {row}" for row in range(20)]
    found = text_groups(first, [f"second {row}" for row in range(20)], named=named)
    assert (found.by, found.to_json()["count"], found.rows_that_share_a_text) == (by, groups, 2)


def test_a_name_and_a_text_chain_rows():
    first = [f"first {row}" for row in range(20)]
    first[1] = first[2] = "same"
    found = text_groups(first, [f"second {row}" for row in range(20)], named=["gene", "gene", *[""] * 18])
    assert len(set(found.of_row[[0, 1, 2]])) == 1


def test_names_alone_count_where_texts_would_join_too_many_rows():
    genes = [f"gene {row // 10}" for row in range(100)]
    chained = text_groups([f"t{row}" for row in range(100)], [f"t{row + 1}" for row in range(100)], named=genes)
    assert (chained.by, chained.to_json()["count"], chained.to_json()["largest"]) == ("named group", 10, 10)
