import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lingjax.errors import InputError
from lingjax.models import Sampling, continue_texts, load_pretrained
from lingjax.models.sampling import choose_tokens

PROMPTS = [[5, 7, 11], [2], [13, 3, 17, 19, 23, 29], [31, 37]]


@pytest.fixture(scope="module")
def theirs(reference):
    return reference("gpt2", "language_model")


@pytest.fixture(scope="module")
def model(theirs):
    return load_pretrained(theirs.folder, head="language_model").model()


def tokens(continuations) -> list[list[int]]:
    return [continuation.token_ids.tolist() for continuation in continuations]


def test_greedy_tokens_are_those_of_transformers_for_prompts_of_any_length(model, theirs):
    expected = []
    for prompt in PROMPTS:
        with torch.no_grad():
            whole = theirs.model.generate(
                torch.tensor([prompt]), max_new_tokens=9, do_sample=False, eos_token_id=None, pad_token_id=0
            )
        expected.append(whole[0, len(prompt) :].tolist())
    assert tokens(continue_texts(model, PROMPTS, max_new_tokens=9, batch_size=3)) == expected


def test_log_probabilities_are_those_of_the_model_without_a_cache(model):
    for prompt, continuation in zip(PROMPTS, continue_texts(model, PROMPTS, max_new_tokens=7), strict=True):
        text = np.array([[*prompt, *continuation.token_ids]])
        logits = model(jnp.asarray(text), document_ids=jnp.ones_like(text), positions=jnp.arange(text.shape[1])[None])
        log_probabilities = jax.nn.log_softmax(logits[0, len(prompt) - 1 : -1])
        expected = np.take_along_axis(np.asarray(log_probabilities), continuation.token_ids[:, None], axis=1)[:, 0]
        np.testing.assert_allclose(continuation.log_probabilities, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_neither_neighbours_nor_the_batch_change_a_sample(model, batch_size):
    options = {"max_new_tokens": 6, "sampling": Sampling(temperature=1.5), "key": jax.random.key(3), "num_samples": 2}
    together = tokens(continue_texts(model, PROMPTS, batch_size=batch_size, **options))
    assert together[:2] == tokens(continue_texts(model, PROMPTS[:1], batch_size=2, **options))
    assert together == tokens(continue_texts(model, PROMPTS, batch_size=5, **options))


def test_the_key_decides_what_is_drawn(model):
    def draw(seed):
        key = jax.random.key(seed)
        return tokens(continue_texts(model, PROMPTS, max_new_tokens=9, sampling=Sampling(temperature=2.0), key=key))

    assert draw(1) == draw(1) != draw(2)


def test_a_text_ends_with_the_token_that_ends_texts(model):
    whole = tokens(continue_texts(model, PROMPTS[:1], max_new_tokens=9))[0]
    end_id = whole[4]
    (ended,) = continue_texts(model, PROMPTS[:1], max_new_tokens=9, end_id=end_id)
    assert ended.token_ids.tolist() == whole[: whole.index(end_id) + 1]
    assert ended.ended
    assert len(ended.log_probabilities) == len(ended.token_ids)


@pytest.mark.parametrize(
    ("sampling", "allowed"),
    [
        (Sampling(), [0, 1, 2, 3]),
        (Sampling(top_k=2), [3, 1]),
        (Sampling(top_p=0.6), [3, 1]),
        (Sampling(top_p=0.5), [3]),
        (Sampling(top_k=3, top_p=0.7), [3, 1]),
        (Sampling(temperature=2.0), [0, 1, 2, 3]),
    ],
)
def test_tokens_are_drawn_as_often_as_their_renormalised_probability_says(sampling, allowed):
    probabilities = np.array([0.1, 0.25, 0.15, 0.5])
    count = 20_000
    logits = jnp.broadcast_to(jnp.log(probabilities), (count, 4))
    drawn = np.asarray(choose_tokens(logits, jax.random.split(jax.random.key(7), count), sampling))
    expected = np.zeros(4)
    expected[allowed] = probabilities[allowed] ** (1 / sampling.temperature)
    expected /= expected.sum()
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / count, expected, atol=0.018)  # five standard errors
    assert set(np.unique(drawn)) <= set(allowed)


@pytest.mark.parametrize(
    ("prompts", "options", "line"),
    [
        ([[]], {}, "prompt 1 is empty"),
        ([[1], [99]], {}, "prompt 2: token 99 is outside the vocabulary of 53"),
        ([[1] * 17], {}, "prompt 1 has 17 tokens, of 17 positions; shorten it"),
        ([[1] * 15], {}, "at most 2 new ones fit, not max_new_tokens=3"),
        ([[1]], {"max_new_tokens": 0}, "max_new_tokens=0 must be at least 1"),
        ([[1]], {"num_samples": 0}, "num_samples=0 must be at least 1"),
    ],
)
def test_prompts_that_cannot_be_continued_are_named(model, prompts, options, line):
    with pytest.raises(InputError, match=line):
        continue_texts(model, prompts, **{"max_new_tokens": 3, **options})


def test_a_bert_continues_nothing(reference):
    bert = load_pretrained(reference("bert", "language_model").folder, head="language_model").model()
    with pytest.raises(InputError, match="only a GPT-2 language model"):
        continue_texts(bert, [[1]], max_new_tokens=1)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"temperature": 0.0}, "temperature=0.0 must be above 0"),
        ({"top_k": 0}, "top_k=0 must be at least 1"),
        ({"top_p": 0.0}, "top_p=0.0 must be above 0"),
        ({"top_p": 1.5}, "top_p=1.5 must be above 0 and at most 1"),
    ],
)
def test_ways_of_sampling_that_make_no_sense_are_refused(values, line):
    with pytest.raises(InputError, match=line):
        Sampling(**values)
