"""Products of the compute type, summed in float32, forwards and backwards."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 3))
def product(equation: str, first: jax.Array, second: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Multiplies two arrays of one type by an einsum, sums in float32, and rounds once to `dtype`.

    >>> product("ab,bc->ac", jnp.ones((2, 3)), jnp.ones((3, 5)), jnp.float32).shape
    (2, 5)

    Both gradients are such products too: a gradient is first rounded to the operands' type. Left to differentiate
    itself, a bfloat16 product with a float32 result would be followed by products of float32 with bfloat16, which no
    matrix unit has.

    Args:
      equation: `A,B->C` in single letters; every letter stands in at least two of the three terms, so that each
        gradient is the einsum of the other two terms.
      first: an array of the shape that A names.
      second: an array of the shape that B names.
      dtype: the type of the result.

    Raises:
      ValueError: a letter stands in one term only, or twice in a term.
    """
    _terms(equation)
    return product_without_gradient(equation, first, second, dtype)


def product_without_gradient(equation: str, first: jax.Array, second: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """As `product`, for what is inside a rule of differentiation and so is not differentiated itself."""

    def plain(first: jax.Array, second: jax.Array) -> jax.Array:
        return jnp.einsum(equation, first, second, preferred_element_type=jnp.float32)

    if first.dtype == jnp.float32:
        return plain(first, second).astype(dtype)
    on_cpu = functools.partial(_matrix_unit_einsum, equation)
    return jax.lax.platform_dependent(first, second, cpu=on_cpu, default=plain).astype(dtype)


def _matrix_unit_einsum(equation: str, first: jax.Array, second: jax.Array) -> jax.Array:
    """Computes a bfloat16 einsum in the one form for which XLA's CPU backend uses the processor's matrix unit.

    That is [batch m k] x [batch k n], or x [batch n k], with a float32 result: several times the rate of float32
    (jaxlib 0.10.2, AMX). With a bfloat16 result XLA widens the operands; and should it fold a transpose into the
    product, its CPU runtime gives up ("Unsupported element type ... BF16 x BF16 = F32"). So axes are brought into
    order here, with a reshape behind each transpose, across which nothing is folded.
    """
    a, b, c = _terms(equation)
    batch = [letter for letter in c if letter in a and letter in b]
    if next((letter for letter in c if letter not in batch), a[0]) in b:  # so the result needs no transpose of m and n
        a, b, first, second = b, a, second, first
    m = [letter for letter in c if letter not in b]
    n = [letter for letter in c if letter not in a]
    k = [letter for letter in a if letter not in c]
    second_is_transposed = [*batch, *n, *k] == list(b)
    try:
        lhs = _merge_axes(first, a, batch, m, k)
        rhs = _merge_axes(second, b, batch, n, k) if second_is_transposed else _merge_axes(second, b, batch, k, n)
    except _NoReshapeError:
        return jnp.einsum(f"{a},{b}->{c}", first.astype(jnp.float32), second.astype(jnp.float32))
    last = len(batch) + 1
    batch_axes = tuple(range(len(batch)))
    dimensions = (((last,), (last if second_is_transposed else last - 1,)), (batch_axes, batch_axes))
    y = jax.lax.dot_general(lhs, rhs, dimensions, preferred_element_type=jnp.float32)
    sizes = dict(zip(a + b, first.shape + second.shape, strict=True))
    order = [*batch, *m, *n]
    return y.reshape([sizes[letter] for letter in order]).transpose([order.index(letter) for letter in c])


class _NoReshapeError(Exception):
    """All axes of an array to be transposed are odd, so no reshape can stand behind the transpose."""


def _merge_axes(x: jax.Array, term: str, batch: list[str], *groups: list[str]) -> jax.Array:
    """Brings axes into the order of batch and groups, and makes one axis of each group."""
    sizes = dict(zip(term, x.shape, strict=True))
    merged = [sizes[letter] for letter in batch] + [math.prod(sizes[letter] for letter in group) for group in groups]
    order = [term.index(letter) for letter in itertools.chain(batch, *groups)]
    if order == sorted(order):
        return x.reshape(merged)
    # Every axis in two, where it divides: so the transpose is never one of the merged axes alone.
    parts = [2 if size % 2 == 0 else 1 for size in x.shape]
    if max(parts) == 1:
        raise _NoReshapeError
    split = x.reshape([size for part, whole in zip(parts, x.shape, strict=True) for size in (part, whole // part)])
    return split.transpose([2 * axis + half for axis in order for half in (0, 1)]).reshape(merged)


def _forward(equation: str, first: jax.Array, second: jax.Array, dtype: jnp.dtype):
    return product(equation, first, second, dtype), (first, second)


def _backward(equation: str, dtype: jnp.dtype, operands: tuple[jax.Array, jax.Array], gradient: jax.Array):
    del dtype
    first, second = operands
    a, b, c = _terms(equation)
    gradient = gradient.astype(first.dtype)
    return (
        product_without_gradient(f"{c},{b}->{a}", gradient, second, first.dtype),
        product_without_gradient(f"{a},{c}->{b}", first, gradient, second.dtype),
    )


product.defvjp(_forward, _backward)


def _terms(equation: str) -> tuple[str, str, str]:
    inputs, _, c = equation.partition("->")
    a, _, b = inputs.partition(",")
    for letter in sorted({*a, *b, *c}):
        counts = [term.count(letter) for term in (a, b, c)]
        if max(counts) > 1 or sum(counts) < 2:
            raise ValueError(f"'{equation}': '{letter}' must stand in two or three of the terms, once in each")
    return a, b, c
