"""What short contexts tell of the next character: the yardstick of a pretraining run's bits per character."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from lingjax.data.passages import END_OF_DOCUMENT, Passage
from lingjax.data.seen_text import number_keys

# Powers of two, because the loss is flat about its minimum. The first is Witten and Bell's own, and wins ties.
_SCALES = (1.0, 0.25, 0.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
# One in so many training passages is kept back to choose the order and the scales on.
_CHOOSING = 10
# A longer context must lower the loss there by 0.1 % to be worth its name; chance alone lowers it a little.
_AS_GOOD = 1.001
_LEARNT, _CHOSEN_ON, _HELD_OUT, _GIVEN = range(4)


@dataclasses.dataclass(frozen=True)
class MarkovLoss:
    """What a Markov model loses on held-out text, ends of documents included, over its characters.

    Attributes:
      order: characters of context: the fewest that are within 0.1 % of the best on text kept back from training. What
        is held out has no say in it.
      bits_per_character: what that order loses.
      composition_bits_per_character: what order 0 loses, which knows how frequent each character is and no more.
    """

    order: int
    bits_per_character: float
    composition_bits_per_character: float


def markov_loss(training: Sequence[Passage], held_out: Sequence[Passage], *, max_order: int = 16) -> MarkovLoss:
    """Scores held-out text by an interpolated Markov model over characters, fitted to training text.

    With n(h) occurrences of the context h in training, d(h) different symbols after it, and h' the context without its
    first character, p(x | h) = (n(hx) + s d(h) p(x | h')) / (n(h) + s d(h)). Below order 0 stands the uniform
    distribution over Unicode and the end of a document, so that every text has a probability. At s = 1 this is Witten
    and Bell's method C in its interpolated form. DNA, whose short contexts are all followed by all four letters, wants
    more smoothing: each order's s, and then the order, are chosen on every tenth training passage, for a model of
    the others. Then all training passages are counted. Contexts do not reach beyond a passage.

    Args:
      training: at least two passages, or order 0 is all that can be chosen.
      held_out: their `given` symbols are context and are not scored.
      max_order: longest context to try.

    Raises:
      ValueError: the held-out passages have no character to predict.

    Sources: Witten and Bell 1991, The zero-frequency problem, IEEE Transactions on Information Theory 37(4); Chen and
    Goodman 1999, An empirical study of smoothing techniques for language modeling, Computer Speech & Language 13(4);
    for a chosen weight of the shorter context, MacKay and Peto 1995, A hierarchical Dirichlet language model, Natural
    Language Engineering 1(3).
    """
    text = _join(training, held_out)
    characters = int(((text.roles == _HELD_OUT) & ~text.is_end).sum())
    if not characters:
        raise ValueError("the held-out passages have no character to predict")
    probabilities = np.full(len(text.symbols), 1 / (END_OF_DOCUMENT + 1))
    losses = []
    for runs in _orders(text, max_order):
        roles = text.roles[runs.places]
        choosing = _Counts.of(runs, learnt=roles == _LEARNT, scored=roles == _CHOSEN_ON)
        scale = _best_scale(choosing, probabilities)
        final = _Counts.of(runs, learnt=roles <= _CHOSEN_ON, scored=roles == _HELD_OUT)
        for counts in (choosing, final):
            probabilities[counts.places] = counts.interpolate(probabilities, scale)
        losses.append([_bits(probabilities[text.roles == role]) for role in (_CHOSEN_ON, _HELD_OUT)])
    to_choose_by, of_held_out = np.array(losses).T
    order = int(np.argmax(to_choose_by <= _AS_GOOD * to_choose_by.min()))
    return MarkovLoss(order, float(of_held_out[order] / characters), float(of_held_out[0] / characters))


@dataclasses.dataclass(frozen=True)
class _Text:
    """Passages end to end.

    Attributes:
      symbols: numbered from 0 in the order of their code points.
      alphabet: how many different ones there are.
      roles: what each symbol is for.
      is_end: where a document ends.
      is_last: the last symbol of a passage.
    """

    symbols: np.ndarray
    alphabet: int
    roles: np.ndarray
    is_end: np.ndarray
    is_last: np.ndarray


def _join(training: Sequence[Passage], held_out: Sequence[Passage]) -> _Text:
    passages = [*training, *held_out]
    code_points = np.concatenate([passage.symbols for passage in passages])
    lengths = np.array([len(passage.symbols) for passage in passages])
    stops = np.cumsum(lengths)
    every = min(_CHOOSING, len(training))
    is_chosen_on = (np.arange(len(training)) % _CHOOSING == every - 1) & (every > 1)
    role_of_passage = np.append(np.where(is_chosen_on, _CHOSEN_ON, _LEARNT), np.full(len(held_out), _HELD_OUT))
    roles = np.repeat(role_of_passage.astype(np.int8), lengths)
    for passage, stop in zip(held_out, stops[len(training) :], strict=True):
        start = stop - len(passage.symbols)
        roles[start : start + passage.given] = _GIVEN
    is_last = np.zeros(len(code_points), bool)
    is_last[stops - 1] = True
    alphabet, symbols = np.unique(code_points, return_inverse=True)
    return _Text(symbols, len(alphabet), roles, code_points == END_OF_DOCUMENT, is_last)


@dataclasses.dataclass(frozen=True)
class _Runs:
    """The symbols that have a context of one length.

    Attributes:
      places: where these symbols stand in the text, increasing.
      contexts: a number for what stands before each.
      numbers: a number for each context together with its symbol.
    """

    places: np.ndarray
    contexts: np.ndarray
    numbers: np.ndarray


def _orders(text: _Text, max_order: int) -> Iterator[_Runs]:
    """Yields the runs of every order from 0, as long as there are any."""
    places, contexts = np.arange(len(text.symbols)), np.zeros(len(text.symbols), np.int64)
    for _ in range(max_order + 1):
        if not len(places):
            return
        keys = contexts * text.alphabet + text.symbols[places]
        numbers = number_keys(keys, bound=(int(contexts.max()) + 1) * text.alphabet)
        yield _Runs(places, contexts, numbers)
        # A run is the next symbol's context in the next order. One that occurs once was never seen before it is scored,
        # and leaving it out shortens the work of high orders.
        repeats = np.bincount(numbers) > 1
        goes_on = repeats[numbers] & ~text.is_last[places]
        places, contexts = places[goes_on] + 1, (np.cumsum(repeats) - 1)[numbers[goes_on]]


@dataclasses.dataclass(frozen=True)
class _Counts:
    """What was learnt about the symbols to be scored, where their context was seen at all.

    Attributes:
      places: where these symbols stand in the text.
      of_run: how often the context with this symbol was learnt.
      of_context: how often the context was.
      followers: how many different symbols were learnt after it.
    """

    places: np.ndarray
    of_run: np.ndarray
    of_context: np.ndarray
    followers: np.ndarray

    @classmethod
    def of(cls, runs: _Runs, *, learnt: np.ndarray, scored: np.ndarray) -> "_Counts":
        """Counts one order; both masks are over its places."""
        num_contexts, num_runs = int(runs.contexts.max()) + 1, int(runs.numbers.max()) + 1
        context_of_run = np.zeros(num_runs, np.int64)
        context_of_run[runs.numbers] = runs.contexts
        of_run = np.bincount(runs.numbers[learnt], minlength=num_runs)
        of_context = np.bincount(runs.contexts[learnt], minlength=num_contexts)
        followers = np.bincount(context_of_run[of_run > 0], minlength=num_contexts)
        scored = scored & (of_context[runs.contexts] > 0)
        contexts = runs.contexts[scored]
        return cls(runs.places[scored], of_run[runs.numbers[scored]], of_context[contexts], followers[contexts])

    def interpolate(self, probabilities: np.ndarray, scale: float) -> np.ndarray:
        """Returns the probabilities at `places`, given those of the order below at all places of the text."""
        weight = scale * self.followers
        return (self.of_run + weight * probabilities[self.places]) / (self.of_context + weight)


def _best_scale(counts: _Counts, probabilities: np.ndarray) -> float:
    return min(_SCALES, key=lambda scale: _bits(counts.interpolate(probabilities, scale)))


def _bits(probabilities: np.ndarray) -> float:
    return -float(np.log2(probabilities).sum())
