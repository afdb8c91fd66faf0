"""Activations, with slopes in closed form: the backward pass needs their input alone.

Left to differentiate them, JAX keeps several more arrays as large as the input (a seventh of a GPT-2 small step's
memory, benchmarks/README.md). All is computed in float32 and rounded once to the input's type.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

_ROOT_2_OVER_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _gelu(x: Array) -> tuple[Array, Array]:
    """Returns x P(X < x) of a standard normal X, and its slope."""
    share = 0.5 * (1 + jax.lax.erf(x / math.sqrt(2)))
    return x * share, share + x * jnp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _gelu_tanh(x: Array) -> tuple[Array, Array]:
    """As `_gelu`, by the approximation that GPT-2 has; (1 + tanh(u)) / 2 is the logistic function of 2 u."""
    share = jax.nn.sigmoid(2 * _ROOT_2_OVER_PI * (x + _CUBIC * x * x * x))
    inner_slope = 2 * _ROOT_2_OVER_PI * (1 + 3 * _CUBIC * x * x)
    return x * share, share + x * share * (1 - share) * inner_slope


def _relu(x: Array) -> tuple[Array, Array]:
    return jnp.maximum(x, 0), (x > 0).astype(x.dtype)


# Each returns value and slope of a float32 array. Source of both gelus: Hendrycks and Gimpel 2016.
_ACTIVATIONS: dict[str, Callable[[Array], tuple[Array, Array]]] = {
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "relu": _relu,
}


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def activate(name: str, x: jax.Array) -> jax.Array:
    """Applies the activation called `gelu`, `gelu_tanh` or `relu`."""
    return _ACTIVATIONS[name](x.astype(jnp.float32))[0].astype(x.dtype)


def _activate_forward(name: str, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return activate(name, x), x


def _activate_backward(name: str, x: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    slope = _ACTIVATIONS[name](x.astype(jnp.float32))[1]
    return ((gradient.astype(jnp.float32) * slope).astype(x.dtype),)


activate.defvjp(_activate_forward, _activate_backward)
