import re

import numpy as np
import pytest

from data_prep.synthetic.english import FRAMES, draw_english_document, draw_english_pair, draw_fillers, exchange_fillers
from data_prep.synthetic.pairs import draw_splits


@pytest.fixture(scope="module")
def splits():
    return draw_splits(draw_english_pair, {"train": 1401, "test": 600}, np.random.default_rng(7))


@pytest.fixture(scope="module")
def pairs(splits):
    return splits["train"] + splits["test"]


def words(sentence):
    return re.findall(r"\w+", sentence.lower())


def jaccard(pair):
    first, second = set(words(pair.sentence1)), set(words(pair.sentence2))
    return len(first & second) / len(first | second)


def auroc(positives, negatives):
    wins = np.subtract.outer(positives, negatives)
    return np.mean((wins > 0) + 0.5 * (wins == 0))


def test_word_overlap_does_not_tell_the_label(pairs):
    by_label = [np.array([jaccard(pair) for pair in pairs if pair.label == label]) for label in (0, 1)]
    assert abs(auroc(by_label[1], by_label[0]) - 0.5) < 0.06
    assert np.mean(by_label[0]) > 0.7


def test_neither_sentence_alone_tells_the_label_by_its_length(pairs):
    for sentence in ("sentence1", "sentence2"):
        by_label = [
            np.array([len(getattr(pair, sentence)) for pair in pairs if pair.label == label]) for label in (0, 1)
        ]
        assert abs(auroc(by_label[1], by_label[0]) - 0.5) < 0.06


def test_labels_are_balanced_in_each_split_and_not_sorted(splits):
    for pairs in splits.values():
        labels = [pair.label for pair in pairs]
        assert sum(labels) == len(labels) // 2
        assert labels != sorted(labels)
        assert 0.4 < np.mean(np.diff(labels) != 0) < 0.6


def test_no_statement_is_used_twice_not_even_with_its_words_exchanged(pairs):
    assert len({pair.key for pair in pairs}) == len(pairs)
    # An exchange moves whole names and words, so a sentence's own words identify it apart from function words.
    assert len({frozenset((pair.sentence1, pair.sentence2)) for pair in pairs}) == len(pairs)


def test_no_pair_repeats_a_sentence(pairs):
    assert all(pair.sentence1 != pair.sentence2 for pair in pairs)


@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_an_exchange_changes_every_wording_and_keeps_its_words(number):
    frame = FRAMES[number]
    fillers = draw_fillers(frame, np.random.default_rng(number))
    for exchange in frame.exchanges:
        exchanged = exchange_fillers(fillers, exchange)
        for wording in frame.wordings:
            before, after = wording.format(**fillers), wording.format(**exchanged)
            assert before != after
            assert sorted(words(before)) == sorted(words(after))


@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_no_exchange_turns_one_wording_into_another(number):
    # Otherwise one pair of sentences could carry both labels.
    frame = FRAMES[number]
    fillers = draw_fillers(frame, np.random.default_rng(number))
    said = {wording.format(**fillers) for wording in frame.wordings}
    for exchange in frame.exchanges:
        assert said.isdisjoint(wording.format(**exchange_fillers(fillers, exchange)) for wording in frame.wordings)
    assert len(said) == len(frame.wordings)


@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_every_wording_uses_every_slot(number):
    for wording in FRAMES[number].wordings:
        assert set(re.findall(r"{(\w+)", wording)) == set(FRAMES[number].slots)


def test_documents_are_sentences_and_a_matter_of_the_seed():
    document = draw_english_document(np.random.default_rng(3), restated_fraction=1.0)
    sentences = document.split(". ")
    assert all(sentence.startswith("In other words, ") for sentence in sentences[1::2])
    assert document == draw_english_document(np.random.default_rng(3), restated_fraction=1.0)
    assert document != draw_english_document(np.random.default_rng(4), restated_fraction=1.0)
