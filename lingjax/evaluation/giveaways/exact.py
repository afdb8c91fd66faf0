"""What is counted, not learnt: conflicts, repeats, rows shared between splits, twins of opposite label."""

import dataclasses
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from jaxtyping import Int
from scipy import stats

from lingjax.alphabets import reverse_complement
from lingjax.evaluation.giveaways.copies import near_copies
from lingjax.evaluation.giveaways.rows import AuditedRows
from lingjax.evaluation.pair_sides import folded

_CHANCE = 1e-5
# Of a text of fewer letters others are made of the same ones by chance.
_SHORTEST_TWIN = 8
_LEAST_TWIN_FRACTION = 0.01
_LEAST_WITHIN_DIFFERENCE = 0.03


@dataclasses.dataclass(frozen=True)
class Counted:
    """Rows that something holds of: how many, and which of them come first."""

    rows: Int[np.ndarray, " some"]

    @property
    def count(self) -> int:
        """How many."""
        return int(self.rows.size)


def pair_keys(rows: AuditedRows) -> list[Hashable]:
    """Returns what makes two rows the same: their texts, whatever the case, spaces and order."""
    if rows.second is None:
        return list(rows.folded[0])
    return [tuple(sorted(texts)) for texts in zip(*rows.folded, strict=True)]


def conflicts(rows: AuditedRows) -> Counted:
    """Returns the rows whose texts occur with the other label, too."""
    labels = defaultdict(set)
    keys = pair_keys(rows)
    for key, label in zip(keys, rows.labels, strict=True):
        labels[key].add(int(label))
    return Counted(_where(len(labels[key]) > 1 for key in keys))


def repeats(rows: AuditedRows) -> Counted:
    """Returns the rows that repeat an earlier one."""
    seen: set[Hashable] = set()
    return Counted(_where(_known(key, seen) for key in pair_keys(rows)))


def shared_rows(rows: AuditedRows, training: AuditedRows) -> Counted:
    """Returns the rows that the training rows hold, too."""
    known = set(pair_keys(training))
    return Counted(_where(key in known for key in pair_keys(rows)))


def shared_texts(rows: AuditedRows, training: AuditedRows) -> Counted:
    """Returns the rows of which a text stands in a training row, on either side."""
    known = {text for column in training.folded for text in column}
    return Counted(_where(any(text in known for text in texts) for texts in zip(*rows.folded, strict=True)))


def similar_rows(rows: AuditedRows, training: AuditedRows) -> Counted:
    """Returns the rows of which a text is a near-copy of, but not equal to, a text of the training rows.

    Of DNA, either strand counts.
    """
    similar = np.zeros(len(rows), bool)
    for kind in dict.fromkeys((*rows.kinds, *training.kinds)):
        columns = [column for column, its in zip(rows.folded, rows.kinds, strict=True) if its == kind]
        others = [column for column, its in zip(training.folded, training.kinds, strict=True) if its == kind]
        known = dict.fromkeys(text for column in others for text in column)
        asked = list(dict.fromkeys(text for column in columns for text in column if text not in known))
        if not asked or not known:
            continue
        alike = {asked[number] for number in np.unique(near_copies(asked, list(known), kind).first)}
        if kind == "dna":
            other_strand = [folded(reverse_complement(text)) for text in asked]
            alike |= {asked[number] for number in np.unique(near_copies(other_strand, list(known), kind).first)}
        for column in columns:
            similar |= np.array([text in alike for text in column])
    return Counted(np.flatnonzero(similar))


@dataclasses.dataclass(frozen=True)
class Twins:
    """Rows whose texts are made of the same letters, in another order, as those of a row with the other label.

    Attributes:
      rows: that have such a twin.
      bags: what each of them shares with its twins.
      where: which text it is about.
      is_designed: whether opposite labels are more frequent among such twins than chance has it.
    """

    rows: Int[np.ndarray, " some"]
    bags: Sequence[Hashable]
    where: str
    is_designed: bool


