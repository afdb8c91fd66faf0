"""The parts that both families share: projections, norm, feed-forward, dropout, and stacks of equal layers."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from lingjax.axes import AllHidden, DropoutKey, Hidden
from lingjax.models.config import ModelConfig

_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "relu": jax.nn.relu,
}


def activate(name: str, x: jax.Array) -> jax.Array:
    """Applies the activation called `gelu`, `gelu_tanh` or `relu`."""
    return _ACTIVATIONS[name](x)


def dtypes(config: ModelConfig) -> dict[str, jnp.dtype]:
    """Returns the two type arguments that every nnx layer takes."""
    return {"dtype": jnp.dtype(config.compute_dtype), "param_dtype": jnp.dtype(config.param_dtype)}


def linear(
    config: ModelConfig,
    inputs: int | tuple[int, ...],
    outputs: int | tuple[int, ...],
    *,
    rngs: nnx.Rngs,
    scale: float | None = None,
    use_bias: bool = True,
) -> nnx.LinearGeneral:
    """Returns a linear map over the last axes, weights drawn from a normal of standard deviation `scale`."""
    num_inputs = len(inputs) if isinstance(inputs, tuple) else 1
    return nnx.LinearGeneral(
        inputs,
        outputs,
        axis=tuple(range(-num_inputs, 0)),
        use_bias=use_bias,
        kernel_init=nnx.initializers.normal(scale or config.init_scale),
        rngs=rngs,
        **dtypes(config),
    )


def embedding(config: ModelConfig, rows: int, *, rngs: nnx.Rngs) -> nnx.Embed:
    """Returns a table of `rows` learned vectors of the model's width."""
    return nnx.Embed(
        rows, config.width, embedding_init=nnx.initializers.normal(config.init_scale), rngs=rngs, **dtypes(config)
    )


def norm(config: ModelConfig, *, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Returns a layer norm over the width, with statistics in float32."""
    # E[x^2] - E[x]^2 loses digits on the large activations of trained GPT-2, hence the two-pass variance.
    return nnx.LayerNorm(
        config.width, epsilon=config.norm_epsilon, use_fast_variance=False, rngs=rngs, **dtypes(config)
    )


def dropout(x: jax.Array, rate: float, key: DropoutKey) -> jax.Array:
    """Zeroes a random share of `x` and scales up the rest; without a key returns `x`.

    Random words are a visible part of a training step on a CPU, so each serves two entries with 16 bits. The rate is
    thereby rounded to 1/65536, and the scaling uses the rounded rate, so the mean is kept.
    """
    threshold = round(rate * 65536)
    if key is None or threshold == 0:
        return x
    length = x.shape[-1]
    words = jax.random.bits(key, (*x.shape[:-1], -(-length // 2)), jnp.uint32)
    halves = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(*x.shape[:-1], -1)
    kept = halves[..., :length] >= threshold
    return jnp.where(kept, x * (65536 / (65536 - threshold)), jnp.zeros_like(x))


def split_key(key: DropoutKey, count: int) -> list[DropoutKey]:
    """Splits a dropout key, or passes the absence of one on."""
    return [None] * count if key is None else list(jax.random.split(key, count))


class Mlp(nnx.Module):
    """The feed-forward layer: widen, activate, narrow."""

    def __init__(self, config: ModelConfig, *, output_scale: float, rngs: nnx.Rngs):
        self.up = linear(config, config.width, config.mlp_width, rngs=rngs)
        self.down = linear(config, config.mlp_width, config.width, scale=output_scale, rngs=rngs)
        self.activation = config.activation

    def __call__(self, hidden: Hidden) -> Hidden:
        """Maps every position on its own."""
        return self.down(activate(self.activation, self.up(hidden)))


def stack_layers(make_layer: Callable[[nnx.Rngs], nnx.Module], depth: int, *, rngs: nnx.Rngs) -> nnx.Module:
    """Builds `depth` layers as one module whose parameters carry a leading `layers` axis."""

    @nnx.split_rngs(splits=depth)
    @nnx.vmap
    def build(rngs: nnx.Rngs) -> nnx.Module:
        return make_layer(rngs)

    return build(rngs)


def run_layers(
    layers: nnx.Module,
    hidden: Hidden,
    apply: Callable[[nnx.Module, Hidden, DropoutKey], Hidden],
    *,
    depth: int,
    scan: bool,
    dropout_key: DropoutKey,
) -> tuple[Hidden, AllHidden]:
    """Applies stacked layers one after another.

    Args:
      layers: what `stack_layers` returned.
      hidden: input of the first layer.
      apply: runs one layer: (layer, hidden, dropout key of that layer) -> hidden.
      depth: number of layers.
      scan: one compiled loop body, or the layers written out; the numbers are the same.
      dropout_key: split over the layers; None switches dropout off.

    Returns:
      The last layer's output, and `hidden` with every layer's output [1 + depth, batch, length, width]. The compiler
      drops the second where nothing reads it.
    """
    graph, parameters = nnx.split(layers)
    keys = None if dropout_key is None else jax.random.split(dropout_key, depth)

    def step(hidden: Hidden, layer):
        layer_parameters, key = layer
        hidden = apply(nnx.merge(graph, layer_parameters), hidden, key)
        return hidden, hidden

    if scan:
        last, outputs = jax.lax.scan(step, hidden, (parameters, keys))
        return last, jnp.concatenate([hidden[None], outputs])

    # lax.split, not indexing: its gradient is one concatenation instead of `depth` padded sums.
    leaves, structure = jax.tree.flatten((parameters, keys))
    pieces = zip(*(jax.lax.split(leaf, [1] * depth) for leaf in leaves), strict=True)
    outputs = [hidden]
    for piece in pieces:
        layer = jax.tree.unflatten(structure, [jnp.squeeze(leaf, axis=0) for leaf in piece])
        outputs.append(step(outputs[-1], layer)[0])
    return outputs[-1], jnp.stack(outputs)
