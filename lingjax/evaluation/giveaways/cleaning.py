"""Which rows to keep so that none contradicts, repeats or mirrors another, and none repeats what is trained on."""

import dataclasses
from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Int

from lingjax.evaluation.giveaways import exact
from lingjax.evaluation.giveaways.rows import AuditedRows


@dataclasses.dataclass(frozen=True)
class Cleaned:
    """What is left of a table.

    Attributes:
      kept: numbers of the rows, in order.
      dropped: counts of the others, by the first reason that applied.
    """

    kept: Int[np.ndarray, " kept"]
    dropped: dict[str, int]


def clean_rows(rows: AuditedRows, training: AuditedRows | None = None, *, seed: int = 0) -> Cleaned:
    """Drops what an audit would find.

    Rows of conflicting labels go, all of them; of rows that repeat one another the first stays; rows that hold a text,
    or a near-copy of a text, of the training rows go; of composition twins of opposite label one is kept, drawn by the
    seed, where there are more such twins than chance has, until no such twins are left.

    Args:
      rows: one table's.
      training: the rows a model is trained on, cleaned themselves, if these rows are to judge it.
      seed: decides the draw among twins.
    """
    kept, dropped = np.arange(len(rows)), {}

    def drop(reason: str, found: Sequence[int] | Int[np.ndarray, " some"]) -> None:
        nonlocal kept
        dropped[reason] = len(found)
        kept = np.delete(kept, found)

    drop("conflicting labels", exact.conflicts(rows).rows)
    drop("repeated rows", exact.repeats(rows.take(kept)).rows)
    if training is not None:
        drop("rows with a text of the training rows", exact.shared_texts(rows.take(kept), training).rows)
        drop("near copies of training rows", exact.similar_rows(rows.take(kept), training).rows)
    twins = 0
    while (found := exact.twins(rows.take(kept), seed=seed)).is_designed:
        gone = _all_but_one(found, seed=seed)
        twins += gone.size
        kept = np.delete(kept, gone)
    dropped["composition twins of opposite label"] = twins
    return Cleaned(kept, dropped)


def _all_but_one(found: exact.Twins, *, seed: int) -> Int[np.ndarray, " gone"]:
    """Returns all rows of every group of twins but one."""
    groups: dict[Hashable, list[int]] = {}
    for row, bag in zip(found.rows, found.bags, strict=True):
        groups.setdefault(bag, []).append(int(row))
    rng = np.random.default_rng(seed)
    gone = [np.delete(rows, rng.integers(len(rows))) for rows in map(np.array, groups.values())]
    return np.sort(np.concatenate(gone))
