import numpy as np
import pytest

from lingjax.data import PairRecord
from lingjax.evaluation import near_copies
from lingjax.evaluation.near_copies import rows_similar_to_source


def text(rng, length=60, letters="acgt"):
    return "".join(rng.choice(list(letters), length))


def pairs(*rows):
    return [PairRecord(f"p{number}", first, second, 0) for number, (first, second) in enumerate(rows)]


def counted_by_hand(target, source, *, fraction):
    """The definition, by sets and a loop over all texts."""

    def runs(sentence):
        return {sentence[start : start + 10] for start in range(len(sentence) - 9)}

    seen = [runs(sentence) for record in source for sentence in (record.sentence1, record.sentence2)]

    def is_copy(sentence):
        own = runs(sentence)
        return any(len(own & other) >= max(10, fraction * len(own)) for other in seen)

    return sum(is_copy(record.sentence1) or is_copy(record.sentence2) for record in target)


@pytest.mark.parametrize("rows_at_once", [3, 2048])
def test_copies_are_counted_as_the_definition_says(monkeypatch, rows_at_once):
    monkeypatch.setattr(near_copies, "_ROWS_AT_ONCE", rows_at_once)
    rng = np.random.default_rng(0)
    source = pairs(*[(text(rng), text(rng) + "a" * 30) for _ in range(31)])
    changed = []
    for row, record in enumerate(source):
        letters = list(record.sentence1 if row % 2 else record.sentence2)
        for place in rng.choice(len(letters), row // 3, replace=False):
            letters[place] = rng.choice(list("acgt"))
        changed.append((text(rng), "".join(letters)) if row % 3 else ("".join(letters), text(rng)))
    target = pairs(*changed)
    expected = counted_by_hand(target, source, fraction=0.15)
    assert 5 < expected < 31
    assert rows_similar_to_source(target, source) == expected


def test_fragments_of_longer_texts_count_in_any_case_and_spacing():
    rng = np.random.default_rng(1)
    whole = text(rng, 500)
    target = pairs((text(rng), whole[200:260].upper()), (text(rng), text(rng)), (f"{whole[:60]}\n", text(rng)))
    assert rows_similar_to_source(target, pairs((text(rng), whole))) == 2


def test_texts_of_fewer_than_19_letters_are_too_short_to_say():
    rng = np.random.default_rng(2)
    whole = text(rng)
    source = pairs((whole, whole))
    assert rows_similar_to_source(pairs((whole[:18], whole[:18])), source) == 0
    assert rows_similar_to_source(pairs((whole[:19], whole[:19])), source) == 1


def test_language_may_share_phrases():
    """A quarter of the words is the same; between sequences that would be a copy."""
    source = pairs(("The committee of the house of lords met in the old town hall.", "It never met."))
    shares = "In the year of the flood the house of lords was a school for boys."
    reworded = "The committee of the house of lords met in the new town hall."
    assert rows_similar_to_source(pairs((shares, "Nothing else.")), source) == 0
    assert rows_similar_to_source(pairs((reworded, "Nothing else.")), source) == 1


def test_what_most_of_the_texts_hold_is_no_sign_of_copying():
    rng = np.random.default_rng(3)
    adapter = text(rng, 40)
    target = pairs(*[(adapter + text(rng, 20), adapter + text(rng, 20)) for _ in range(151)])
    source = pairs((adapter + text(rng, 20), text(rng)))
    assert rows_similar_to_source(target, source) == 0
    assert rows_similar_to_source(target[:40], source) == 40  # of few texts, what is common cannot be told


def test_no_rows_hold_no_copies():
    rng = np.random.default_rng(4)
    some = pairs((text(rng), text(rng)))
    assert (rows_similar_to_source([], some), rows_similar_to_source(some, [])) == (0, 0)
    assert rows_similar_to_source(pairs(("a", "b")), pairs(("a", "b"))) == 0
