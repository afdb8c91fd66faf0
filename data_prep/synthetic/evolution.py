"""Sequences that remember where each letter came from, so that the true alignment of two descendants is known."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_INSERTED = -1


@dataclass(frozen=True)
class Lineage:
    """A sequence of one descendant.

    Attributes:
      codes: letters as indices into an alphabet, `[length]`.
      origins: position of each letter in the common ancestor, -1 if it was inserted later, `[length]`.
    """

    codes: np.ndarray
    origins: np.ndarray


def insert_and_delete(
    lineage: Lineage,
    rng: np.random.Generator,
    *,
    events_per_site: float,
    mean_length: float,
    draw_letters: Callable[[int], np.ndarray],
) -> Lineage:
    """Returns the lineage after short insertions and deletions, half of each, with geometric lengths.

    Args:
      events_per_site: expected number of events for each letter present.
      mean_length: mean letters an event, at least 1.
      draw_letters: gives the codes of an insertion from its length.

    At least one letter always stays.
    """
    codes, origins = lineage.codes, lineage.origins
    for _ in range(rng.poisson(events_per_site * len(codes))):
        length = int(rng.geometric(1.0 / mean_length))
        if rng.random() < 0.5:
            place = int(rng.integers(len(codes) + 1))
            codes = np.concatenate([codes[:place], draw_letters(length), codes[place:]])
            origins = np.concatenate([origins[:place], np.full(length, _INSERTED), origins[place:]])
        else:
            length = min(length, len(codes) - 1)
            place = int(rng.integers(len(codes) - length + 1))
            codes = np.delete(codes, slice(place, place + length))
            origins = np.delete(origins, slice(place, place + length))
    return Lineage(codes, origins)


def true_identity(first: Lineage, second: Lineage) -> float:
    """Returns equal letters divided by columns of the true alignment of two descendants of one ancestor, 0 to 1.

    Letters of one origin share a column; every other letter, deleted or inserted on one side, has a column of its own.
    """
    kept_first = first.origins != _INSERTED
    kept_second = second.origins != _INSERTED
    _, in_first, in_second = np.intersect1d(
        first.origins[kept_first], second.origins[kept_second], assume_unique=True, return_indices=True
    )
    matches = np.count_nonzero(first.codes[kept_first][in_first] == second.codes[kept_second][in_second])
    columns = len(first.codes) + len(second.codes) - len(in_first)
    return float(matches / columns)
