import re

import numpy as np
import pytest

from data_prep.synthetic.english import (
    FRAMES,
    draw_english_document,
    draw_english_pair,
    draw_fillers,
    draw_restatement_pair,
    exchange_fillers,
    replace_fillers,
)
from data_prep.synthetic.pairs import draw_splits
from lingjax.evaluation import PairSides
from lingjax.evaluation.shortcuts import common_letters, composition_features, cross_validated, length_features


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


@pytest.fixture(scope="module")
def restatements():
    return draw_splits(draw_restatement_pair, {"train": 1501, "test": 500}, np.random.default_rng(5))["train"]


@pytest.fixture(scope="module")
def predicted(restatements):
    """By name, how well a cross-validated logistic regression tells the labels from some features."""
    first, second = ([getattr(pair, side).casefold() for pair in restatements] for side in ("sentence1", "sentence2"))
    labels = np.array([pair.label for pair in restatements], np.int32)
    sides = PairSides(first, second, [words(text) for text in first], [words(text) for text in second], labels)
    length, letters = length_features(sides), common_letters(sides)
    composition, count = composition_features(sides, letters), len(letters)
    features = {
        "length": length,
        "composition of the first": composition[:, :count],
        "composition of the second": composition[:, count : 2 * count],
        "composition of both": composition,
    }
    rows = np.arange(len(restatements))
    return {name: cross_validated(columns, labels, rows) for name, columns in features.items()}


@pytest.mark.parametrize("what", ["length", "composition of the first", "composition of the second"])
def test_restating_is_told_neither_by_lengths_nor_by_the_letters_of_one_sentence(predicted, what):
    assert predicted[what].ci95_widened[0] <= 0.5
    assert 0.4 < predicted[what].auroc < 0.55


def test_restating_is_told_by_the_letters_of_both_sentences_beside_each_other(predicted):
    # What a restatement keeps shows in its letters; the source's description does not hide it.
    assert predicted["composition of both"].auroc > 0.95


def test_one_who_does_not_restate_says_another_thing_with_the_same_frame_and_length(restatements):
    numbers = {label: [pair.key.split(":")[0] for pair in restatements if pair.label == label] for label in (0, 1)}
    assert set(numbers[0]) == set(numbers[1]) == {str(number) for number in range(len(FRAMES))}
    shared = {label: [jaccard(pair) for pair in restatements if pair.label == label] for label in (0, 1)}
    assert min(shared[1]) > 0.5
    assert np.mean(shared[1]) > 0.75
    assert max(shared[0]) < 0.75
    assert 0.1 < np.mean(shared[0]) < 0.45  # the frame's own words


@pytest.mark.parametrize("number", range(len(FRAMES)))
def test_replaced_fillers_are_others_as_long_so_that_every_wording_keeps_its_length(number):
    frame, rng = FRAMES[number], np.random.default_rng(number)
    for _ in range(50):
        fillers = draw_fillers(frame, rng)
        replaced = replace_fillers(frame, fillers, rng)
        assert replaced.keys() == fillers.keys()
        assert len({*map(str, replaced.values())}) == len(replaced)
        changed = [slot for slot in fillers if replaced[slot] != fillers[slot]]
        assert len(changed) >= len(fillers) - 2
        assert not {*map(str, (replaced[slot] for slot in changed))} & {*map(str, fillers.values())}
        for wording in frame.wordings:
            assert len(wording.format(**replaced)) == len(wording.format(**fillers))


def test_restatements_are_a_matter_of_the_seed():
    drawn = [
        draw_splits(draw_restatement_pair, {"train": 20}, np.random.default_rng(seed))["train"] for seed in (3, 3, 4)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len({pair.key for pair in drawn[0]}) == 20
