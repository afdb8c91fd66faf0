"""Control corpora keep numbers and lengths, and lose what they are meant to lose."""

import collections
import json
import random

import numpy as np
import pytest

from data_prep.builders import corpus
from data_prep.corpora import open_corpus
from data_prep.corpus_control import Control, LetterCounts, make_rewriter, parse_control
from lingjax.errors import InputError

KINDS = ("shuffled", "shuffled_words", "iid", "markov:2")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """DNA in which G follows A and T follows G more often than not."""
    rng = random.Random(0)
    letters = {"A": "GGGGACT", "G": "TTTTAGC", "C": "ACGT", "T": "ACGT"}
    lines = []
    for number in range(60):
        text = "A"
        while len(text) < 200 + number:
            text += rng.choice(letters[text[-1]])
        lines.append(f">s{number}\n{text}\n")
    path = tmp_path_factory.mktemp("source") / "a.fna"
    path.write_text("".join(lines))
    return path


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    def build(control, **changes):
        flags = {"splits": ["train:0.8", "validation:0.2"], "window": 100, **changes}
        if control is not None:
            flags["control"] = control
        folder = tmp_path_factory.mktemp("data")
        (made,) = corpus.build(folder, domain="dna", name="dna", source=[str(source)], **flags)
        return made

    return build


def texts(folder, split="train"):
    return list(open_corpus(f"{folder}@{split}", default=()))


def info(folder):
    return json.loads((folder / "lingjax.json").read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_a_control_has_the_documents_splits_and_lengths_of_its_corpus(built, kind):
    plain, control = built(None), built(kind)
    assert info(control)["counts"] == info(plain)["counts"]
    for split in ("train", "validation"):
        assert [len(text) for text in texts(control, split)] == [len(text) for text in texts(plain, split)]
        assert texts(control, split) != texts(plain, split) or kind == "shuffled_words"  # a sequence is one word
    assert info(control)["synthetic"] is True
    assert info(plain)["synthetic"] is False
    assert "A control: " in json.loads((control / "dataset_info.json").read_text())["description"]


def test_shuffled_letters_are_those_of_each_document(built):
    for before, after in zip(texts(built(None)), texts(built("shuffled")), strict=True):
        assert sorted(before) == sorted(after)


def test_shuffled_words_keep_spaces_where_they_stood():
    rewrite = make_rewriter(Control("shuffled_words"), None)
    text = "  one two\n\nthree  four five "
    changed = rewrite("a", text)
    assert changed != text
    assert sorted(changed.split()) == sorted(text.split())
    assert len(changed) == len(text)
    assert [piece for piece in changed if piece.isspace()] == [piece for piece in text if piece.isspace()]


def frequencies(sequences, order):
    """Counts of what follows each context, found by another way: sliding windows."""
    return collections.Counter(text[i : i + order + 1] for text in sequences for i in range(len(text) - order))


def test_drawn_letters_are_as_frequent_as_in_the_corpus_and_no_more(built):
    plain = [*texts(built(None)), *texts(built(None), "validation")]
    drawn = [*texts(built("iid")), *texts(built("iid"), "validation")]
    letters = sum(map(len, plain))
    for letter, count in collections.Counter("".join(plain)).items():
        expected, found = count / letters, "".join(drawn).count(letter) / letters
        assert abs(found - expected) < 4 * (expected * (1 - expected) / letters) ** 0.5
    pairs = frequencies(drawn, 1)
    after_a = sum(pairs[f"A{letter}"] for letter in "ACGT")
    share = "".join(drawn).count("G") / letters
    assert abs(pairs["AG"] / after_a - share) < 4 * (share * (1 - share) / after_a) ** 0.5


def test_a_chain_has_the_transitions_of_the_corpus_up_to_its_order(built):
    plain = [*texts(built(None)), *texts(built(None), "validation")]
    chain = built("markov:1")
    drawn = [*texts(chain), *texts(chain, "validation")]
    counted, found = frequencies(plain, 1), frequencies(drawn, 1)
    for context in "ACGT":
        before, after = (sum(counts[context + letter] for letter in "ACGT") for counts in (counted, found))
        for letter in "ACGT":
            expected = counted[context + letter] / before
            assert abs(found[context + letter] / after - expected) < 4 * (expected * (1 - expected) / after) ** 0.5


def test_a_chain_begins_as_documents_begin_and_goes_on_where_it_ends():
    counts = LetterCounts(2)
    for text in ("abx", "aby"):
        counts.add(text)
    assert counts.after == {"": {"a": 2}, "a": {"b": 2}, "ab": {"x": 1, "y": 1}}
    drawn = make_rewriter(Control("markov", 2), counts)("name", "." * 30)
    # Nothing follows "bx" or "by": there it begins anew.
    assert {drawn[place : place + 3] for place in range(0, 30, 3)} == {"abx", "aby"}


def test_counts_of_parts_add_up():
    whole, parts = LetterCounts(3), [LetterCounts(3), LetterCounts(3)]
    for number, text in enumerate(("abcabc", "cab", "", "abca")):
        whole.add(text)
        parts[number % 2].add(text)
    parts[0].update(parts[1])
    assert (parts[0].after, parts[0].letters) == (whole.after, whole.letters)


@pytest.mark.parametrize("kind", KINDS[:1] + KINDS[2:])
def test_the_seed_decides_and_the_same_seed_gives_the_same_bytes(built, kind):
    one, again, other = built(kind), built(kind), built(kind, seed=1)
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in again.iterdir()
    }
    assert texts(one) != texts(other)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("shufled", "did you mean 'shuffled'"),
        ("markov", "markov:K wants letters of context, 1 to 12"),
        ("markov:0", "1 to 12"),
        ("markov:13", "1 to 12"),
        ("iid:2", "is not known"),
    ],
)
def test_what_is_no_control_is_refused(text, line):
    with pytest.raises(InputError, match=line):
        parse_control(text, seed=0)


def test_a_seed_without_a_control_is_refused(built):
    with pytest.raises(InputError, match="--seed=3 is not used"):
        built(None, seed=3)


def test_letters_beyond_ascii_are_kept_whole():
    changed = make_rewriter(Control("shuffled"), None)("a", "äöü𝔸ß" * 3)
    assert sorted(changed) == sorted("äöü𝔸ß" * 3)
    assert np.all([len(letter) == 1 for letter in changed])