def twins(rows: AuditedRows, *, seed: int) -> Twins:
    """Finds composition twins of opposite label: in the one text or the other, in both, or beside the same other text.

    By chance too, short texts have twins, of both labels alike. Twins are drawn two by two, and it is asked whether
    more of the couples have opposite labels than couples of rows would.
    """
    columns = rows.folded
    bags = [[_bag(text) for text in column] for column in columns]
    keys = {"the text," if len(columns) == 1 else "text 1,": bags[0]}
    if len(columns) == 2:
        keys["text 2,"] = bags[1]
        keys["text 2, beside the same text 1,"] = [
            bag and (bag, text) for bag, text in zip(bags[1], columns[0], strict=True)
        ]
        keys["text 1, beside the same text 2,"] = [
            bag and (bag, text) for bag, text in zip(bags[0], columns[1], strict=True)
        ]
        keys["both texts,"] = [one and other and (one, other) for one, other in zip(*bags, strict=True)]
    texts = {name: columns[1 if name.startswith("text 2") else 0] for name in keys}
    texts["both texts,"] = pair_keys(rows)
    best = Twins(np.zeros(0, np.int64), (), "", is_designed=False)
    for name, bag in keys.items():
        found = _twins(bag, texts[name], np.asarray(rows.labels), name, seed=seed)
        if found.is_designed and found.rows.size > best.rows.size:
            best = found
    return best


def within_pair_twins(rows: AuditedRows) -> tuple[Int[np.ndarray, " some"], tuple[float, float], bool]:
    """Returns the rows whose second text has the letters of the first in another order, and their share by label.

    The last value says whether the shares differ, which they do where negatives are made by shuffling.
    """
    if rows.second is None:
        return np.zeros(0, np.int64), (0.0, 0.0), False
    twin = np.array([a != b and len(a) == len(b) and sorted(a) == sorted(b) for a, b in zip(*rows.folded, strict=True)])
    labels = np.asarray(rows.labels)
    table = [[int((twin & (labels == label)).sum()), int((~twin & (labels == label)).sum())] for label in (0, 1)]
    shares = tuple(counts[0] / max(sum(counts), 1) for counts in table)
    differ = abs(shares[1] - shares[0]) >= _LEAST_WITHIN_DIFFERENCE and stats.fisher_exact(table)[1] < _CHANCE
    return np.flatnonzero(twin), (shares[0], shares[1]), bool(differ)


def _twins(
    bags: Sequence[Hashable], texts: Sequence[Hashable], labels: Int[np.ndarray, " rows"], where: str, *, seed: int
) -> Twins:
    by_bag = defaultdict(list)
    for row, bag in enumerate(bags):
        if bag:
            by_bag[bag].append(row)
    rng = np.random.default_rng(seed)
    couples, opposite, twin_rows = 0, 0, []
    for rows in by_bag.values():
        if len(rows) < 2:
            continue
        # One row a text and label: a text that many rows hold is one text.
        distinct = list({(texts[row], int(labels[row])): row for row in rows}.values())
        order = rng.permutation(len(distinct))
        for one, other in zip(order[::2], order[1::2], strict=False):
            first, second = distinct[one], distinct[other]
            if texts[first] != texts[second]:
                couples += 1
                opposite += labels[first] != labels[second]
        of_label = [{texts[row] for row in distinct if labels[row] == label} for label in (0, 1)]
        twin_rows += [row for row in rows if len(of_label[1 - labels[row]]) > (texts[row] in of_label[1 - labels[row]])]
    if not couples:
        return Twins(np.zeros(0, np.int64), (), where, is_designed=False)
    ones = labels.mean()
    chance = 2 * ones * (1 - ones)
    designed = (
        len(twin_rows) >= max(2, _LEAST_TWIN_FRACTION * labels.size)
        and stats.binom.sf(opposite - 1, couples, chance) < _CHANCE
    )
    twin_rows.sort()
    return Twins(np.array(twin_rows, np.int64), [bags[row] for row in twin_rows], where, is_designed=bool(designed))


def _bag(text: str) -> str:
    letters = text.replace(" ", "")
    return "".join(sorted(letters)) if len(letters) >= _SHORTEST_TWIN else ""


def _known(key: Hashable, seen: set[Hashable]) -> bool:
    known = key in seen
    seen.add(key)
    return known


def _where(flags: Iterable[bool]) -> Int[np.ndarray, " some"]:
    return np.flatnonzero(np.fromiter(flags, bool))
