"""Who may stand in for whom: second texts dealt out to other first texts, each to exactly one."""

import collections
from collections.abc import Hashable, Mapping, Sequence, Set

import numpy as np

# An assignment takes time in the cube of its size: 1,000 texts take a fraction of a second.
_BLOCK = 1000
_FORBIDDEN = 1e9
_NOT_SIMILAR = 1e6  # above all distances and scores, below what is forbidden
_NUM_LETTERS = 128


def deal_partners(
    texts: Sequence[str],
    *,
    pools: Sequence[Hashable],
    keys: Sequence[Set[Hashable]],
    forbidden: Sequence[Set[int]],
    rng: np.random.Generator,
    by_composition: bool = False,
    scores: Sequence[Mapping[int, float]] | None = None,
) -> np.ndarray:
    """Deals out texts so that none comes to a place that it belongs to, and all are as like the old one as can be.

    Args:
      texts: the text of each place.
      pools: texts change places only within a pool, for example a split.
      keys: what each place is part of, such as families; two that share a key change no texts.
      forbidden: numbers of the texts that may not come to each place for other reasons.
      rng: breaks ties.
      by_composition: whether texts are alike by the counts of their letters, not by length alone.
      scores: numbers of the texts that are wanted at each place, with how much so, before likeness counts.

    Returns:
      The number of the text that each place receives, -1 for places that have to be left out because nothing fits; over
      all others, the numbers are a permutation of their own.
    """
    partners = np.full(len(texts), -1)
    members = collections.defaultdict(list)
    for number, pool in enumerate(pools):
        members[pool].append(number)
    for numbers in members.values():
        shuffled = rng.permutation(numbers)
        # Stable, so that texts of one length stay shuffled: blocks of them are samples alike.
        ordered = shuffled[np.argsort([len(texts[number]) for number in shuffled], kind="stable")]
        for block in np.array_split(ordered, -(-len(ordered) // _BLOCK)):
            costs = _distances([texts[number] for number in block], by_composition=by_composition)
            # Less than any difference between two texts, so that it only breaks ties.
            costs += rng.random(costs.shape) * 0.5
            if scores is not None:
                _prefer(costs, block, scores)
            costs[_find_forbidden(block, keys, forbidden)] = _FORBIDDEN
            rows, columns = _assign(costs)
            partners[block[rows]] = block[columns]
    return partners


def _assign(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the assignment of least cost over all places but those that stand in the way of one."""
    from scipy.optimize import linear_sum_assignment

    left = np.arange(len(costs))
    while True:
        rows, columns = linear_sum_assignment(costs[np.ix_(left, left)])
        bad = costs[left[rows], left[columns]] >= _FORBIDDEN
        if not bad.any():
            return left[rows], left[columns]
        left = np.delete(left, rows[bad])


def _distances(texts: Sequence[str], *, by_composition: bool) -> np.ndarray:
    """Returns how many letters have to be added, removed or exchanged, in any order, to make one text of another."""
    from scipy.spatial.distance import cdist

    lengths = np.array([[len(text)] for text in texts], float)
    distances = cdist(lengths, lengths, "cityblock")
    if not by_composition:
        return distances
    counts = np.array([np.bincount(np.frombuffer(text.encode(), np.uint8), minlength=_NUM_LETTERS) for text in texts])
    return distances + cdist(counts.astype(float), counts.astype(float), "cityblock")


def _prefer(costs: np.ndarray, block: np.ndarray, scores: Sequence[Mapping[int, float]]) -> None:
    position = {int(number): place for place, number in enumerate(block)}
    costs += _NOT_SIMILAR
    for place, number in enumerate(block):
        for other, score in scores[number].items():
            if other in position:
                costs[place, position[other]] -= _NOT_SIMILAR + score


def _find_forbidden(block: np.ndarray, keys: Sequence[Set[Hashable]], forbidden: Sequence[Set[int]]) -> np.ndarray:
    position = {int(number): place for place, number in enumerate(block)}
    mask = np.eye(len(block), dtype=bool)
    sharing = collections.defaultdict(list)
    for place, number in enumerate(block):
        for key in keys[number]:
            sharing[key].append(place)
        mask[place, [position[other] for other in forbidden[number] if other in position]] = True
    for places in sharing.values():
        mask[np.ix_(places, places)] = True
    return mask
