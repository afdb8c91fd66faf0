"""Positives with as many negatives, whose second texts are those of other positives, dealt out anew.

Every text so stands in as many negatives as positives, and neither text alone says anything about the label. The second
text of a negative is as long as the true one and made of the same letters, as nearly as can be, so that neither length
nor composition says much either.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from data_prep.biology.homology import assign_splits
from data_prep.biology.matching import deal_partners
from data_prep.biology.pair_records import Positive, Text, make_record
from data_prep.stages import tell_stage
from lingjax.errors import InputError

# The kinds that deal out whole texts; `hard` is made of the scores that positives bring along.
DEALT_KINDS = ("composition", "random")
ALL_KINDS = (*DEALT_KINDS, "hard", "shuffled")
# A few pairs are lost when datasets are divided; what is too much in the end is dropped then.
_SPARE_SHARE, _SPARE_PAIRS = 0.02, 10
_MOST_ROUNDS = 5
_MOST_SHUFFLES = 20

Accept = Callable[[str, str], bool]


@dataclasses.dataclass(frozen=True)
class DealtPairs:
    """Pairs before they are divided.

    Attributes:
      records: positives and negatives.
      assigned: the split of each cluster or organism; None if they do not decide.
      filters: what was left out, in order.
    """

    records: list[dict[str, object]]
    assigned: Mapping[str, str] | None
    filters: dict[str, int]


def deal_pairs(
    positives: Sequence[Positive],
    *,
    num_pairs: int | None,
    negatives: Mapping[str, float],
    split_by: str,
    fractions: Mapping[str, float],
    rng: np.random.Generator,
    accept: Accept = lambda first, second: True,
) -> DealtPairs:
    """Takes the first positives and makes a negative for each that joins neither two splits nor, anew, two organisms.

    The kinds of negatives are:

    - `random`: the second text of another positive, of the same organism and as long as the true one;
    - `composition`: the same, and made of nearly the same letters;
    - `hard`: the same, but one that the positive holds similar; where there is none, the kind is `composition`;
    - `shuffled`: the letters of the true second text in another order.

    Args:
      positives: in the order in which they are preferred, which should be random.
      num_pairs: rows wanted, negatives included, to which a few are added as spare; None takes all positives.
      negatives: share of each kind.
      split_by: "cluster", "organism" or "hash".
      fractions: share of rows of each split.
      rng: decides kinds, partners and shuffles.
      accept: tells whether two texts make a negative.

    Raises:
      InputError: no pair can be made, or there are too few clusters for the splits.
    """
    tell_stage(f"choosing negatives of {len(positives):,} positives")
    wanted = len(positives)
    if num_pairs is not None:
        wanted = min(int(num_pairs / 2 * (1 + _SPARE_SHARE)) + _SPARE_PAIRS, wanted)
    taken = wanted
    while True:
        chosen = positives[:taken]
        assigned = _assign(chosen, split_by, fractions)
        pools = [_choose_pool(positive, split_by, assigned) for positive in chosen]
        kinds = [list(negatives)[place] for place in rng.permutation(_apportion(negatives, len(chosen)))]
        partners = _choose_partners(chosen, kinds, pools, accept, rng)
        missing = wanted - sum(partner is not None for partner in partners)
        # Positives without a negative are made up for by others, as long as there are any.
        if missing <= 0 or taken >= len(positives):
            break
        taken += missing
    filters = Counter(positives=len(positives))
    filters["dropped: positives not taken"] = len(positives) - len(chosen)
    for kind, pool, partner in zip(kinds, pools, partners, strict=True):
        why = f"without a {kind} negative" if len(pool[0]) < 2 else f"between {split_by}s of two splits"
        filters[f"dropped: positives {why}"] += partner is None
    filters = {name: count for name, count in filters.items() if count}
    if missing == wanted:
        counts = ", ".join(f"{count:,} {name}" for name, count in filters.items())
        raise InputError(f"no pair can be made ({counts or 'no positives'}); give more input")
    records = []
    for positive, partner in zip(chosen, partners, strict=True):
        if partner is not None:
            kind, second = partner
            records += [positive.record(), make_record(positive.first, second, label=0, kind=kind)]
    return DealtPairs(records, assigned, filters)


def _assign(positives: Sequence[Positive], split_by: str, fractions: Mapping[str, float]) -> dict[str, str] | None:
    if split_by == "hash" or len(fractions) == 1:
        return None
    return assign_splits([key for positive in positives for key in positive.split_keys(split_by)], fractions)


def _choose_pool(positive: Positive, split_by: str, assigned: Mapping[str, str] | None) -> Hashable:
    splits = tuple(sorted({assigned[key] for key in positive.split_keys(split_by)})) if assigned else ()
    return splits, positive.second.organism, positive.pool


def _apportion(shares: Mapping[str, float], count: int) -> np.ndarray:
    """Returns the number of a kind for each of `count` rows, as near to the shares as whole rows allow."""
    ends = np.rint(np.cumsum(list(shares.values())) * count).astype(int)
    return np.searchsorted(ends, np.arange(count), side="right").clip(max=len(shares) - 1)


def _choose_partners(
    positives: Sequence[Positive],
    kinds: Sequence[str],
    pools: Sequence[Hashable],
    accept: Accept,
    rng: np.random.Generator,
) -> list[tuple[str, Text] | None]:
    """Returns kind and second text of the negative of each positive, None where there is none."""
    chosen: list[tuple[str, Text] | None] = [None] * len(positives)
    for kind in ALL_KINDS:
        # A positive that lies between two splits needs no negative, as it will be dropped.
        members = [number for number, its in enumerate(kinds) if its == kind and len(pools[number][0]) < 2]
        if kind == "shuffled":
            for number in members:
                chosen[number] = _shuffle(positives[number], accept, rng)
            continue
        dealt = _deal([positives[n] for n in members], members, [pools[n] for n in members], kind, accept, rng)
        for number, partner in zip(members, dealt, strict=True):
            if partner is not None:
                is_hard = kind == "hard" and partner in positives[number].similar
                chosen[number] = ("composition" if kind == "hard" and not is_hard else kind, positives[partner].second)
    return chosen


def _deal(
    positives: Sequence[Positive],
    numbers: Sequence[int],
    pools: Sequence[Hashable],
    kind: str,
    accept: Accept,
    rng: np.random.Generator,
) -> list[int | None]:
    """Returns the number of the positive whose second text each of some positives receives."""
    place = {number: position for position, number in enumerate(numbers)}
    refused = [{place[n] for n in positive.forbidden if n in place} for positive in positives]
    similar = [{place[n]: score for n, score in positive.similar.items() if n in place} for positive in positives]
    for _ in range(_MOST_ROUNDS):
        dealt = deal_partners(
            [positive.second.letters for positive in positives],
            pools=pools,
            keys=[positive.keys | {("cluster", positive.cluster)} for positive in positives],
            forbidden=refused,
            rng=rng,
            by_composition=kind != "random",
            scores=similar if kind == "hard" else None,
        )
        bad = [
            number
            for number, partner in enumerate(dealt.tolist())
            if partner >= 0 and not accept(positives[number].first.letters, positives[partner].second.letters)
        ]
        if not bad:
            break
        for number in bad:
            refused[number].add(int(dealt[number]))
        dealt[bad] = -1
    return [numbers[partner] if partner >= 0 else None for partner in dealt.tolist()]


def _shuffle(positive: Positive, accept: Accept, rng: np.random.Generator) -> tuple[str, Text] | None:
    letters = list(positive.second.letters)
    for _ in range(_MOST_SHUFFLES):
        shuffled = "".join(letters[place] for place in rng.permutation(len(letters)))
        if accept(positive.first.letters, shuffled):
            return "shuffled", positive.second.shuffled(shuffled)
    return None
