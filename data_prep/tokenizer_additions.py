"""Which tokens to add to a tokenizer: learnt on new texts, so that old ones keep their meaning and the new ones occur.

`tokenizer_extending` says why each kind learns as it does.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from tokenizers import Tokenizer, models, trainers

from data_prep.tokenizer_kinds import WORDPIECE_PREFIX, learn_pieces, read_letters, split_words
from lingjax.errors import InputError

Merge = tuple[str, str]
ReadTexts = Callable[[], Iterable[str]]
_Candidate = TypeVar("_Candidate")

_MIN_FREQUENCY = 2  # what occurs once in the texts tells nothing about other texts
_BATCH_DOCUMENTS = 256
_LONGEST_HELD = 50  # letters of a word that is remembered, as many as hardly a word of a language has
# Old ids are learnt on as characters: above the surrogates, which are none, every number up to a million is one.
_FIRST_CHARACTER = 0x10000


def learn_merges(tokenizer: Tokenizer, *, read_texts: ReadTexts, read_kept: ReadTexts, count: int) -> list[Merge]:
    """Returns BPE merges that go on where the tokenizer's own end; each makes one new token.

    Args:
      tokenizer: a BPE.
      read_texts: gives the texts to learn from, as often as it is called.
      read_kept: gives texts that must be cut as before: a merge that would join two tokens of theirs is not taken, nor
        those that build on it.
      count: merges wanted.

    Raises:
      InputError: the texts do not give so many.
    """
    kept = {pair for word in _cut_words(tokenizer, read_kept()) for pair in itertools.pairwise(word)}
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)

    def accept(merges: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[Merge]:
        accepted, known = [], set(vocabulary)
        for left, right in merges:
            parts = tuple("".join(map(tokenizer.id_to_token, old_ids)) for old_ids in (left, right))
            token = "".join(parts)
            if left + right not in kept and known.issuperset(parts) and token not in known:
                known.add(token)
                accepted.append(parts)
        return accepted

    return _learn_enough(lambda wanted: _merge_on(tokenizer, read_texts, wanted), accept, count)


def learn_new_pieces(tokenizer: Tokenizer, *, read_texts: ReadTexts, read_kept: ReadTexts, count: int) -> list[str]:
    """Returns WordPiece entries that the tokenizer lacks, in the order in which they were learnt.

    Arguments and errors as for `learn_merges`; here an entry is not taken if longest-match-first would prefer it
    anywhere in the kept texts.
    """
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    parts = {"normalizer": tokenizer.normalizer, "pre_tokenizer": tokenizer.pre_tokenizer}
    letters, inner = read_letters(split_words(read_texts(), **parts))
    given = [WORDPIECE_PREFIX + letter for letter in inner]

    def learn(wanted: int) -> list[str]:
        size = max(wanted, len(given) + len(letters))
        pieces = learn_pieces(read_texts(), given=given, vocab_size=size, min_frequency=_MIN_FREQUENCY, **parts)
        return sorted(pieces, key=pieces.__getitem__)

    def accept(pieces: Sequence[str]) -> list[str]:
        new = [piece for piece in pieces if piece not in vocabulary]
        preferred = _find_preferred(new, words=_distinct(split_words(read_kept(), **parts)), vocabulary=vocabulary)
        return [piece for piece in new if piece not in preferred]

    return _learn_enough(learn, accept, count)


def _learn_enough(
    learn: Callable[[int], Sequence[_Candidate]], accept: Callable[[Sequence[_Candidate]], list], count: int
) -> list:
    """Learns more and more candidates until `count` are accepted. More candidates begin with those of fewer."""
    wanted = count
    while True:
        candidates = learn(wanted)
        accepted = accept(candidates)
        if len(accepted) >= count:
            return accepted[:count]
        if len(candidates) < wanted:
            raise InputError(
                f"--add_tokens={count}: only {len(accepted):,} can be learnt from these texts, as a token must occur "
                "twice, be new, and leave the texts of --keep as they are; ask for fewer, or give more text"
            )
        wanted *= 2


def _merge_on(tokenizer: Tokenizer, read_texts: ReadTexts, count: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Learns BPE merges of old tokens; a merge is the old ids of its left part and of its right part."""
    alphabet = [chr(_FIRST_CHARACTER + token_id) for token_id in tokenizer.get_vocab().values()]
    learner = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + count,
        min_frequency=_MIN_FREQUENCY,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    words = _cut_words(tokenizer, read_texts())
    spelled = ("".join(chr(_FIRST_CHARACTER + token_id) for token_id in word) for word in words)
    learner.train_from_iterator(spelled, trainer)
    merges = json.loads(learner.to_str())["model"]["merges"]
    return [tuple(tuple(ord(letter) - _FIRST_CHARACTER for letter in part) for part in merge) for merge in merges]


def _cut_words(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[tuple[int, ...]]:
    """Yields the ids of each word; no token ever spans two words."""
    texts = iter(texts)
    while batch := list(itertools.islice(texts, _BATCH_DOCUMENTS)):
        for encoding in tokenizer.encode_batch(batch, add_special_tokens=False):  # its fast twin forgets the words
            pairs = zip(encoding.word_ids, encoding.ids, strict=True)
            for _, word in itertools.groupby(pairs, key=lambda pair: pair[0]):
                yield tuple(token_id for _, token_id in word)


def _distinct(words: Iterable[str]) -> Iterator[str]:
    """Yields words once, but for long ones: each sequence of DNA or protein is a word of its own, not to be held."""
    seen = set()
    for word in words:
        if len(word) <= _LONGEST_HELD:
            if word in seen:
                continue
            seen.add(word)
        yield word


def _find_preferred(pieces: Iterable[str], *, words: Iterable[str], vocabulary: Iterable[str]) -> set[str]:
    """Returns those pieces that longest-match-first would take in some word if the vocabulary held them too."""
    new, old = set(pieces), set(vocabulary)
    longest_new, longest_old = (max((len(piece) for piece in known), default=0) for known in (new, old))
    preferred = set()
    for word in words:
        start = 0
        while start < len(word):
            prefix = WORDPIECE_PREFIX if start else ""
            ends = range(min(start + longest_old, len(word)), start, -1)
            # Where no piece fits, the whole word is unknown; that, too, is to stay.
            end = next((end for end in ends if prefix + word[start:end] in old), start)
            longer = range(end + 1, min(start + longest_new, len(word)) + 1)
            preferred.update(new.intersection(prefix + word[start:end] for end in longer))
            if end == start:
                break
            start = end
    return preferred
