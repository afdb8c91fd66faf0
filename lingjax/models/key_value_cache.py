"""GPT-2 read bit by bit: the keys and values of earlier tokens are kept, so that each token is computed once.

Texts are padded on the left. So all prompts end in one column, and the next token of every text stands in one column
too: a step writes its keys and values at one index for all rows.
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from lingjax.axes import Hidden, Parameters, TokenIds
from lingjax.models.config import ModelConfig
from lingjax.models.gpt2 import Gpt2, Gpt2LanguageModel

_Stacked: TypeAlias = Float[Array, "layers rows columns heads head_dim"]
Cache: TypeAlias = tuple[_Stacked, _Stacked]
"""Keys and values of every layer; columns that are not reached yet hold zeros."""

Column: TypeAlias = int | Int[Array, ""]
"""A place in the left-padded rows."""


def empty_cache(config: ModelConfig, *, rows: int, columns: int) -> Cache:
    """Returns the cache of texts of which nothing was read yet."""
    shape = (config.depth, rows, columns, config.num_heads, config.head_dim)
    return jnp.zeros(shape, config.compute_dtype), jnp.zeros(shape, config.compute_dtype)


def next_token_logits(
    model: Gpt2LanguageModel, token_ids: TokenIds, cache: Cache, *, column: Column, padding: Int[Array, "rows"]
) -> tuple[Float[Array, "rows vocab"], Cache]:
    """Reads a part of each text, and says what the token after it may be.

    Args:
      model: the model.
      token_ids: the whole prompts, or one more token of each text.
      cache: keys and values of all that was read before.
      column: where the first of the tokens stands.
      padding: how many columns are empty before each text.

    Returns:
      Float32 logits, and the cache with these tokens in it.
    """
    columns = column + jnp.arange(token_ids.shape[1])
    cached = jnp.arange(cache[0].shape[2])
    # [rows, length, columns]. Padding sees nothing: its scores are all equal, and nothing reads its state.
    mask = (cached >= padding[:, None, None]) & (cached <= columns[:, None])
    hidden = model.backbone.embed(token_ids, jnp.maximum(columns - padding[:, None], 0))
    hidden, cache = _run_layers(model.backbone, hidden, cache, mask=mask, column=column)
    last = model.backbone.final_norm(hidden[:, -1:])
    return model.score_states(last).logits()[:, 0], cache


def _run_layers(
    backbone: Gpt2, hidden: Hidden, cache: Cache, *, mask: Bool[Array, "rows length columns"], column: Column
) -> tuple[Hidden, Cache]:
    """Applies the layers in a loop that carries the whole cache: XLA then writes into it in place."""
    graph, parameters = nnx.split(backbone.blocks)

    def apply(
        state: tuple[Hidden, Cache], layer: tuple[Parameters, Int[Array, ""]]
    ) -> tuple[tuple[Hidden, Cache], None]:
        (hidden, cache), (layer_parameters, number) = state, layer
        block = nnx.merge(graph, layer_parameters)
        query, *new = block.project(hidden)
        at = (number, 0, column, 0, 0)
        cache = tuple(jax.lax.dynamic_update_slice(old, x[None], at) for old, x in zip(cache, new, strict=True))
        key, value = (jax.lax.dynamic_index_in_dim(x, number, keepdims=False) for x in cache)
        return (block.finish(hidden, query, key, value, mask, None), cache), None

    return jax.lax.scan(apply, (hidden, cache), (parameters, jnp.arange(backbone.config.depth)))[0]
