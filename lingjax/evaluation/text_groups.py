"""Which rows of a target hang together, as they share a text or a named group: they are drawn together."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

# One group of a fifth of the rows leaves too few others to tell how far groups differ.
_LARGEST_GROUP_FRACTION = 0.2


@dataclasses.dataclass(frozen=True)
class TextGroups:
    """The group of every row, numbered from 0.

    `by` says what rows of a group share: a text, directly or through other rows; or, where too many rows hang together
    in that way, only the first text, or only the second; or a group that the dataset names, with or without the texts.
    `rows_that_share_a_text` counts the rows of which a text occurs in another row too.
    """

    of_row: Int[np.ndarray, " rows"]
    by: Literal["any text", "first text", "second text", "named group", "named group or any text"]
    rows_that_share_a_text: int

    def to_json(self) -> dict[str, Any]:
        """The groups as the report's audit holds them."""
        sizes = np.bincount(self.of_row)
        return {"count": int(sizes.size), "largest": int(sizes.max(initial=0)), "by": self.by}


def text_groups(first: Sequence[str], second: Sequence[str], *, named: Sequence[str] = ()) -> TextGroups:
    """Groups rows by the texts and the named groups they share; texts are compared as they are, so fold them before.

    Rows that share a text are a group, directly or through others. Where one such group would hold more than a fifth
    of all rows (few texts, each beside many others), rows that share their first text are a group, or those that share
    their second, whichever leaves the larger groups. A text that more than half of the rows hold (one question put to
    all) is a condition of the whole target and joins none.

    Rows of one named group (an article, a gene) are a group too, together with all that share a text with them. Where
    that would hold more than a fifth of all rows, the named groups alone count; where one of these would (two source
    files, say), names tell nothing of how far groups differ, and only texts count.

    Args:
      first: texts.
      second: texts.
      named: a name for every row, empty for a row without; none at all if the dataset names no groups.

    >>> text_groups(["a", "a", "b", "c", "d"], ["v", "w", "x", "y", "z"]).of_row.tolist()
    [0, 0, 1, 2, 3]
    """
    by_text = _groups_of_texts(first, second)
    if not any(named):
        return by_text
    rows = by_text.of_row.size
    numbers = {name: number for number, name in enumerate(dict.fromkeys(named)) if name}
    of_names = np.array([numbers.get(name, len(named) + row) for row, name in enumerate(named)])
    together = linked_rows(np.stack([by_text.of_row, rows + of_names]))
    if by_text.by == "any text" and np.bincount(together).max() <= _LARGEST_GROUP_FRACTION * rows:
        return dataclasses.replace(by_text, of_row=together, by="named group or any text")
    alone = np.unique(of_names, return_inverse=True)[1].reshape(rows)
    if np.bincount(alone).max() <= _LARGEST_GROUP_FRACTION * rows and _rows_beside(alone) > _rows_beside(
        by_text.of_row
    ):
        return dataclasses.replace(by_text, of_row=alone, by="named group")
    return by_text


def _groups_of_texts(first: Sequence[str], second: Sequence[str]) -> TextGroups:
    ends = numbered_texts(first, second)
    rows = ends.shape[1]
    if not rows:
        return TextGroups(np.zeros(0, np.int64), "any text", 0)
    # A text that a row holds twice is not shared by that.
    uses = np.bincount(np.concatenate([ends[0], ends[1][ends[0] != ends[1]]]))
    shared = int(((uses[ends[0]] > 1) | (uses[ends[1]] > 1)).sum())
    ends = _without_common(ends, uses)
    linked = linked_rows(ends)
    if np.bincount(linked).max() <= _LARGEST_GROUP_FRACTION * rows:
        return TextGroups(linked, "any text", shared)
    by_first, by_second = (np.unique(side, return_inverse=True)[1].reshape(rows) for side in ends)
    if _rows_beside(by_first) >= _rows_beside(by_second):
        return TextGroups(by_first, "first text", shared)
    return TextGroups(by_second, "second text", shared)


def linked_rows(ends: Int[np.ndarray, "2 rows"]) -> Int[np.ndarray, " rows"]:
    """Returns the group of every row: rows that share a text, directly or through others.

    Args:
      ends: the numbers of every row's two texts, from 0.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    texts = int(ends.max()) + 1
    graph = coo_array((np.ones(ends.shape[1]), ends), shape=(texts, texts))
    _, group_of_text = connected_components(graph, directed=False)
    return np.unique(group_of_text[ends[0]], return_inverse=True)[1].reshape(ends.shape[1])


def numbered_texts(first: Sequence[str], second: Sequence[str]) -> Int[np.ndarray, "2 rows"]:
    """Returns the numbers of every row's two texts, from 0 in order of appearance; equal texts have one number."""
    texts: dict[str, int] = {}
    return np.array([[texts.setdefault(text, len(texts)) for text in side] for side in (first, second)], np.int64)


def _without_common(ends: Int[np.ndarray, "2 rows"], uses: Int[np.ndarray, " texts"]) -> Int[np.ndarray, "2 rows"]:
    """Returns the numbers with another one in each place of a text that more than half of the rows hold."""
    alone = uses.size + np.arange(ends.size).reshape(ends.shape)
    return np.where(uses[ends] > ends.shape[1] / 2, alone, ends)


def _rows_beside(groups: Int[np.ndarray, " rows"]) -> float:
    """Returns the size of the group of a row drawn at random, on average."""
    return float((np.bincount(groups) ** 2).sum() / groups.size)
