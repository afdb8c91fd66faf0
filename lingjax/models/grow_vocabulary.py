"""More rows for a model whose tokenizer has been extended; the old rows, and so what the model says, stay.

Every parameter with a `vocab` axis grows: the token embedding, and the output bias of BERT's language model.

The default start is the mean of the old rows with a little noise (Hewitt 2021, "Initializing New Word Embeddings for
Pretrained Language Models", https://www.cs.columbia.edu/~johnhew/vocab-expansion.html). A logit of the mean row is the
mean of the old logits, whose exponential is at most the mean of their exponentials: n new tokens beside V old ones
together get a probability of n / (V + n) at most, whatever the text. Rows of zeros have no such bound: their logits are
0, where a trained GPT-2 gives the old tokens logits far below, and the new tokens would take nearly everything.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from flax import traverse_util

from lingjax.axes import Parameters
from lingjax.errors import InputError, nearest
from lingjax.models.config import ModelConfig
from lingjax.models.weight_names import Head, axes_by_path

NewRows = Literal["mean", "zeros"]
NEW_ROWS: tuple[NewRows, ...] = ("mean", "zeros")

# Of the old rows' variance in each feature, as in Hewitt's code (there of the whole covariance): enough to tell the new
# tokens apart, too little to loosen the bound.
_NOISE_VARIANCE = 1e-5


def grow_vocabulary(
    config: ModelConfig,
    head: Head,
    parameters: Parameters,
    *,
    vocab_size: int,
    key: jax.Array,
    new_rows: NewRows = "mean",
    num_known: int | None = None,
) -> tuple[ModelConfig, Parameters]:
    """Returns the configuration and the parameters of the same model with a larger vocabulary.

    Old rows are the same to the bit. Parameters may be sharded; the numbers do not depend on it beyond rounding.

    Args:
      config: the model's as it is.
      head: the model's.
      parameters: its parameters; those that do not grow are returned as they are.
      vocab_size: tokens of the extended tokenizer. A model that has more rows than that keeps them.
      key: draws the noise.
      new_rows: `mean` (of the old rows, with noise) or `zeros`.
      num_known: tokens of the model's own tokenizer; rows beyond it never stood for a token, so new ones take their
        place. By default all rows of the model are old.

    Raises:
      InputError: the vocabulary would shrink, or `new_rows` is unknown.
    """
    if new_rows not in NEW_ROWS:
        raise InputError(f"new_rows='{new_rows}' is not known, {nearest(new_rows, NEW_ROWS)}")
    num_known = config.vocab_size if num_known is None else min(num_known, config.vocab_size)
    added = vocab_size - num_known
    if added < 0:
        raise InputError(
            f"a vocabulary of {vocab_size:,} is too small for this model of {num_known:,}, and can only grow: "
            "give the model's own tokenizer, or one extended from it"
        )
    if added == 0:
        return config, parameters
    grown = dataclasses.replace(config, vocab_size=max(vocab_size, config.vocab_size))
    flat = traverse_util.flatten_dict(parameters, sep=".")
    growing = sorted(path for path, axes in axes_by_path(config.family, head).items() if "vocab" in axes)
    for path, path_key in zip(growing, jax.random.split(key, len(growing)), strict=True):
        old, kept = flat[path][:num_known], flat[path][vocab_size : config.vocab_size]
        new = _draw_rows(old, added, path_key) if new_rows == "mean" else jnp.zeros((added, *old.shape[1:]), old.dtype)
        # What fills the table up to `vocab_multiple`.
        filler = jnp.zeros((grown.padded_vocab_size - grown.vocab_size, *old.shape[1:]), old.dtype)
        flat[path] = jnp.concatenate([old, new, kept, filler])
    return grown, traverse_util.unflatten_dict(flat, sep=".")


def _draw_rows(old: jax.Array, count: int, key: jax.Array) -> jax.Array:
    """Draws rows around the mean of the old ones; the vocabulary is the first axis."""
    mean, variance = jnp.mean(old, axis=0, dtype=jnp.float32), jnp.var(old, axis=0, dtype=jnp.float32)
    noise = jax.random.normal(key, (count, *old.shape[1:]), jnp.float32)
    return (mean + noise * jnp.sqrt(_NOISE_VARIANCE * variance)).astype(old.dtype)
