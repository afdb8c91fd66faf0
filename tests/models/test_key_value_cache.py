import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lingjax.models import load_pretrained
from lingjax.models.key_value_cache import empty_cache, next_token_logits

LENGTHS = (7, 1, 4)
COLUMNS = 13
PADDING = np.array([max(LENGTHS) - length for length in LENGTHS], np.int32)
# What stands in the padding is a token like any other.
TOKEN_IDS = np.random.default_rng(5).integers(0, 53, (3, COLUMNS)).astype(np.int32)


@pytest.fixture(scope="module")
def pretrained(reference):
    return load_pretrained(reference("gpt2", "language_model").folder, head="language_model")


def without_cache(model) -> np.ndarray:
    """Logits after each column [rows columns vocab], each text computed by itself, whole, and without padding."""
    logits = np.full((3, COLUMNS, 53), np.nan)
    for row, padding in enumerate(PADDING):
        text = TOKEN_IDS[row : row + 1, padding:]
        positions = np.arange(text.shape[1])[None]
        logits[row, padding:] = model(jnp.asarray(text), document_ids=jnp.ones_like(text), positions=positions)[0]
    return logits


def read(model, *parts: int, columns: int = COLUMNS) -> list[np.ndarray]:
    """Logits after each part, the texts being read in parts of these lengths."""
    step = jax.jit(lambda *arguments, column: next_token_logits(model, *arguments, column=column, padding=PADDING))
    cache = empty_cache(model.backbone.config, rows=3, columns=columns)
    column, logits = 0, []
    for part in parts:
        after, cache = step(TOKEN_IDS[:, column : column + part], cache, column=column)
        logits.append(np.asarray(after))
        column += part
    return logits


@pytest.mark.parametrize("parts", [(7, 1, 1, 1, 1, 1, 1), (7, 3, 2, 1), (13,)])
def test_logits_are_those_of_the_model_without_a_cache(pretrained, parts):
    model = pretrained.model()
    expected = without_cache(model)
    for after, logits in zip(np.cumsum(parts), read(model, *parts), strict=True):
        np.testing.assert_allclose(logits, expected[:, after - 1], rtol=0, atol=1e-5)


def test_columns_that_are_not_reached_change_nothing(pretrained):
    model = pretrained.model()
    for short, long in zip(read(model, 7, 1, columns=8), read(model, 7, 1, columns=16), strict=True):
        np.testing.assert_allclose(short, long, rtol=0, atol=1e-6)


def test_bfloat16_keeps_a_cache_of_bfloat16_and_stays_near_float32(reference, pretrained):
    folder = reference("gpt2", "language_model").folder
    model = load_pretrained(folder, head="language_model", changes={"compute_dtype": "bfloat16"}).model()
    cache = empty_cache(model.backbone.config, rows=3, columns=COLUMNS)
    assert {part.dtype for part in cache} == {jnp.dtype(jnp.bfloat16)}
    for ours, exact in zip(read(model, 7, 1, 1), read(pretrained.model(), 7, 1, 1), strict=True):
        assert ours.dtype == np.float32
        # bfloat16 has 8 bits of mantissa, and a value here passes through about 20 roundings.
        np.testing.assert_allclose(ours, exact, rtol=0, atol=0.1)


def test_a_cache_holds_every_layer(pretrained):
    config = dataclasses.replace(pretrained.config, depth=3)
    assert [part.shape for part in empty_cache(config, rows=4, columns=11)] == [(3, 4, 11, 5, 7)] * 2
