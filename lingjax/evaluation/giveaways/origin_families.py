"""Families that read no text: the order of rows, their ids, their sources; and the labels of rows with like texts."""

import re
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from lingjax.evaluation.giveaways.columns import Columns, counted, joined, numbers
from lingjax.evaluation.giveaways.probe import FOLDS, Folds, Probe, scored
from lingjax.evaluation.giveaways.rows import AuditedRows
from lingjax.evaluation.giveaways.text_column import TextColumn

_BLOCKS = (2, 4, 8, 16)
_MOST_NAMES = 5000
_NEIGHBOURS = 7
_MOST_KMER_FEATURES = 1024
_MOST_ROWS_COMPARED = 3000


def origin_families(rows: AuditedRows) -> Iterator[tuple[str, Columns]]:
    """Yields the families of order, ids and sources, by name."""
    yield "order of the rows", _order(rows)
    if rows.ids is not None:
        yield "id", _ids(rows)
    if rows.sources is not None:
        yield "source", _sources(rows)


def _order(rows: AuditedRows) -> Columns:
    """Returns in which half, quarter, eighth and sixteenth of the table a row stands.

    Alternating labels are no finding: who shuffles the rows undoes them, and so does a model that reads one at a time.
    """
    share = rows.places / (rows.places.max() + 1)
    owner, codes = [], []
    for blocks in _BLOCKS:
        owner.append(np.arange(len(rows)))
        codes.append(blocks * 100 + (share * blocks).astype(np.int64))
    return counted(
        np.concatenate(owner),
        np.concatenate(codes),
        len(rows),
        lambda code: f"part {code % 100 + 1} of {code // 100} of the table",
        fewest_rows=2,
        most=_MOST_NAMES,
    )


def _ids(rows: AuditedRows) -> Columns:
    """Returns the pieces of ids, digits made alike, and the size of the last number in each."""
    names: dict[str, int] = {}
    owner, codes, sizes = [], [], []
    for row, name in enumerate(rows.ids):
        shape = re.sub(r"\d+", "0", name)
        pieces = {shape, *re.split(r"[\W_]+", shape), *re.split(r"[\W_]+", name)}
        pieces |= {shape[:3], shape[-3:], f"{len(name)} characters"}
        owner += [row] * len(pieces)
        codes += [names.setdefault(piece, len(names)) for piece in sorted(pieces)]
        digits = re.findall(r"\d{1,15}", name)
        sizes.append(float(digits[-1]) if digits else -1.0)
    spoken = list(names)
    pieces = counted(
        np.array(owner, np.int64),
        np.array(codes, np.int64),
        len(rows),
        lambda code: f"{spoken[code]!r} in the id",
        fewest_rows=3,
        most=_MOST_NAMES,
    )
    return joined([pieces, numbers(np.array(sizes)[:, None], ["number in the id"])])


def _sources(rows: AuditedRows) -> Columns:
    names: dict[str, int] = {}
    codes = np.array([names.setdefault(source, len(names)) for source in rows.sources], np.int64)
    spoken = list(names)
    return counted(
        np.arange(len(rows)), codes, len(rows), lambda code: repr(spoken[code]), fewest_rows=2, most=_MOST_NAMES
    )


def nearest_rows(columns: tuple[TextColumn, ...], folds: Folds) -> Probe | None:
    """Predicts a row's label from those of the seven rows of other folds whose texts are most like its own.

    Alike: the cosine of the texts' runs of three letters (four of DNA), rare ones weighing more.
    """
    from scipy.stats import rankdata

    if folds.positive.size > _MOST_ROWS_COMPARED:
        return None
    vectors = [_vectors(column) for column in columns]
    vectors = [one for one in vectors if one.shape[1]]
    if not vectors:
        return None
    ranks = np.zeros(folds.positive.size)
    for fold in range(FOLDS):
        held_out = folds.of_row == fold
        alike = sum(one[held_out] @ one[~held_out].T for one in vectors)
        most = min(_NEIGHBOURS, alike.shape[1])
        nearest = np.argpartition(-alike, most - 1, axis=1)[:, :most]
        weight = np.take_along_axis(alike, nearest, axis=1)
        labels = folds.positive[~held_out]
        votes = (weight * (labels[nearest] - labels.mean())).sum(axis=1)
        ranks[held_out] = rankdata(votes) / held_out.sum()
    return scored(ranks, folds, features=["labels of the rows whose texts are most alike"])


def _vectors(column: TextColumn) -> Float[np.ndarray, "rows kmers"]:
    row, _, code = column.folded.kmers(4 if column.kind == "dna" else 3)
    runs = counted(row, code, len(column.texts), str, fewest_rows=2, most=_MOST_KMER_FEATURES).matrix
    holders = np.bincount(runs.indices, minlength=runs.shape[1])
    dense = runs.toarray() * np.log((1 + runs.shape[0]) / (1 + holders)).astype(np.float32)
    return dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-9)
