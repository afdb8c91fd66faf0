import pytest

from data_prep.splits import choose_split, parse_splits
from lingjax.data import hash_fraction
from lingjax.errors import InputError


def test_fractions_keep_their_order():
    assert list(parse_splits(["train:0.8", "validation:0.15", "test:0.05"]).items()) == [
        ("train", 0.8),
        ("validation", 0.15),
        ("test", 0.05),
    ]


def test_thirds_may_miss_one_by_rounding():
    assert sum(parse_splits(["a:0.3333333", "b:0.3333333", "c:0.3333333"]).values()) < 1


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (["train:0.8"], "sum to 0.8, not to 1"),
        (["train:0.8", "test:0.3"], "sum to 1.1, not to 1"),
        (["train:0.5", "train:0.5"], "names split 'train' twice"),
        (["train"], "'train' is not SPLIT:FRACTION"),
        ([":1"], "':1' is not SPLIT:FRACTION"),
        (["train:most"], "'train:most' is not SPLIT:FRACTION"),
        (["train:1", "test:0"], "'test:0' is not SPLIT:FRACTION"),
        (["train:1.5", "test:-0.5"], "'train:1.5' is not SPLIT:FRACTION"),
        (["train:nan"], "'train:nan' is not SPLIT:FRACTION"),
    ],
)
def test_unusable_splits_are_named(splits, message):
    with pytest.raises(InputError) as caught:
        parse_splits(splits)
    assert message in str(caught.value)


def test_the_split_of_an_id_never_changes():
    # Written down once: a change would move rows between training and test sets of everyone who builds again.
    fractions = {"train": 0.8, "test": 0.2}
    test_numbers = [number for number in range(12) if choose_split(f"pair-{number}", fractions) == "test"]
    assert test_numbers == [3, 6, 10]


def test_shares_are_close_to_the_fractions():
    fractions = {"train": 0.7, "validation": 0.2, "test": 0.1}
    chosen = [choose_split(f"v{number}", fractions) for number in range(4000)]
    for split, fraction in fractions.items():
        assert chosen.count(split) / 4000 == pytest.approx(fraction, abs=0.02)  # about 3 standard deviations


def test_a_dev_set_carved_later_is_independent_of_the_split():
    test_ids = [
        f"v{number}" for number in range(4000) if choose_split(f"v{number}", {"train": 0.8, "test": 0.2}) == "test"
    ]
    carved = [hash_fraction(pair_id, seed=0) < 0.1 for pair_id in test_ids]
    assert sum(carved) / len(carved) == pytest.approx(0.1, abs=0.03)
