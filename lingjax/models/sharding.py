"""Where activations lie on the mesh in use, said where they arise; without a mesh nothing is said."""

import jax
from jax.sharding import PartitionSpec

BATCH_AXES = ("data", "fsdp")
"""The mesh axes that a batch's rows are split over."""

# Which mesh axes split which axis of an activation; all others are whole. Parameters have rules of their own
# (`lingjax.training.mesh`): their `width` is split where an activation's is not.
_RULES: dict[str, tuple[str, ...]] = {
    "batch": BATCH_AXES,
    "heads": ("tensor",),
    "mlp_width": ("tensor",),
    "vocab": ("tensor",),
}


def constrain(x: jax.Array, *axes: str) -> jax.Array:
    """Tells the compiler how `x` lies on the mesh of `jax.set_mesh`, so that it does not have to guess.

    Args:
      x: an activation.
      axes: the name of each of its axes (`lingjax.axes`). One that does not divide by its mesh axes stays whole.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return x
    spec = []
    for axis, size in zip(axes, x.shape, strict=True):
        names = tuple(name for name in _RULES.get(axis, ()) if name in mesh.shape)
        parts = 1
        for name in names:
            parts *= mesh.shape[name]
        spec.append(names if names and size % parts == 0 else None)
    return jax.lax.with_sharding_constraint(x, PartitionSpec(*spec))
