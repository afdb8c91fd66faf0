"""Runs of characters: numbers for them, and how many held-out ones stand in the training text too."""

from collections.abc import Sequence

import numpy as np

from lingjax.data.passages import END_OF_DOCUMENT, Passage

RUN_LENGTH = 32  # chance repeats no such run, not even of four letters


def seen_fraction(
    training: Sequence[Passage], held_out: Sequence[Passage], *, length: int = RUN_LENGTH
) -> float | None:
    """Returns the share of held-out runs of characters that stand letter by letter in the training text too.

    What is seen can be remembered, so a low loss on it says little of what was learnt. Runs do not reach beyond a
    passage; relatives that differ in a letter of every run are not found.

    Args:
      training: where runs are looked for, on the strand that is given.
      held_out: whose runs are counted, one at every character that begins one.
      length: characters of a run.

    Returns:
      The share; None if no held-out passage is as long as a run.
    """
    passages = [*training, *held_out]
    symbols = np.concatenate([passage.symbols for passage in passages])
    lengths = np.array([len(passage.symbols) for passage in passages])
    stops = np.cumsum(lengths)
    # Characters from each place to the end of its passage; where a document ends, nothing begins.
    room = np.repeat(stops, lengths) - np.arange(len(symbols))
    room -= np.repeat(symbols[stops - 1] == END_OF_DOCUMENT, lengths)
    places, numbers, width = np.arange(len(symbols)), np.unique(symbols, return_inverse=True)[1], 1
    while width < length:
        # A run is two shorter ones, which overlap where its length asks it.
        step = min(width, length - width)
        width += step
        number_at = np.zeros(len(symbols), np.int64)
        number_at[places] = numbers
        bound = int(numbers.max(initial=0)) + 1
        places = places[room[places] >= width]
        keys = number_at[places] * bound + number_at[places + step]
        numbers = number_keys(keys, bound=bound**2)
    is_held_out = places >= lengths[: len(training)].sum()
    if not is_held_out.any():
        return None
    in_training = np.zeros(int(numbers.max()) + 1, bool)
    in_training[numbers[~is_held_out]] = True
    return float(in_training[numbers[is_held_out]].mean())


def number_keys(keys: np.ndarray, *, bound: int) -> np.ndarray:
    """Numbers keys from 0 in their order; all lie below the bound."""
    if bound > 8 * len(keys):
        return np.unique(keys, return_inverse=True)[1]
    occurs = np.zeros(bound, bool)  # where that many fit, a table is several times faster than sorting
    occurs[keys] = True
    return (np.cumsum(occurs) - 1)[keys]
