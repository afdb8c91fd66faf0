"""Everything that a training step reads and replaces."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, Key

from lingjax.axes import Parameters


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """A flat snapshot of training; all of it is checkpointed.

    Attributes:
      step: updates made.
      parameters: the model's.
      optimizer_state: moments and counters.
      dropout_key: the run's key; the step number is folded into it, so it never changes.
    """

    step: Int[Array, ""]
    parameters: Parameters
    optimizer_state: optax.OptState
    dropout_key: Key[Array, ""]


def new_state(parameters: Parameters, optimizer: optax.GradientTransformation, *, seed: int) -> TrainState:
    """Returns the state before the first update."""
    return TrainState(
        step=jnp.int32(0),
        parameters=parameters,
        optimizer_state=optimizer.init(parameters),
        dropout_key=jax.random.key(seed),
    )
