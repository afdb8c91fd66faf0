"""A language model's scores of every token at every position: as logits, or reduced to what a loss needs of them.

The logits are by far the largest array of a training step (GPT-2 small, 8 rows of 512 tokens: 0.8 GB, several times
over). A loss that never holds them all is faster and needs a fraction of the memory.
"""

import functools
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lingjax.axes import Hidden, TokenIds, TokenLogits
from lingjax.models.config import ModelConfig
from lingjax.models.products import product, product_without_gradient
from lingjax.models.sharding import constrain

_FLOAT32 = jnp.dtype(jnp.float32)


class TokenScores(NamedTuple):
    """The factors of the logits: `hidden @ table.T + bias`.

    Attributes:
      hidden: the state at each position, of the compute type.
      table: output matrix, a row a token.
      bias: added to each token's score; None for none.
    """

    hidden: Hidden
    table: Float[Array, "vocab width"]
    bias: Float[Array, " vocab"] | None

    @staticmethod
    def of(config: ModelConfig, hidden: Hidden, table: Array, bias: Array | None = None) -> "TokenScores":
        """Returns the scores that give rows of the table beyond the vocabulary the lowest number there is.

        So these are never predicted and add nothing to a softmax.
        """
        if config.padded_vocab_size > config.vocab_size:
            is_token = jnp.arange(config.padded_vocab_size) < config.vocab_size
            bias = jnp.where(is_token, 0.0 if bias is None else bias, jnp.finfo(jnp.float32).min)
        return TokenScores(hidden, table, bias)

    def logits(self) -> TokenLogits:
        """Returns the float32 scores."""
        flat = self.hidden.reshape(-1, self.hidden.shape[-1])
        logits = product("nw,vw->nv", flat, self.table.astype(flat.dtype), _FLOAT32)
        if self.bias is not None:
            logits = logits + self.bias
        return constrain(logits.reshape(*self.hidden.shape[:-1], -1), "batch", "length", "vocab")


Surprisals: TypeAlias = tuple[Float[Array, ""], Float[Array, " batch"], Int[Array, " batch"]]


def surprisal(
    scores: TokenScores,
    target_ids: TokenIds,
    counted: Bool[Array, "batch length"],
    *,
    chunks: int,
    sparse: bool = False,
) -> Surprisals:
    """Sums the cross-entropy of the counted positions without ever holding the logits of more than one chunk of them.

    The gradient of the logits is known as soon as they are, so the forward pass makes those of the factors too, and
    logits are computed once and never stored. Without differentiation only the sums are made.

    Args:
      scores: what every token gets at every position.
      target_ids: what is to be predicted; any token where `counted` is False.
      counted: True where the prediction counts.
      chunks: parts that each row's positions are cut into, one after another.
      sparse: gather each row's counted positions first and pass over the chunks that then hold none.

    Returns:
      The sum in nats, which alone can be differentiated; the same sum for each row; how often each row's highest score
      is the target's.
    """
    if sparse:
        order = jnp.argsort(~counted, axis=1, stable=True)
        target_ids, counted = (jnp.take_along_axis(x, order, axis=1) for x in (target_ids, counted))
        scores = scores._replace(hidden=jnp.take_along_axis(scores.hidden, order[..., None], axis=1))
    chunks = min(chunks, target_ids.shape[1])
    return _surprisal(chunks, sparse, scores, target_ids, counted)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _surprisal(chunks: int, sparse: bool, scores: TokenScores, target_ids: Array, counted: Array) -> Surprisals:
    scores = _round_table(scores)

    def add(sums: Surprisals, chunk: tuple[Array, Array, Array]) -> tuple[Surprisals, None]:
        losses, correct, _ = _score_chunk(scores, *chunk)
        return _add_rows(sums, losses, correct), None

    return jax.lax.scan(
        _unless_empty(add, sparse), _nothing(counted), _cut(chunks, scores.hidden, target_ids, counted)
    )[0]


