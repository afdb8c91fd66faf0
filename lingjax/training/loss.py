"""Losses as sums with their counts, so that batches, micro-batches and devices add up before one division."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from lingjax.axes import PairLogits, TokenIds
from lingjax.models import TokenScores, surprisal


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
    scores: TokenScores,
    target_ids: TokenIds,
    counted: Bool[Array, "batch length"],
    *,
    domain_ids: Int[Array, " batch"],
    num_domains: int,
    chunks: int,
    sparse: bool,
) -> tuple[Float[Array, ""], LossTally]:
    """Cross-entropy of the counted positions: next tokens for GPT-2, masked tokens for BERT.

    Args:
      scores: what every token gets.
      target_ids: what is to be predicted; any token where `counted` is False.
      counted: True where the prediction enters the loss.
      domain_ids: each row's group in the tally, below `num_domains`.
      num_domains: groups of the tally.
      chunks: as in `lingjax.models.surprisal`, like `sparse`.

    Returns:
      The sum that is differentiated, and the tally by domain.
    """
    total, losses, correct = surprisal(scores, target_ids, counted, chunks=chunks, sparse=sparse)

    def by_domain(rows: Array) -> Array:
        return jax.ops.segment_sum(rows, domain_ids, num_segments=num_domains)

    return total, LossTally(by_domain(losses), by_domain(correct), by_domain(counted.sum(axis=-1)))
