"""Simple features of few values, two at a time: a label may follow from both together and from neither alone."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from lingjax.evaluation.giveaways.columns import Columns, counted, numbers
from lingjax.evaluation.giveaways.letters import LetterTable
from lingjax.evaluation.giveaways.text_column import LETTER_CLASSES, MOST_KMERS, TextColumn, letter_shares

Atoms = Mapping[str, tuple[Int[np.ndarray, " rows"], Sequence[str]]]
"""Simple features of few values: the value of every row, and what the values are called."""


def atoms(column: TextColumn) -> Atoms:
    """Returns simple features of a column, to be taken two at a time."""
    raw, shapes = column.raw, {}
    spoken = ["none", *map(repr, raw.alphabet[:254])]
    spoken += ["another letter"] * (256 - len(spoken))
    backwards = LetterTable.of([text[:-4:-1] for text in column.texts], most=3)
    spoken_backwards = ["none", *map(repr, backwards.alphabet[:254])]
    spoken_backwards += ["another letter"] * (256 - len(spoken_backwards))
    for place in range(3):
        for name, table, words in (("first", raw, spoken), ("last", backwards, spoken_backwards)):
            if place < table.codes.shape[1]:
                label = (
                    f"{name} letter"
                    if not place
                    else f"letter {place + 1} from the {'start' if name == 'first' else 'end'}"
                )
                shapes[label] = (table.codes[:, place].astype(np.int64), words)
    lengths = raw.lengths
    if lengths.size and np.ptp(lengths):
        edges = np.unique(np.quantile(lengths, (0.25, 0.5, 0.75)))
        bins = np.searchsorted(edges, lengths, side="right")
        shapes["length"] = (bins, [f"in quarter {place + 1}" for place in range(edges.size + 1)])
        for divisor in (2, 3):
            shapes[f"length modulo {divisor}"] = (lengths % divisor, list(map(str, range(divisor))))
    table, counts, shares = letter_shares(column)
    if counts.shape[1]:
        shapes["commonest letter"] = (counts.argmax(axis=1), list(map(repr, table.alphabet)))
    for name, members in list(LETTER_CLASSES[column.kind].items())[:2]:
        places = [table.alphabet.index(letter) for letter in members if letter in table.alphabet]
        share = shares[:, places].sum(axis=1)
        edges = np.unique(np.quantile(share, (0.25, 0.5, 0.75))) if share.size else np.zeros(0)
        bins = np.searchsorted(edges, share, side="right")
        shapes[f"share of {name}"] = (bins, [f"in quarter {place + 1}" for place in range(edges.size + 1)])
    return shapes


def crossed(first: Atoms, second: Atoms | None = None, *, names: tuple[str, str] = ("", "")) -> Columns:
    """Returns a feature for every combination of values of two simple features.

    Args:
      first: every two of these, once; or, with `second`, every one of them with every one of the others.
      second: features of the other text.
      names: put before the names of either.
    """
    rows = next((values.size for values, _ in (*first.values(), *(second or {}).values())), 0)
    owner, codes, words = [], [], []
    for place, (one, (values, spoken)) in enumerate(first.items()):
        partners = list(first.items())[place + 1 :] if second is None else list(second.items())
        for other, (others, others_spoken) in partners:
            owner.append(np.arange(rows))
            codes.append(((len(words) << 10) | values) << 10 | others)
            words.append((f"{names[0]}{one}", spoken, f"{names[1]}{other}", others_spoken))

    def describe(code: int) -> str:
        one, spoken, other, others_spoken = words[code >> 20]
        return f"{one} {spoken[code >> 10 & 1023]} with {other} {others_spoken[code & 1023]}"

    if not words:
        return numbers(np.zeros((rows, 0)), [])
    return counted(np.concatenate(owner), np.concatenate(codes), rows, describe, fewest_rows=3, most=MOST_KMERS)