def _forward(chunks: int, sparse: bool, scores: TokenScores, target_ids: Array, counted: Array):
    scores = _round_table(scores)
    hidden, table, bias = scores

    def add(sums, chunk):
        losses, correct, gradient = _score_chunk(scores, *chunk)
        by_position, _, _ = chunk
        width = hidden.shape[-1]
        flat = gradient.astype(hidden.dtype).reshape(-1, gradient.shape[-1])
        hidden_gradient = product_without_gradient("nv,vw->nw", flat, table, hidden.dtype)
        table_gradient = product_without_gradient(equation, by_position.reshape(-1, width), flat, _FLOAT32)
        bias_gradient = None if bias is None else gradient.sum(axis=(0, 1))
        factors = jax.tree.map(jnp.add, sums[1], (table_gradient, bias_gradient))
        return (_add_rows(sums[0], losses, correct), factors), hidden_gradient.reshape(by_position.shape)

    # A product of bfloat16 wants its operands in one order (`lingjax.models.products`): the table's gradient is summed
    # up transposed, which spares transposing the far larger gradient of the logits.
    is_transposed = hidden.dtype != _FLOAT32
    equation = "nw,nv->wv" if is_transposed else "nw,nv->vw"
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, _FLOAT32), (table.T if is_transposed else table, bias))
    cut = _cut(chunks, hidden, target_ids, counted)
    start = _nothing(counted), zeros
    (sums, (table_gradient, bias_gradient)), hidden_gradient = jax.lax.scan(_unless_empty(add, sparse), start, cut)
    hidden_gradient = hidden_gradient.swapaxes(0, 1).reshape(hidden.shape[0], -1, hidden.shape[-1])
    if is_transposed:
        # Behind a barrier, lest the transpose be folded into the product.
        table_gradient = jax.lax.optimization_barrier(table_gradient).T
    return sums, (hidden_gradient[:, : hidden.shape[1]], table_gradient, bias_gradient)


def _backward(chunks: int, sparse: bool, gradients: tuple, outer: tuple):
    del chunks, sparse
    scale = outer[0]
    hidden, *factors = gradients
    table, bias = jax.tree.map(lambda x: x * scale, factors)
    return TokenScores((hidden * scale).astype(hidden.dtype), table, bias), None, None


_surprisal.defvjp(_forward, _backward)


def _round_table(scores: TokenScores) -> TokenScores:
    """Brings the table to the compute type once, not in every chunk."""
    return scores._replace(table=scores.table.astype(scores.hidden.dtype))


def _score_chunk(scores: TokenScores, hidden: Hidden, target_ids: Array, counted: Array) -> tuple[Array, Array, Array]:
    """Returns for some positions their losses, whether the highest score is the target's, and the logits' gradient."""
    logits = product_without_gradient("nw,vw->nv", hidden.reshape(-1, hidden.shape[-1]), scores.table, _FLOAT32)
    if scores.bias is not None:
        logits = logits + scores.bias
    logits = constrain(logits.reshape(*hidden.shape[:-1], -1), "batch", "length", "vocab")
    # Comparisons instead of indexing: they fuse with the sums, and a table that is split over devices stays so.
    is_target = jnp.arange(logits.shape[-1]) == target_ids[..., None]
    highest = logits.max(axis=-1)
    of_target = jnp.where(is_target, logits, 0.0).sum(axis=-1)
    exponentials = jnp.exp(logits - highest[..., None])
    total = exponentials.sum(axis=-1)
    losses = jnp.where(counted, jnp.log(total) + highest - of_target, 0.0)
    gradient = jnp.where(counted[..., None], exponentials / total[..., None] - is_target, 0.0)
    return losses, (of_target >= highest) & counted, gradient


def _unless_empty(add, sparse: bool):
    """Passes over a chunk without counted positions, if there may be such."""
    if not sparse:
        return add

    def add_or_pass(sums, chunk):
        shapes = jax.eval_shape(add, sums, chunk)[1]
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return jax.lax.cond(chunk[2].any(), add, lambda sums, chunk: (sums, nothing), sums, chunk)

    return add_or_pass


def _cut(chunks: int, *arrays: Array) -> tuple[Array, ...]:
    """Cuts the positions [batch length ...] into chunks that lead; what is filled up is False in a mask."""
    length = arrays[0].shape[1]
    size = -(-length // chunks)

    def cut(x: Array) -> Array:
        padded = jnp.pad(x, [(0, 0), (0, size * chunks - length), *[(0, 0)] * (x.ndim - 2)])
        return padded.reshape(x.shape[0], chunks, size, *x.shape[2:]).swapaxes(0, 1)

    return tuple(map(cut, arrays))


def _nothing(counted: Array) -> Surprisals:
    rows = counted.shape[:1]
    return jnp.zeros((), _FLOAT32), jnp.zeros(rows, _FLOAT32), jnp.zeros(rows, jnp.int32)


def _add_rows(sums: Surprisals, losses: Array, correct: Array) -> Surprisals:
    return sums[0] + losses.sum(), sums[1] + losses.sum(axis=1), sums[2] + correct.sum(axis=1)
