"""Losses as sums with their counts, so that batches, micro-batches and devices add up before one division."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from lingjax.axes import PairLogits, TokenIds, TokenLogits


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LossTally:
    """Summed loss in nats, hits, and how many predictions they cover; `a + b` joins two."""

    loss_sum: Float[Array, ""] | float
    correct: Int[Array, ""] | int
    count: Int[Array, ""] | int

    def __add__(self, other: "LossTally") -> "LossTally":
        return jax.tree.map(jnp.add, self, other)

    @staticmethod
    def empty() -> "LossTally":
        """Returns the tally of nothing."""
        return LossTally(jnp.float32(0), jnp.int32(0), jnp.int32(0))

    def means(self) -> dict[str, float]:
        """Divides on the host: mean loss and accuracy.

        Raises:
          ValueError: nothing was counted.
        """
        count = int(self.count)
        if count == 0:
            raise ValueError("a tally over nothing has no mean; at least one prediction must be counted")
        return {"loss": float(self.loss_sum) / count, "accuracy": int(self.correct) / count}


def pair_loss(
    logits: PairLogits,
    labels: Int[Array, "batch slots"],
    is_real: Bool[Array, "batch slots"],
    *,
    label_smoothing: float = 0.0,
) -> LossTally:
    """Cross-entropy of the real pairs; filler slots add nothing.

    Args:
      logits: scores of the two classes.
      labels: 0 or 1; any value where `is_real` is False.
      is_real: True where a slot holds a pair.
      label_smoothing: share of the target spread evenly over both classes (Szegedy et al. 2016, section 7).
    """
    targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), label_smoothing)
    losses = optax.softmax_cross_entropy(logits, targets)
    correct = (logits.argmax(axis=-1) == labels) & is_real
    return LossTally(jnp.where(is_real, losses, 0.0).sum(), correct.sum(), is_real.sum())


def token_loss(logits: TokenLogits, target_ids: TokenIds, counted: Bool[Array, "batch length"]) -> LossTally:
    """Cross-entropy of the counted positions: next tokens for GPT-2, masked tokens for BERT."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, target_ids)
    correct = (logits.argmax(axis=-1) == target_ids) & counted
    return LossTally(jnp.where(counted, losses, 0.0).sum(), correct.sum(), counted.sum())
