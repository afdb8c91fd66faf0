"""Losses as sums with their counts, so that batches, micro-batches and devices add up before one division."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from lingjax.axes import PairLogits, TokenIds, TokenLogits


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LossTally:
    """Summed loss in nats, hits, and how many predictions they cover; `a + b` joins two.

    One number each, or one for each group (a mixture's domains).
    """

    loss_sum: Float[Array, "*groups"] | float
    correct: Int[Array, "*groups"] | int
    count: Int[Array, "*groups"] | int

    def __add__(self, other: "LossTally") -> "LossTally":
        return jax.tree.map(jnp.add, self, other)

    @staticmethod
    def empty() -> "LossTally":
        """Returns the tally of nothing."""
        return LossTally(jnp.float32(0), jnp.int32(0), jnp.int32(0))

    def means(self) -> dict[str, float]:
        """Divides on the host: mean loss and accuracy over all groups.

        Raises:
          ValueError: nothing was counted.
        """
        count = int(np.asarray(self.count).sum())
        if count == 0:
            raise ValueError("a tally over nothing has no mean; at least one prediction must be counted")
        loss_sum, correct = (float(np.asarray(x, np.float64).sum()) for x in (self.loss_sum, self.correct))
        return {"loss": loss_sum / count, "accuracy": correct / count}

    def loss_by_group(self) -> list[float | None]:
        """Divides on the host: each group's mean loss, None where nothing was counted."""
        pairs = zip(np.atleast_1d(self.loss_sum), np.atleast_1d(self.count), strict=True)
        return [float(loss_sum) / int(count) if count else None for loss_sum, count in pairs]


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


def token_loss(
    logits: TokenLogits,
    target_ids: TokenIds,
    counted: Bool[Array, "batch length"],
    *,
    domain_ids: Int[Array, " batch"],
    num_domains: int,
) -> LossTally:
    """Cross-entropy of the counted positions, by domain: next tokens for GPT-2, masked tokens for BERT.

    Args:
      logits: scores of every token.
      target_ids: what is to be predicted; any token where `counted` is False.
      counted: True where the prediction enters the loss.
      domain_ids: each row's group in the tally, below `num_domains`.
      num_domains: groups of the tally.
    """
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, target_ids)
    correct = (logits.argmax(axis=-1) == target_ids) & counted

    def by_domain(x: Array) -> Array:
        return jax.ops.segment_sum(x.sum(axis=-1), domain_ids, num_segments=num_domains)

    return LossTally(by_domain(jnp.where(counted, losses, 0.0)), by_domain(correct), by_domain(counted))
