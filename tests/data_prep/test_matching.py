import numpy as np
import pytest

from data_prep.biology.matching import deal_partners


def deal(texts, *, pools=None, keys=None, forbidden=None, seed=0, **options):
    count = len(texts)
    return deal_partners(
        texts,
        pools=pools or [0] * count,
        keys=keys or [set()] * count,
        forbidden=forbidden or [set()] * count,
        rng=np.random.default_rng(seed),
        **options,
    ).tolist()


def draw_texts(count, seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACDE"), size=rng.integers(5, 12), p=rng.dirichlet([1] * 4))) for _ in range(count)]


def test_every_text_goes_to_exactly_one_other_place():
    partners = deal(draw_texts(101))
    assert sorted(partners) == list(range(101))
    assert all(place != partner for place, partner in enumerate(partners))


def test_pools_keys_and_forbidden_texts_are_kept_apart():
    pools = [number % 2 for number in range(60)]
    keys = [{number // 7} for number in range(60)]
    forbidden = [{(number + 2) % 60, (number + 14) % 60} for number in range(60)]
    partners = deal(draw_texts(60), pools=pools, keys=keys, forbidden=forbidden)
    assert sorted(partners) == list(range(60))
    for place, partner in enumerate(partners):
        assert pools[place] == pools[partner]
        assert keys[place] != keys[partner]
        assert partner not in forbidden[place]


def test_lengths_are_as_near_as_can_be():
    assert deal(["A", "AAAA", "CC", "CCCCC"]) == [2, 3, 0, 1]


def test_composition_is_nearer_if_asked_for():
    texts = draw_texts(80)

    def difference(partners):
        return sum(
            sum(abs(texts[a].count(letter) - texts[b].count(letter)) for letter in "ACDE")
            for a, b in enumerate(partners)
        )

    assert difference(deal(texts, by_composition=True)) < 0.5 * difference(deal(texts))


def test_what_stands_in_the_way_of_an_assignment_is_left_out():
    # Three of one family and one of another: only one of the three finds a partner.
    partners = deal(["AAA"] * 4, keys=[{1}, {1}, {1}, {2}])
    assert sorted(partners)[:2] == [-1, -1]
    assert partners[3] >= 0
    assert partners[partners[3]] == 3
    assert deal(["A"]) == [-1]


def test_wanted_texts_come_before_like_ones():
    scores = [{1: 10.0}, {2: 10.0}, {3: 10.0}, {0: 10.0}]
    assert deal(["A", "AAAAAAA", "A", "AAAAAAA"], scores=scores) == [1, 2, 3, 0]


def test_another_seed_deals_otherwise_and_the_same_one_alike():
    texts = ["ACDE"] * 20
    assert deal(texts, seed=1) == deal(texts, seed=1) != deal(texts, seed=2)


@pytest.mark.parametrize("count", [999, 1501])
def test_many_texts_are_dealt_in_blocks(count):
    assert sorted(deal(["ACDE"] * count)) == list(range(count))
