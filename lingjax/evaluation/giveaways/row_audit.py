"""Audits rows before anything is trained on them: what tells the label that should not, and what is there twice."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int

from lingjax.evaluation.giveaways import exact
from lingjax.evaluation.giveaways.copies import near_copies
from lingjax.evaluation.giveaways.findings import Finding, RowAudit, ShownRow, Told
from lingjax.evaluation.giveaways.origin_families import nearest_rows, origin_families
from lingjax.evaluation.giveaways.pair_families import pair_families, unlike_features
from lingjax.evaluation.giveaways.probe import FOLDS, Folds, Probe, dealt, probe
from lingjax.evaluation.giveaways.rows import AuditedRows
from lingjax.evaluation.giveaways.text_column import TextColumn
from lingjax.evaluation.giveaways.text_families import text_families
from lingjax.evaluation.text_groups import linked_rows, numbered_texts, text_groups

MOST_ROWS_READ = 6000
"""Rows that models read: they leave an interval of the AUROC of about +-0.015."""

ALPHA = 0.02
"""False alarms of all families of a table together."""

MARGIN = 0.02
"""How far above 0.5 the lower bound must be: below that, a shortcut explains next to nothing."""

_MANY_REPEATS = 0.01
_MANY_SIMILAR = 0.005
_LARGEST_GROUP_FRACTION = 0.05
_FEWEST_ROWS_OF_A_LABEL = 2 * FOLDS
_EXCERPT = 60
_SHOWN = 3
_READS = ("text 1 alone", "text 2 alone")
_BOTH, _UNLIKE, _NONE, _SINGLE = "both texts", "unlike features of both texts", "no text", "the text"


def audit_rows(
    rows: AuditedRows,
    training: AuditedRows | None = None,
    *,
    training_name: str = "the training rows",
    most_rows: int = MOST_ROWS_READ,
    reads_origin: bool = True,
    seed: int = 0,
) -> RowAudit:
    """Audits rows, by models that read one kind of feature each and by counting.

    Args:
      rows: one table's; one or two texts a row.
      training: the rows a model is trained on, if these are to judge it.
      training_name: what messages call them.
      most_rows: that models read; of more, as many are drawn.
      reads_origin: whether order, ids and sources are looked at, which a model that is given texts alone never sees.
      seed: decides folds and draws.
    """
    from threadpoolctl import threadpool_limits

    findings = list(_counted(rows, seed=seed))
    if training is not None:
        findings += _between(rows, training, training_name)
    read = rows.sample(most=most_rows, seed=seed)
    # Products are small: on cores that others use as well, threads wait for one another ten times as long as they work.
    with threadpool_limits(limits=1):
        families = _families(read, reads_origin=reads_origin, seed=seed)
    findings += [_as_finding(one) for one in families if one.is_giveaway]
    return RowAudit(len(rows), len(read), families, findings)


def related_rows(rows: AuditedRows) -> Int[np.ndarray, " rows"]:
    """Returns the group of every row: rows that share a text or a near-copy of one, directly or through others.

    Where that joins more than a twentieth of all rows, near-copies are let be; where shared texts alone do, only rows
    of the same texts are a group.
    """
    first, second = rows.folded[0], rows.folded[-1]
    ends = numbered_texts(first, second)
    texts = list(dict.fromkeys(text for pair in zip(first, second, strict=True) for text in pair))
    kinds = set(rows.kinds)
    if len(kinds) == 1:
        near = near_copies(texts, None, next(iter(kinds)))
        group = _linked(ends, near.first, near.second)
        if np.bincount(group).max() <= max(2, _LARGEST_GROUP_FRACTION * len(rows)):
            return group
    group = linked_rows(ends)
    if np.bincount(group).max() <= max(2, _LARGEST_GROUP_FRACTION * len(rows)):
        return group
    _, group = np.unique(np.sort(ends, axis=0), axis=1, return_inverse=True)
    return group.reshape(len(rows)).astype(np.int64)


def _linked(
    ends: Int[np.ndarray, "2 rows"], first: Int[np.ndarray, " couples"], second: Int[np.ndarray, " couples"]
) -> Int[np.ndarray, " rows"]:
    every = np.concatenate([ends, np.stack([first, second])], axis=1)
    return np.unique(linked_rows(every)[: ends.shape[1]], return_inverse=True)[1].reshape(ends.shape[1])


def _families(rows: AuditedRows, *, reads_origin: bool, seed: int) -> list[Told]:
    positive = np.asarray(rows.labels) == 1
    if min(positive.sum(), (~positive).sum()) < _FEWEST_ROWS_OF_A_LABEL:
        return []
    groups = related_rows(rows)
    shared = groups
    if rows.second is not None and np.bincount(groups).max() == 1:
        shared = text_groups(*rows.folded).of_row
    folds = Folds(dealt(positive, groups, seed=seed), positive, shared)
    alone = dataclasses.replace(folds, of_row=dealt(positive, np.arange(len(rows)), seed=seed), shared=None)
    if not folds.usable:
        folds = alone
    columns = [TextColumn.of(texts, kind) for texts, kind in zip(rows.texts, rows.kinds, strict=True)]
    reads = _READS if rows.second is not None else (_SINGLE,)
    tried: list[tuple[str, str, Probe | None]] = []
    for name, column in zip(reads, columns, strict=True):
        tried += [(family, name, probe(features, folds)) for family, features in text_families(column)]
        tried.append(("nearest rows", name, nearest_rows((column,), folds)))
    if rows.second is not None:
        tried += [(family, _BOTH, probe(features, folds)) for family, features in pair_families(*columns)]
        tried.append(
            ("ends of one text with the length of the other, or case", _UNLIKE, probe(unlike_features(*columns), folds))
        )
        tried.append(("nearest rows", _BOTH, nearest_rows(tuple(columns), folds)))
    if reads_origin:
        tried += [(family, _NONE, probe(features, alone)) for family, features in origin_families(rows)]
    measured = [(family, name, one) for family, name, one in tried if one is not None]
    told = [_told(family, name, one, rows, probes=len(measured)) for family, name, one in measured]
    return sorted(told, key=lambda one: -one.lower_bound)


def _told(family: str, reads: str, one: Probe, rows: AuditedRows, *, probes: int) -> Told:
    bound = one.lower_bound(probes, alpha=ALPHA)
    telling = bound > 0.5 + MARGIN
    return Told(
        family=family,
        reads=reads,
        auroc=one.auroc,
        ci95=one.ci95,
        lower_bound=max(bound, 0.0),
        is_giveaway=telling and reads != _BOTH,
        is_telling=telling,
        features=one.features,
        rows=_shown(rows, one.rows),
    )


def _as_finding(told: Told) -> Finding:
    low, high = told.ci95
    features = "; ".join(told.features)
    return Finding(
        "shortcut",
        f"{told.family}, {told.reads}",
        f"The label can be told from {told.family} ({told.reads}): AUROC {told.auroc:.3f} [{low:.3f}, {high:.3f}] by a "
        f"linear model on rows it was not fitted on{f'; most telling: {features}' if features else ''}.",
        None,
        told.rows,
    )


def _counted(rows: AuditedRows, *, seed: int) -> Iterator[Finding]:
    what = "pairs" if rows.second is not None else "texts"
    conflicting = exact.conflicts(rows)
    if conflicting.count:
        yield _finding(
            "label",
            "conflicting labels",
            f"Rows whose {what} occur with both labels: {conflicting.count}.",
            conflicting,
            rows,
        )
    repeated = exact.repeats(rows)
    if repeated.count > _MANY_REPEATS * len(rows):
        yield _finding(
            "leak",
            "repeated rows",
            f"Rows that repeat an earlier one: {repeated.count}; they tell less than as many others, and a split by "
            "rows would put copies on both sides.",
            repeated,
            rows,
        )
    twin = exact.twins(rows, seed=seed)
    if twin.is_designed:
        yield _finding(
            "label",
            "composition twins of opposite label",
            f"Rows that have, in {twin.where} the letters of a row of the other label in another order: "
            f"{twin.rows.size}, more than chance has it; split twins together, and expect nothing from composition.",
            exact.Counted(twin.rows),
            rows,
        )
    within, shares, differ = exact.within_pair_twins(rows)
    if differ:
        yield _finding(
            "label",
            "shuffled texts",
            f"Pairs whose second text has the letters of the first in another order: {shares[0]:.1%} of label 0 and "
            f"{shares[1]:.1%} of label 1.",
            exact.Counted(within),
            rows,
        )


def _between(rows: AuditedRows, training: AuditedRows, name: str) -> Iterator[Finding]:
    shared = exact.shared_rows(rows, training)
    if shared.count:
        yield _finding("leak", "rows shared", f"Rows that are in {name}, too: {shared.count}.", shared, rows)
    texts = exact.shared_texts(rows, training)
    beyond = exact.Counted(np.setdiff1d(texts.rows, shared.rows))
    if beyond.count > _MANY_SIMILAR * len(rows):
        yield _finding(
            "leak",
            "texts shared",
            f"Rows of which a text, but not the whole row, is in {name}, too: {beyond.count}.",
            beyond,
            rows,
        )
    similar = exact.similar_rows(rows, training)
    if similar.count > _MANY_SIMILAR * len(rows):
        yield _finding(
            "leak",
            "near copies",
            f"Rows of which a text is a near-copy of one in {name} (a homolog, a fragment, a rewording): "
            f"{similar.count}.",
            similar,
            rows,
        )


def _finding(category, name: str, words: str, counted: exact.Counted, rows: AuditedRows) -> Finding:
    return Finding(category, name, words, counted.count, _shown(rows, counted.rows[:_SHOWN]))


def _shown(rows: AuditedRows, numbers: Sequence[int]) -> list[ShownRow]:
    return [
        ShownRow(rows.name(int(row)), int(rows.labels[row]), [_excerpt(column[row]) for column in rows.texts])
        for row in numbers
    ]


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 1]}…"
