"""Which split a record belongs to: decided once, when the dataset is built, by the hash of its id."""

import math
from collections.abc import Mapping, Sequence

from lingjax.data import hash_fraction
from lingjax.errors import InputError

# Differs from the seeds with which training carves a dev set, so that the two cuts are independent.
_SPLIT_SEED = 20_241_207


def parse_splits(splits: Sequence[str]) -> dict[str, float]:
    """Returns the fraction of each split from texts like "train:0.8".

    Raises:
      InputError: a text is not `SPLIT:FRACTION`, a split is named twice, or the fractions do not sum to 1.
    """
    fractions = {}
    for text in splits:
        split, _, fraction = text.partition(":")
        try:
            value = float(fraction)
        except ValueError:
            value = math.nan
        if not split or not 0 < value <= 1:
            raise InputError(
                f"--splits: '{text}' is not SPLIT:FRACTION with a fraction above 0 and up to 1, "
                "as in train:0.8,test:0.2"
            )
        if split in fractions:
            raise InputError(f"--splits names split '{split}' twice")
        fractions[split] = value
    if abs(sum(fractions.values()) - 1) > 1e-6:
        raise InputError(f"--splits: the fractions sum to {sum(fractions.values()):g}, not to 1")
    return fractions


def choose_fractions(
    split: str | None, splits: Sequence[str] | None, *, default: Sequence[str] = ("train:0.8", "test:0.2")
) -> dict[str, float]:
    """Returns the fraction of each split that the flags `--split` and `--splits` ask for.

    Raises:
      InputError: both are given, or a fraction is none.
    """
    if split and splits:
        raise InputError("--split puts every row into one split and --splits divides them; give one of the two")
    return {split: 1.0} if split else parse_splits(splits or default)


def choose_split(record_id: str, fractions: Mapping[str, float]) -> str:
    """Returns the split whose share of [0, 1) holds the hash of the id; shares lie side by side in the given order.

    >>> choose_split("any", {"train": 1.0})
    'train'
    """
    position = hash_fraction(record_id, seed=_SPLIT_SEED)
    upper = 0.0
    for split, fraction in fractions.items():
        upper += fraction
        if position < upper:
            return split
    return split  # the sum may be less than 1 by a rounding error
