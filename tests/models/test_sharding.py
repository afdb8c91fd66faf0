import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from lingjax.models.sharding import constrain


@pytest.fixture
def mesh():
    devices = jax.devices()
    if len(devices) < 8:
        pytest.skip("needs 8 devices, as the whole suite simulates")
    return Mesh(np.asarray(devices[:8]).reshape(2, 2, 2), ("data", "fsdp", "tensor"))


@pytest.mark.parametrize(
    ("axes", "shape", "spec"),
    [
        (("batch", "length", "width"), (8, 3, 6), PartitionSpec(("data", "fsdp"))),
        (("batch", "length", "mlp_width"), (4, 3, 6), PartitionSpec(("data", "fsdp"), None, "tensor")),
        (("batch", "length", "vocab"), (4, 3, 7), PartitionSpec(("data", "fsdp"))),
        (("batch", "heads"), (6, 4), PartitionSpec(None, "tensor")),
    ],
)
def test_axes_that_divide_are_split_as_the_rules_say(mesh, axes, shape, spec):
    with jax.set_mesh(mesh):
        placed = jax.jit(lambda x: constrain(x, *axes))(jnp.ones(shape))
    assert placed.sharding.is_equivalent_to(jax.sharding.NamedSharding(mesh, spec), len(shape))


def test_without_a_mesh_nothing_is_said():
    x = jnp.ones((4, 3))
    assert constrain(x, "batch", "length") is x
