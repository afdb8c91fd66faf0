"""A number for every array of a checkpoint, by which a changed byte shows when it is read back."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

# Odd, so that a flipped bit always changes the product; their bits are those of the golden ratio, as in Knuth 1973, The
# Art of Computer Programming 3, section 6.4.
_FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1, 0xD3A2646C)


def checksums(tree: Any) -> dict[str, int]:
    """Returns a checksum of each array of a tree by its path, the same however the array is split over devices.

    Every word, times an odd number that its place gives, is summed modulo 2^32: any one changed word changes the sum,
    and any other damage does but for one case in 2^32. Computed where the arrays lie.
    """
    paths, leaves = zip(*jax.tree_util.tree_leaves_with_path(tree), strict=True)
    sums = _sums(tuple(leaves))
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path in paths]
    return dict(zip(names, (int(np.asarray(each)) for each in sums), strict=True))


@jax.jit
def _sums(leaves: tuple[jax.Array, ...]) -> list[UInt32[Array, ""]]:
    return [_sum(leaf) for leaf in leaves]


def _sum(array: jax.Array) -> UInt32[Array, ""]:
    words = jax.lax.bitcast_convert_type(array, jnp.dtype(f"uint{8 * array.dtype.itemsize}")).astype(jnp.uint32)
    places = [
        jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis) * jnp.uint32(_FACTORS[axis])
        for axis in range(words.ndim)
    ]
    factor = functools.reduce(jnp.add, places, jnp.uint32(0)) * 2 + 1
    return jnp.sum(words * factor, dtype=jnp.uint32)
