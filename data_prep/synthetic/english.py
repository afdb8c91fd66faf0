"""English-like sentences from a small grammar, and two kinds of pairs of them.

The first follow the idea of PAWS (Zhang, Baldridge & He 2019): a paraphrase keeps its words and moves them, a
non-paraphrase keeps its words too but exchanges two of them. Both are worded in two different ways drawn alike, so
neither the overlap of words nor a single sentence says anything about the label.

The second ask whether a sentence restates another: it says the same in another wording, or the same kind of thing of
others. Here overlap tells the label, and is meant to: what is to be learned is to compare two texts. What tells it
without a comparison is kept out: words, lengths and letters of a single sentence are alike for both labels.
"""

import functools
from dataclasses import dataclass

import numpy as np

from data_prep.synthetic.english_words import INVENTORIES
from data_prep.synthetic.pairs import SimulatedPair


@dataclass(frozen=True)
class Frame:
    """A kind of statement.

    Attributes:
      slots: each slot's name and the inventory its filler is drawn from; fillers of one statement differ.
      wordings: sentences of equal meaning, with the slots in braces (`{verb[1]}` is the second form of a filler).
      exchanges: pairs of slots of one inventory; exchanging their fillers changes the meaning.
    """

    slots: dict[str, str]
    wordings: tuple[str, ...]
    exchanges: tuple[tuple[str, str], ...]


FRAMES = (
    Frame(
        {"agent": "people", "patient": "people", "verb": "acts", "place": "cities", "year": "years"},
        (
            "{agent} {verb} {patient} in {place} in {year}",
            "in {year} {agent} {verb} {patient} in {place}",
            "{patient} was {verb} by {agent} in {place} in {year}",
            "in {place} {patient} was {verb} by {agent} in {year}",
        ),
        (("agent", "patient"),),
    ),
    Frame(
        {
            "trait": "traits",
            "agent": "occupations",
            "other_trait": "traits",
            "patient": "occupations",
            "verb": "acts",
            "place": "cities",
        },
        (
            "the {trait} {agent} {verb} the {other_trait} {patient} in {place}",
            "in {place} the {trait} {agent} {verb} the {other_trait} {patient}",
            "the {other_trait} {patient} was {verb} by the {trait} {agent} in {place}",
            "in {place} the {other_trait} {patient} was {verb} by the {trait} {agent}",
        ),
        (("agent", "patient"), ("trait", "other_trait")),
    ),
    Frame(
        {"person": "people", "origin": "cities", "goal": "cities", "vehicle": "vehicles", "year": "years"},
        (
            "{person} travelled from {origin} to {goal} by {vehicle} in {year}",
            "in {year} {person} travelled by {vehicle} from {origin} to {goal}",
            "{person} travelled to {goal} from {origin} in {year} by {vehicle}",
            "in {year} {person} travelled to {goal} by {vehicle} from {origin}",
        ),
        (("origin", "goal"),),
    ),
    Frame(
        {"work": "works", "topic": "topics", "author": "people", "editor": "people", "year": "years"},
        (
            "the {work} about {topic} was written by {author} and edited by {editor} in {year}",
            "in {year} the {work} about {topic} was edited by {editor} and written by {author}",
            "{author} wrote and {editor} edited the {work} about {topic} in {year}",
            "in {year} {editor} edited and {author} wrote the {work} about {topic}",
        ),
        (("author", "editor"),),
    ),
    Frame(
        {
            "person": "people",
            "place": "cities",
            "year": "years",
            "other_place": "cities",
            "other_year": "years",
            "verb": "stays",
        },
        (
            "{person} {verb} in {place} in {year} and in {other_place} in {other_year}",
            "{person} {verb} in {other_place} in {other_year} and in {place} in {year}",
            "in {year} {person} {verb} in {place} and in {other_year} in {other_place}",
            "in {other_year} {person} {verb} in {other_place} and in {year} in {place}",
        ),
        (("place", "other_place"),),
    ),
    Frame(
        {
            "colour": "colours",
            "thing": "things",
            "other_colour": "colours",
            "other_thing": "things",
            "relation": "relations",
            "place": "cities",
        },
        (
            "in {place} the {colour} {thing} is {relation[0]} than the {other_colour} {other_thing}",
            "in {place} the {other_colour} {other_thing} is {relation[1]} than the {colour} {thing}",
            "the {colour} {thing} is {relation[0]} than the {other_colour} {other_thing}, both in {place}",
            "the {other_colour} {other_thing} is {relation[1]} than the {colour} {thing}, both in {place}",
        ),
        (("colour", "other_colour"), ("thing", "other_thing")),
    ),
    Frame(
        {
            "giver": "people",
            "receiver": "people",
            "verb": "transfers",
            "colour": "colours",
            "thing": "things",
            "year": "years",
        },
        (
            "{giver} {verb[0]} the {colour} {thing} to {receiver} in {year}",
            "in {year} the {colour} {thing} was {verb[1]} to {receiver} by {giver}",
            "the {colour} {thing} was {verb[1]} by {giver} to {receiver} in {year}",
            "in {year} {receiver} {verb[2]} the {colour} {thing} from {giver}",
        ),
        (("giver", "receiver"),),
    ),
    Frame(
        {"person": "people", "place": "cities", "other_place": "cities", "verb": "visits", "year": "years"},
        (
            "in {year} {person} {verb} {place} before {other_place}",
            "in {year} {person} {verb} {other_place} after {place}",
            "{person} {verb} {place} before {other_place} in {year}",
            "{person} {verb} {other_place} after {place} in {year}",
        ),
        (("place", "other_place"),),
    ),
)

