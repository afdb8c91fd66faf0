"""What every pair simulator returns, and how its rows are drawn: balanced, shuffled, never twice the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SimulatedPair:
    """One labelled pair of texts.

    Attributes:
      label: 1 if the two texts mean the same, are related, or code for each other; 0 otherwise.
      key: what the pair is about, apart from label and order; two pairs of one key are never both kept, so no row
        is repeated, no label contradicts another, and no split shares its subject matter with another.
      identity: fraction of equal letters in the true alignment, where there is one.
    """

    sentence1: str
    sentence2: str
    label: int
    key: str
    identity: float | None = None


def draw_splits(
    draw_pair: Callable[[np.random.Generator, int], SimulatedPair], rows: Mapping[str, int], rng: np.random.Generator
) -> dict[str, list[SimulatedPair]]:
    """Draws the rows of every split: half of each label (one more 0 if odd), in random order, no key twice anywhere.

    Args:
      draw_pair: makes one pair of the label it is given.
      rows: rows wanted for each split.
    """
    seen: set[str] = set()
    splits = {}
    for split, count in rows.items():
        pairs = []
        while len(pairs) < count:
            pair = draw_pair(rng, len(pairs) % 2)
            if pair.key not in seen:
                seen.add(pair.key)
                pairs.append(pair)
        splits[split] = [pairs[i] for i in rng.permutation(count)]
    return splits
