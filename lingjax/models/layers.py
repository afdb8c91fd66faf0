"""The parts that both families share: projections, norm, feed-forward, dropout, and stacks of equal layers."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Shaped

from lingjax.axes import AllHidden, DropoutKey, Hidden, Parameters, PoolPositions
from lingjax.models.activations import activate
from lingjax.models.config import ModelConfig
from lingjax.models.products import product
from lingjax.models.sharding import constrain

_PRODUCT = "product"  # what `remat="products"` keeps


class Linear(nnx.Module):
    """A linear map over the last axes: [..., *inputs] to [..., *outputs].

    Args:
      config: gives types and the default scale.
      inputs: sizes of the axes that are summed over.
      outputs: sizes of the axes that come instead.
      scale: standard deviation of the normal that random weights are drawn from; the bias starts at 0.
      use_bias: add a bias.
    """

    def __init__(
        self,
        config: ModelConfig,
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        *,
        rngs: nnx.Rngs,
        scale: float | None = None,
        use_bias: bool = True,
    ):
        param_dtype = jnp.dtype(config.param_dtype)
        draw = nnx.initializers.normal(scale or config.init_scale)
        self.kernel = nnx.Param(draw(rngs.params(), (*inputs, *outputs), param_dtype))
        self.bias = nnx.Param(jnp.zeros(outputs, param_dtype)) if use_bias else None
        self.num_inputs = len(inputs)
        self.dtype = jnp.dtype(config.compute_dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps every leading position on its own."""
        # One leading axis: over two, XLA would write out the transposed input of the kernel's gradient.
        leading = x.shape[: x.ndim - self.num_inputs]
        flat = x.astype(self.dtype).reshape(-1, *x.shape[x.ndim - self.num_inputs :])
        kernel = self.kernel.get_value().astype(self.dtype)
        summed, made = "abc"[: self.num_inputs], "xyz"[: kernel.ndim - self.num_inputs]
        equation = f"n{summed},{summed}{made}->n{made}"
        if self.bias is None:
            y = product(equation, flat, kernel, self.dtype)
        else:
            # Added before rounding; and the bias's gradient, a long sum, is then one of float32.
            y = product(equation, flat, kernel, jnp.dtype(jnp.float32)) + self.bias.get_value()
        return checkpoint_name(y.astype(self.dtype), _PRODUCT).reshape(*leading, *y.shape[1:])


class Embedding(nnx.Module):
    """A table of learned vectors, [rows width].

    Rows are taken before they are rounded to the compute type: so the gradient of a frequent token is a float32 sum
    over all its occurrences, where one of bfloat16 would stop growing after some hundreds.
    """

    def __init__(self, config: ModelConfig, rows: int, *, rngs: nnx.Rngs):
        draw = nnx.initializers.normal(config.init_scale)
        self.embedding = nnx.Param(draw(rngs.params(), (rows, config.width), jnp.dtype(config.param_dtype)))
        self.dtype = jnp.dtype(config.compute_dtype)

    def __call__(self, ids: jax.Array) -> jax.Array:
        """Returns the vectors of `ids`, with one more axis."""
        return jnp.take(self.embedding.get_value(), ids, axis=0).astype(self.dtype)