Fillers = dict[str, str | tuple[str, ...]]


def draw_fillers(frame: Frame, rng: np.random.Generator) -> Fillers:
    """Draws a filler for every slot; slots of one inventory get different ones."""
    fillers: Fillers = {}
    for slot, inventory in frame.slots.items():
        choices = INVENTORIES[inventory]
        filler = choices[int(rng.integers(len(choices)))]
        while filler in fillers.values():
            filler = choices[int(rng.integers(len(choices)))]
        fillers[slot] = filler
    return fillers


def exchange_fillers(fillers: Fillers, exchange: tuple[str, str]) -> Fillers:
    """Returns the fillers with those of two slots exchanged."""
    first, second = exchange
    return {**fillers, first: fillers[second], second: fillers[first]}


def draw_english_pair(rng: np.random.Generator, label: int) -> SimulatedPair:
    """Draws one statement worded in two ways (label 1), or the second with two fillers exchanged (label 0)."""
    number = int(rng.integers(len(FRAMES)))
    frame = FRAMES[number]
    fillers = draw_fillers(frame, rng)
    first, second = rng.permutation(len(frame.wordings))[:2]
    exchange = frame.exchanges[int(rng.integers(len(frame.exchanges)))]
    return SimulatedPair(
        sentence1=_say(frame.wordings[first], fillers),
        sentence2=_say(frame.wordings[second], fillers if label else exchange_fillers(fillers, exchange)),
        label=label,
        # The same for a statement and all its exchanges, so that neither can be met again in another split.
        key=f"{number}: " + ", ".join(sorted(map(str, fillers.values()))),
    )


def draw_restatement_pair(rng: np.random.Generator, label: int) -> SimulatedPair:
    """Draws one statement worded in two ways (label 1), or another statement of its kind as the second (label 0).

    The other statement has the frame of the first, and in every slot another filler of the same inventory and length;
    a filler that no other equals in length stays. So both labels have the same words, and pairs of the same lengths.
    """
    number = int(rng.integers(len(FRAMES)))
    frame = FRAMES[number]
    fillers = draw_fillers(frame, rng)
    first, second = rng.permutation(len(frame.wordings))[:2]
    return SimulatedPair(
        sentence1=_say(frame.wordings[first], fillers),
        sentence2=_say(frame.wordings[second], fillers if label else replace_fillers(frame, fillers, rng)),
        label=label,
        key=f"{number}: " + ", ".join(sorted(map(str, fillers.values()))),
    )


def replace_fillers(frame: Frame, fillers: Fillers, rng: np.random.Generator) -> Fillers:
    """Returns fillers of which none is among those given, each as long as the one it replaces, where there is one."""
    replaced: Fillers = {}
    for slot, filler in fillers.items():
        taken = (*fillers.values(), *replaced.values())
        choices = [one for one in _as_long(frame.slots[slot], _lengths(filler)) if one not in taken]
        replaced[slot] = choices[int(rng.integers(len(choices)))] if choices else filler
    return replaced


def _lengths(filler: str | tuple[str, ...]) -> tuple[int, ...]:
    """Returns the characters of each form of a filler."""
    return tuple(map(len, (filler,) if isinstance(filler, str) else filler))


@functools.cache
def _as_long(inventory: str, lengths: tuple[int, ...]) -> tuple[str | tuple[str, ...], ...]:
    return tuple(filler for filler in INVENTORIES[inventory] if _lengths(filler) == lengths)


def draw_english_document(
    rng: np.random.Generator, *, mean_statements: float = 4.0, restated_fraction: float = 0.5
) -> str:
    """Draws one paragraph for a corpus: statements, some of which are repeated in other words.

    Args:
      mean_statements: expected statements beyond the first.
      restated_fraction: expected share of statements, 0 to 1, that the next sentence says again in another wording.
    """
    sentences = []
    for _ in range(1 + rng.poisson(mean_statements)):
        frame = FRAMES[int(rng.integers(len(FRAMES)))]
        fillers = draw_fillers(frame, rng)
        first, second = rng.permutation(len(frame.wordings))[:2]
        sentences.append(_say(frame.wordings[first], fillers))
        if rng.random() < restated_fraction:
            sentences.append(_say("in other words, " + frame.wordings[second], fillers))
    return " ".join(sentences)


def _say(wording: str, fillers: Fillers) -> str:
    sentence = wording.format(**fillers)
    return sentence[0].upper() + sentence[1:] + "."
