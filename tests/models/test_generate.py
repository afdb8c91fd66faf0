import copy
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lingjax.errors import InputError
from lingjax.models import Sampling, continue_texts, load_pretrained, merge_model

PROMPTS = [[5, 7, 11], [2], [13, 3, 17, 19, 23, 29], [31, 37]]
FLAT = Sampling(temperature=1.7)


@pytest.fixture(scope="module")
def theirs(reference):
    """The reference, with greedy texts of many tokens: the place counts for more, the last bias for less."""
    model = copy.deepcopy(reference("gpt2", "language_model").model)
    with torch.no_grad():
        model.transformer.wpe.weight.mul_(10.0)
        model.transformer.ln_f.bias.sub_(1.0)
    return model


@pytest.fixture(scope="module")
def pretrained(theirs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generate") / "model"
    theirs.save_pretrained(folder)
    return load_pretrained(folder, head="language_model")


@pytest.fixture(scope="module")
def model(pretrained):
    return pretrained.model()


def tokens(model, prompts, **options) -> list[list[int]]:
    return [continuation.token_ids.tolist() for continuation in continue_texts(model, prompts, **options)]


def greedy_by_transformers(model, prompt: list[int], **options) -> list[int]:
    with torch.no_grad():
        whole = model.generate(torch.tensor([prompt]), do_sample=False, pad_token_id=0, **options)
    return whole[0, len(prompt) :].tolist()


def test_greedy_tokens_are_those_of_transformers_for_prompts_of_any_length(model, theirs):
    expected = [greedy_by_transformers(theirs, prompt, max_new_tokens=11, eos_token_id=None) for prompt in PROMPTS]
    assert len({tuple(text) for text in expected}) == 4 and min(len(set(text)) for text in expected) > 4
    assert tokens(model, PROMPTS, max_new_tokens=11) == expected


def test_greedy_texts_end_where_those_of_transformers_do(model, theirs):
    end_id = tokens(model, PROMPTS, max_new_tokens=11)[1][2]
    expected = [greedy_by_transformers(theirs, prompt, max_new_tokens=11, eos_token_id=end_id) for prompt in PROMPTS]
    continuations = list(continue_texts(model, PROMPTS, max_new_tokens=11, end_id=end_id))
    assert [continuation.token_ids.tolist() for continuation in continuations] == expected
    assert [continuation.ended for continuation in continuations] == [end_id in text for text in expected]
    assert {continuation.ended for continuation in continuations} == {True, False}


def test_log_probabilities_are_those_of_the_model_without_a_cache(model):
    continuations = continue_texts(model, PROMPTS, max_new_tokens=7, sampling=FLAT, key=jax.random.key(3))
    for prompt, continuation in zip(PROMPTS, continuations, strict=True):
        text = np.array([[*prompt, *continuation.token_ids]])
        logits = model(jnp.asarray(text), document_ids=jnp.ones_like(text), positions=jnp.arange(text.shape[1])[None])
        log_probabilities = np.asarray(jax.nn.log_softmax(logits[0, len(prompt) - 1 : -1]))
        expected = np.take_along_axis(log_probabilities, continuation.token_ids[:, None], axis=1)[:, 0]
        np.testing.assert_allclose(continuation.log_probabilities, expected, rtol=0, atol=1e-5)


@pytest.mark.exhaustive
def test_neither_neighbours_nor_the_batch_change_what_is_drawn(model):
    options = {"max_new_tokens": 6, "sampling": FLAT, "key": jax.random.key(3), "num_samples": 2}
    together = tokens(model, PROMPTS, **options)
    assert len({tuple(text) for text in together}) == 8
    for batch_size in (1, 3, 5):
        assert tokens(model, PROMPTS, batch_size=batch_size, **options) == together
    assert tokens(model, PROMPTS[:1], **options) == together[:2]
    assert tokens(model, PROMPTS[:1], **{**options, "num_samples": 5})[:2] == together[:2]
    assert tokens(model, [PROMPTS[0], [1] * 9], **options)[:2] == together[:2]


def test_the_key_decides_what_is_drawn(model):
    draws = [tokens(model, PROMPTS, max_new_tokens=9, sampling=FLAT, key=jax.random.key(seed)) for seed in (1, 2, 1)]
    assert draws[0] != draws[1]
    assert draws[0] == draws[2]


def test_every_step_draws_anew(model, pretrained):
    # Without weights all tokens are equally likely, whatever the text.
    blank = merge_model(pretrained.config, "language_model", jax.tree.map(jnp.zeros_like, pretrained.parameters))
    (text,) = tokens(blank, PROMPTS[:1], max_new_tokens=14, sampling=Sampling(), key=jax.random.key(0))
    assert len(set(text)) > 7


def test_the_first_token_is_drawn_as_often_as_the_model_says(model):
    count = 4000
    options = {"sampling": Sampling(top_k=5), "key": jax.random.key(0), "num_samples": count, "batch_size": count}
    drawn = np.concatenate(tokens(model, PROMPTS[:1], max_new_tokens=1, **options))
    prompt = jnp.asarray(PROMPTS[:1])
    logits = model(prompt, document_ids=jnp.ones_like(prompt), positions=jnp.arange(3)[None])[0, -1]
    expected = np.asarray(jax.nn.softmax(logits))
    expected = np.where(expected >= np.sort(expected)[-5], expected, 0)
    # The standard error of a frequency is at most 0.008.
    np.testing.assert_allclose(np.bincount(drawn, minlength=53) / count, expected / expected.sum(), rtol=0, atol=0.03)


def test_an_empty_prompt_starts_from_the_token_that_ends_texts(model):
    assert tokens(model, [[]], max_new_tokens=5, end_id=41) == tokens(model, [[41]], max_new_tokens=5, end_id=41)


def test_tokens_that_the_tokenizer_lacks_are_never_drawn(model):
    options = {"max_new_tokens": 9, "sampling": Sampling(temperature=9.0), "key": jax.random.key(0)}
    assert max(map(max, tokens(model, [[1], [2]], **options))) > 7
    few = list(continue_texts(model, [[1], [2]], vocab_size=7, **options))
    assert max(continuation.token_ids.max() for continuation in few) < 7
    # Seven tokens share the whole probability.
    assert np.exp(np.concatenate([continuation.log_probabilities for continuation in few])).mean() > 1 / 14


def test_rows_that_only_fill_the_vocabulary_up_change_nothing(pretrained, model):
    config = dataclasses.replace(pretrained.config, vocab_multiple=16)
    parameters = copy.copy(pretrained.parameters)
    table = parameters["backbone"]["token_embedding"]["embedding"]
    padded = jnp.pad(table, ((0, 64 - 53), (0, 0)), constant_values=3.0)
    parameters["backbone"] = {**parameters["backbone"], "token_embedding": {"embedding": padded}}
    options = {"max_new_tokens": 9, "sampling": Sampling(top_p=0.99), "key": jax.random.key(0)}
    assert tokens(merge_model(config, "language_model", parameters), PROMPTS, **options) == tokens(
        model, PROMPTS, **options
    )


def test_bfloat16_draws_much_the_same(pretrained, model):
    config = dataclasses.replace(pretrained.config, compute_dtype="bfloat16")
    half = merge_model(config, "language_model", pretrained.parameters)
    (ours,), (exact,) = (list(continue_texts(one, PROMPTS[:1], max_new_tokens=1)) for one in (half, model))
    assert ours.token_ids == exact.token_ids
    assert 0 < abs(ours.log_probabilities - exact.log_probabilities)[0] < 0.1


def test_continuations_are_computed_as_they_are_asked_for(pretrained):
    broken = jax.tree.map(lambda x: x * np.nan, pretrained.parameters)
    continuations = continue_texts(merge_model(pretrained.config, "language_model", broken), PROMPTS, max_new_tokens=2)
    with pytest.raises(InputError, match=r"logits are not finite.*earlier checkpoint"):
        next(continuations)


def test_no_prompt_gives_no_text(model):
    assert tokens(model, [], max_new_tokens=3) == []


@pytest.mark.parametrize(
    ("prompts", "options", "line"),
    [
        ([[1], []], {}, "prompt 2 is empty and the tokenizer has no end-of-text token"),
        ([[1], [3, 53]], {}, "prompt 2: token 53 is outside the vocabulary of 53"),
        ([[1], [3, 9]], {"vocab_size": 8}, "prompt 2: token 9 is outside the vocabulary of 8"),
        ([[1, -1]], {}, "prompt 1: token -1 is outside"),
        ([[1] * 17], {}, "prompt 1 has 17 tokens, of 17 positions; shorten it"),
        ([[1] * 15], {}, "prompt 1 has 15 tokens, of 17 positions: at most 2 new ones fit, not max_new_tokens=3"),
        ([[1]], {"max_new_tokens": 0}, "max_new_tokens=0 must be at least 1"),
        ([[1]], {"num_samples": 0}, "num_samples=0 must be at least 1"),
        ([[1]], {"batch_size": 0}, "batch_size=0 must be at least 1"),
        ([[1] * 18, [99]], {}, "prompt 1 has 18 tokens.*; prompt 2: token 99"),
    ],
)
def test_what_cannot_be_continued_is_named_at_once(model, prompts, options, line):
    with pytest.raises(InputError, match=line):
        continue_texts(model, prompts, **{"max_new_tokens": 3, **options})


def test_the_longest_text_that_fits_is_continued(model):
    assert [len(text) for text in tokens(model, [[1] * 14], max_new_tokens=3)] == [3]


def test_drawing_needs_a_key(model):
    with pytest.raises(ValueError, match="random key"):
        continue_texts(model, PROMPTS, max_new_tokens=1, sampling=FLAT)


def test_a_bert_continues_nothing(reference):
    bert = load_pretrained(reference("bert", "language_model").folder, head="language_model").model()
    with pytest.raises(InputError, match="only a GPT-2 language model continues texts, and this is a BertLanguage"):
        continue_texts(bert, [[1]], max_new_tokens=1)
