import numpy as np
import pytest
import torch

from lingjax.data import PairRecord, encode_pairs
from lingjax.evaluation.hidden_states import StudiedPairs, pair_states
from tests.training.small_run import make_encoder, make_records, one_device

ATOL = 1e-4


@pytest.fixture(scope="module")
def records():
    return make_records(11, seed=3)


@pytest.fixture(scope="module")
def states(start, records):
    encoder = make_encoder(start.tokenizer, start.config.family)
    return pair_states(start, StudiedPairs.of(encode_pairs(records, encoder)), mesh=one_device(), batch_size=4)


@pytest.fixture(scope="module")
def of_transformers(start, transformers_model):
    """`of_transformers(token_ids, segment_ids)`: every state of one text by the reference, [layers length width]."""

    def states(token_ids, segment_ids):
        inputs = {"input_ids": torch.tensor(token_ids, dtype=torch.long)[None]}
        if start.config.family == "bert":
            inputs["token_type_ids"] = torch.tensor(segment_ids, dtype=torch.long)[None]
        with torch.no_grad():
            output = transformers_model(**inputs, output_hidden_states=True)
        return np.stack([state[0].numpy() for state in output.hidden_states])

    return states


def words_of(start, token_ids):
    """Positions of words but the first token."""
    return [place for place, token in enumerate(token_ids) if place and token not in start.tokenizer.special_ids]


def test_every_layer_of_a_pair_equals_transformers(start, states, records, of_transformers):
    encoder = make_encoder(start.tokenizer, start.config.family)
    assert states.pairs.shape == (3, 11, 16)
    for row, pair in enumerate(encoder.encode(records)):
        theirs = of_transformers(pair.token_ids, pair.segment_ids)
        means = theirs[:, words_of(start, pair.token_ids)].mean(axis=1)
        # transformers gives GPT-2's last layer after the final norm only.
        layers = 3 if start.config.family == "bert" else 2
        np.testing.assert_allclose(states.pairs[:layers, row], means[:layers], rtol=0, atol=ATOL)
        np.testing.assert_allclose(states.classified[row], theirs[-1][pair.pool_position], rtol=0, atol=ATOL)


def test_a_sentence_is_read_alone(start, states, records, of_transformers):
    encoder = make_encoder(start.tokenizer, start.config.family)
    for row, record in enumerate(records):
        (alone,) = encoder.encode([PairRecord("", record.sentence2, "", 0)])
        theirs = of_transformers(alone.token_ids, alone.segment_ids)
        kept = words_of(start, alone.token_ids) or list(range(len(alone.token_ids)))
        np.testing.assert_allclose(states.second[1, row], theirs[1, kept].mean(axis=0), rtol=0, atol=ATOL)
    assert states.labels.tolist() == [record.label for record in records]


def test_the_batch_size_changes_nothing(start, states, records):
    encoder = make_encoder(start.tokenizer, start.config.family)
    again = pair_states(start, StudiedPairs.of(encode_pairs(records, encoder)), mesh=one_device(), batch_size=11)
    np.testing.assert_allclose(again.first, states.first, rtol=0, atol=1e-5)
    np.testing.assert_allclose(again.classified, states.classified, rtol=0, atol=1e-5)
