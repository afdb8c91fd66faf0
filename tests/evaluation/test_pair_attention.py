import numpy as np
import pytest
import torch

from lingjax.data import PairEncoder, PairRecord, encode_pairs
from lingjax.evaluation.hidden_states import StudiedPairs
from lingjax.evaluation.pair_attention import MatchedTokens, attention_shares, match_tokens
from tests.training.small_run import WORDS, make_encoder, make_start, one_device

PAIRS = [
    ("red green blue stone red", "green blue moon red", 1),
    ("river cloud tree sand cloud", "river wind tree sand cloud moon", 1),
    ("snow frost", "red red red", 1),  # nothing matches
    ("snow frost wind", "snow frost wind", 0),  # not of label 1
    ("tree sand moon wind snow frost", "tree sand moon", 1),
]


@pytest.fixture(scope="module")
def records():
    return [PairRecord(f"p{row}", *pair) for row, pair in enumerate(PAIRS)]


@pytest.fixture(scope="module")
def weights_of_transformers(start, transformers_model):
    """`weights_of_transformers(pair)`: the reference's attention, averaged over heads, [layers query key]."""

    def weights(pair):
        inputs = {"input_ids": torch.tensor(pair.token_ids, dtype=torch.long)[None]}
        if start.config.family == "bert":
            inputs["token_type_ids"] = torch.tensor(pair.segment_ids, dtype=torch.long)[None]
        with torch.no_grad():
            output = transformers_model(**inputs, output_attentions=True)
        return np.stack([layer[0].mean(dim=0).numpy() for layer in output.attentions])

    return weights


def by_loops(start, pair, weights):
    """The three shares of one pair whose matches are given by hand: the definition, token by token."""
    words = [start.tokenizer.decode([token]) for token in pair.token_ids]
    end = 1 if start.config.family == "bert" else 0
    first, second = (PAIRS[pair.row_id][side].split() for side in (0, 1))
    at_first = {place: end + place for place in range(len(first)) if end + place > 0}
    at_second = {place: end + len(first) + 1 + place for place in range(len(second))}
    assert [words[at] for at in at_second.values()] == second
    matches = MATCHES[pair.row_id, start.config.family]
    kinds = {"matching": [], "same_token": [], "elsewhere": []}
    for query, match in matches:
        row = weights[:, at_second[query]]
        total = sum(row[:, at] for at in at_first.values())
        for place, at in at_first.items():
            same = first[place] == second[query]
            kind = "matching" if place == match else "same_token" if same else "elsewhere"
            kinds[kind].append(row[:, at] / total)
    return {name: np.mean(shares, axis=0) for name, shares in kinds.items() if shares}


# By row: which word of the second sentence matches which of the first. GPT-2's first token is left out.
MATCHES = {
    (0, "gpt2"): [(0, 1), (1, 2), (3, 4)],
    (0, "bert"): [(0, 1), (1, 2), (3, 4)],
    (1, "gpt2"): [(2, 2), (3, 3), (4, 4)],
    (1, "bert"): [(0, 0), (2, 2), (3, 3), (4, 4)],
    (4, "gpt2"): [(1, 1), (2, 2)],
    (4, "bert"): [(0, 0), (1, 1), (2, 2)],
}


def test_shares_follow_from_the_attention_of_transformers(start, records, weights_of_transformers):
    encoder = make_encoder(start.tokenizer, start.config.family)
    pairs = encoder.encode(records)
    expected = [by_loops(start, pairs[row], weights_of_transformers(pairs[row])) for row in (0, 1, 4)]
    shares = attention_shares(start, StudiedPairs.of(encode_pairs(records, encoder)), mesh=one_device(), batch_size=2)
    assert shares.rows == 3
    for name in ("matching", "same_token", "elsewhere"):
        mean = np.mean([one[name] for one in expected if name in one], axis=0)
        np.testing.assert_allclose(getattr(shares, name), mean, rtol=0, atol=1e-5)
    assert shares.to_json()["matching"] == shares.matching.tolist()


@pytest.fixture
def tokenizer(tokenizer_folder):
    return make_start(tokenizer_folder).tokenizer


def matched(tokenizer, first, second, *, pair_format, max_length=16):
    encoder = PairEncoder(tokenizer, pair_format=pair_format, max_length=max_length)
    (pair,) = encoder.encode([PairRecord("p", first, second, 1)])
    return match_tokens(pair, tokenizer.encode([first])[0], encoder)


@pytest.mark.parametrize(
    ("pair_format", "seen", "queries"),
    [("bert", [1, 2, 3], [5, 6]), ("separated", [1, 2], [5]), ("concat", [1, 2], [4])],
)
def test_sentences_are_found_in_every_format(tokenizer, pair_format, seen, queries):
    """Without a mark between them the sentences are one text, with the first token of the row in sentence 1."""
    tokens = matched(tokenizer, "red green blue", " red green moon", pair_format=pair_format)
    assert (tokens.seen.tolist(), tokens.queries.tolist()) == (seen, queries)


def test_a_token_over_the_seam_belongs_to_neither_sentence(tokenizer):
    """`snow` and `moon` become one unknown word."""
    tokens = matched(tokenizer, "red green blue snow", "moon green blue", pair_format="concat")
    assert (tokens.seen.tolist(), tokens.queries.tolist()) == ([1, 2], [4, 5])


@pytest.mark.parametrize("second", ["snow snow", "green green"])
def test_pairs_without_a_match_or_without_anything_else_to_look_at_say_nothing(tokenizer, second):
    assert matched(tokenizer, "red green green", second, pair_format="separated") is None


def test_shares_of_a_head_that_looks_at_its_match_only():
    weights = np.full((1, 6, 6), 0.01)
    weights[0, 4, 1] = weights[0, 5, 2] = 1.0
    tokens = MatchedTokens(
        seen=np.array([1, 2, 3]),
        queries=np.array([4, 5]),
        is_match=np.eye(2, 3, dtype=bool),
        is_same=np.array([[True, False, True], [False, True, False]]),
    )
    matching, same, elsewhere = tokens.shares(weights)[:, 0]
    assert matching == pytest.approx(1 / 1.02)
    assert (same, elsewhere) == pytest.approx((0.01 / 1.02, 0.01 / 1.02))


def test_no_match_at_all_is_no_share(start):
    encoder = make_encoder(start.tokenizer, start.config.family)
    records = [PairRecord("p", WORDS[0], WORDS[1], 1), PairRecord("q", "red snow", "red snow", 0)]
    assert attention_shares(start, StudiedPairs.of(encode_pairs(records, encoder)), mesh=one_device()) is None
