"""How the next token is chosen from a language model's logits: the likeliest, or one drawn at random."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from lingjax.errors import raise_problems


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Which tokens may be drawn, and how evenly.

    Attributes:
      temperature: logits are divided by it: below 1 sharpens the distribution, above 1 flattens it.
      top_k: only this many of the likeliest tokens; None allows all. Of equals the lower id comes first.
      top_p: of those, the fewest likeliest tokens that hold at least this share of their probability (nucleus
        sampling); 1 allows all.

    Raises:
      InputError: a value cannot be used; all such values are named together.

    Source: Fan et al. 2018, section 5.1 (top-k); Holtzman et al. 2020, section 3.1 (top-p).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self):
        problems = []
        if not 0 < self.temperature < float("inf"):
            problems.append(f"temperature={self.temperature} must be above 0; for the likeliest token sample greedily")
        if self.top_k is not None and self.top_k < 1:
            problems.append(f"top_k={self.top_k} must be at least 1")
        if not 0 < self.top_p <= 1:
            problems.append(f"top_p={self.top_p} must be above 0 and at most 1")
        raise_problems("sampling", problems)


def choose_tokens(
    logits: Float[Array, "rows vocab"], keys: Key[Array, "rows"] | None, sampling: Sampling | None
) -> Int[Array, "rows"]:
    """Returns one token a row.

    Args:
      logits: of the next token.
      keys: random key of each row; not read without `sampling`.
      sampling: how to draw; None takes the likeliest token.
    """
    if sampling is None:
        return logits.argmax(axis=-1)
    logits = logits / sampling.temperature
    draw = jax.vmap(jax.random.categorical)
    if sampling.top_k is None and sampling.top_p == 1:
        return draw(keys, logits)
    vocab_size = logits.shape[-1]
    ordered, token_ids = jax.lax.top_k(logits, min(sampling.top_k or vocab_size, vocab_size))
    probabilities = jax.nn.softmax(ordered)
    likelier = jnp.cumsum(probabilities, axis=-1) - probabilities  # exactly 0 for the first, which thus always stays
    places = draw(keys, jnp.where(likelier < sampling.top_p, ordered, -jnp.inf))
    return jnp.take_along_axis(token_ids, places[:, None], axis=-1)[:, 0]
