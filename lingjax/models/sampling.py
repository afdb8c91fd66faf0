"""How the next token is chosen from a language model's logits: the likeliest, or one drawn at random."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from lingjax.errors import raise_problems


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Which tokens may be drawn, and how evenly.

    Attributes:
      temperature: logits are divided by it: below 1 sharpens the distribution, above 1 flattens it.
      top_k: only this many of the likeliest tokens; None allows all. Of equals the lower id comes first.
      top_p: among those, the fewest likeliest tokens that hold at least this share of their probability (nucleus
        sampling); 1 allows all. Equals stay together.

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
      logits: the next token's.
      keys: random key of each row; not read without `sampling`.
      sampling: how to draw; None takes the likeliest token.
    """
    if sampling is None:
        return logits.argmax(axis=-1)
    logits = logits / sampling.temperature
    token_ids = None
    if sampling.top_k is not None:
        logits, token_ids = jax.lax.top_k(logits, min(sampling.top_k, logits.shape[-1]))
    if sampling.top_p < 1:
        probabilities = jax.nn.softmax(logits)
        logits = jnp.where(probabilities >= least_allowed(probabilities, sampling.top_p), logits, -jnp.inf)
    places = jax.vmap(jax.random.categorical)(keys, logits)
    return places if token_ids is None else jnp.take_along_axis(token_ids, places[:, None], axis=-1)[:, 0]


def least_allowed(probabilities: Float[Array, "rows tokens"], share: float) -> Float[Array, "rows 1"]:
    """Returns the highest bound for which the tokens that are at least as likely hold `share` together.

    Exact, in 30 passes: bisects the bit patterns of the floats from 0 to 1, whose order is that of the floats. Sorting
    50,000 tokens takes a CPU twenty times as long.
    """

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds  # the sought one is at least `low` and below `high`
        middle = (low + high) // 2
        bound = jax.lax.bitcast_convert_type(middle, jnp.float32)
        holds = jnp.where(probabilities >= bound, probabilities, 0).sum(axis=-1, keepdims=True) >= share
        return jnp.where(holds, middle, low), jnp.where(holds, high, middle)

    above_one = int(np.float32(1).view(np.int32)) + 1
    shape = (probabilities.shape[0], 1)
    bounds = (jnp.zeros(shape, jnp.int32), jnp.full(shape, above_one, jnp.int32))
    low, _ = jax.lax.fori_loop(0, above_one.bit_length(), halve, bounds)
    return jax.lax.bitcast_convert_type(low, jnp.float32)