def norm(config: ModelConfig, *, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Returns a layer norm over the width, with statistics in float32."""
    return nnx.LayerNorm(
        config.width,
        epsilon=config.norm_epsilon,
        # E[x^2] - E[x]^2 loses digits on the large activations of trained GPT-2, hence the two-pass variance.
        use_fast_variance=False,
        dtype=jnp.dtype(config.compute_dtype),
        param_dtype=jnp.dtype(config.param_dtype),
        rngs=rngs,
    )


def dropout(x: jax.Array, rate: float, key: DropoutKey) -> jax.Array:
    """Zeroes a random share of `x` and scales up the rest; without a key returns `x`.

    Random words are a visible part of a training step, so they are not JAX's cryptographic ones: the index of an entry
    and the key go through a hash whose few operations the compiler fuses with the multiplication. An entry's fate
    depends on its index alone, however `x` is sharded. The rate is rounded to a multiple of 2^-32.

    Source of the mixing constants: MurmurHash3's 32-bit finalizer (A. Appleby, public domain).
    """
    threshold = round(rate * 2**32)
    if key is None or threshold == 0:
        return x
    before, between = _spread(*jax.random.key_data(key)[:2].astype(jnp.uint32))
    block, entry = _number_entries(x.shape)
    if block is not None:
        before, between = _spread(before ^ block, between)
    word = entry ^ before
    word = (word ^ (word >> 16)) * jnp.uint32(0x85EBCA6B) ^ between
    word = (word ^ (word >> 13)) * jnp.uint32(0xC2B2AE35)
    word = word ^ (word >> 16)
    return jnp.where(word >= jnp.uint32(threshold), x * (1 / (1 - threshold / 2**32)), jnp.zeros_like(x))


def _spread(first: jax.Array, second: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns two words, of which every bit depends on every bit of both words of a key.

    Keys that differ in few bits, as those of 0, 1, 2, ... do, would else give masks that are alike: `dropout` has only
    one product left after its second word, and its first one only makes entries trade places. Different keys never give
    the same two words (a Feistel network).
    """
    # The golden ratio's bits keep the word 0 from being its own hash.
    before = _finalize(first ^ _finalize(second + jnp.uint32(0x9E3779B9)))
    return before, _finalize(second ^ _finalize(before + jnp.uint32(0x9E3779B9)))


def _number_entries(shape: tuple[int, ...]) -> tuple[jax.Array | None, jax.Array]:
    """Numbers the entries of an array by words of 32 bits, which count 2^32 of them.

    Returns:
      The number of an entry's block, None where one block holds all, and that of the entry in its block.

    Raises:
      ValueError: one axis alone is longer than 2^32.
    """
    if math.prod(shape) <= 2**32:
        return None, jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    if max(shape) > 2**32:
        raise ValueError(f"dropout of shape {shape}: no axis may have more than 2^32 entries; split it")
    first = next(axis for axis in range(len(shape)) if math.prod(shape[axis:]) <= 2**32)
    return _row_major_index(shape, range(first)), _row_major_index(shape, range(first, len(shape)))


def _row_major_index(shape: tuple[int, ...], axes: range) -> jax.Array:
    """Returns every entry's index among the consecutive `axes` of `shape`, wherever it stands on the others."""
    index = jnp.zeros(shape, jnp.uint32)
    for axis in axes:
        index = index * jnp.uint32(shape[axis]) + jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
    return index


def _finalize(word: jax.Array) -> jax.Array:
    """Mixes the bits of words, one to one (MurmurHash3's finalizer)."""
    word = (word ^ (word >> 16)) * jnp.uint32(0x85EBCA6B)
    word = (word ^ (word >> 13)) * jnp.uint32(0xC2B2AE35)
    return word ^ (word >> 16)


def split_key(key: DropoutKey, count: int) -> list[DropoutKey]:
    """Splits a dropout key, or passes the absence of one on."""
    return [None] * count if key is None else list(jax.random.split(key, count))


class Mlp(nnx.Module):
    """The feed-forward layer: widen, activate, narrow."""

    def __init__(self, config: ModelConfig, *, output_scale: float, rngs: nnx.Rngs):
        self.up = Linear(config, (config.width,), (config.mlp_width,), rngs=rngs)
        self.down = Linear(config, (config.mlp_width,), (config.width,), scale=output_scale, rngs=rngs)
        self.activation = config.activation

    def __call__(self, hidden: Hidden) -> Hidden:
        """Maps every position on its own."""
        return self.down(constrain(activate(self.activation, self.up(hidden)), "batch", "length", "mlp_width"))


def stack_layers(make_layer: Callable[[nnx.Rngs], nnx.Module], depth: int, *, rngs: nnx.Rngs) -> nnx.Module:
    """Builds `depth` layers as one module whose parameters carry a leading `layers` axis."""

    @nnx.split_rngs(splits=depth)
    @nnx.vmap
    def build(rngs: nnx.Rngs) -> nnx.Module:
        return make_layer(rngs)

    return build(rngs)


def take_positions(
    x: Shaped[Array, "batch length *rest"], positions: PoolPositions
) -> Shaped[Array, "batch slots *rest"]:
    """Picks positions of every row."""
    return jnp.take_along_axis(x, positions.reshape(*positions.shape, *[1] * (x.ndim - 2)), axis=1)


def run_layers(
    layers: nnx.Module,
    hidden: Hidden,
    apply: Callable[[nnx.Module, Hidden, DropoutKey, PoolPositions | None], Hidden],
    *,
    config: ModelConfig,
    dropout_key: DropoutKey,
    at: PoolPositions | None = None,
) -> tuple[Hidden, AllHidden]:
    """Applies stacked layers one after another.

    Args:
      layers: what `stack_layers` returned.
      hidden: input of the first layer.
      apply: runs one layer: (layer, hidden, dropout key of that layer, positions that are wanted of it) -> hidden.
      config: says how many layers there are, whether they are scanned and what is kept for the backward pass.
      dropout_key: split over the layers; None switches dropout off.
      at: the positions whose states are wanted of the last layer; None: all. Unrolled, it computes no others.

    Returns:
      The last layer's output, and `hidden` with every layer's output [1 + depth, batch, length, width], with `at`
      without the last one's. The compiler drops the second where nothing reads it.
    """
    graph, parameters = nnx.split(layers)
    keys = None if dropout_key is None else jax.random.split(dropout_key, config.depth)

    def step(hidden: Hidden, layer: tuple[Parameters, DropoutKey], at: PoolPositions | None) -> Hidden:
        layer_parameters, key = layer
        hidden = apply(nnx.merge(graph, layer_parameters), hidden, key, at)
        return constrain(hidden, "batch", "length", "width")

    if config.remat != "none":
        # By name: jax.checkpoint's policies do not look into functions with a gradient of their own.
        policy = jax.checkpoint_policies.save_only_these_names(_PRODUCT) if config.remat == "products" else None
        # In a scan nothing can be merged with the forward pass, so it need not be prevented.
        step = jax.checkpoint(step, policy=policy, prevent_cse=not config.scan_layers)
    hidden = constrain(hidden, "batch", "length", "width")
    if config.scan_layers:
        last, inputs = jax.lax.scan(
            lambda hidden, layer: (step(hidden, layer, None), hidden), hidden, (parameters, keys)
        )
        if at is None:
            return last, jnp.concatenate([inputs, last[None]])
        return take_positions(last, at), inputs

    # Traced and lowered once, called for every layer.
    step = jax.jit(step)
    # lax.split, not indexing: its gradient is one concatenation instead of as many padded sums as layers.
    leaves, structure = jax.tree.flatten((parameters, keys))
    pieces = zip(*(jax.lax.split(leaf, [1] * config.depth) for leaf in leaves), strict=True)
    *earlier, last_layer = (
        jax.tree.unflatten(structure, [jnp.squeeze(leaf, axis=0) for leaf in piece]) for piece in pieces
    )
    every = [hidden]
    for layer in earlier:
        every.append(step(every[-1], layer, None))
    last = step(every[-1], last_layer, at)
    return last, jnp.stack([*every, last] if at is None else every)
