"""One device mesh of three axes, and where parameters and batches lie on it.

`data` copies the model and splits the batch; `fsdp` splits the batch and the parameters; `tensor` splits heads, the
feed-forward width and the vocabulary. jit with these shardings is all there is to it: XLA inserts the collectives.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax
from jax.experimental import mesh_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lingjax.axes import Parameters
from lingjax.errors import InputError, nearest
from lingjax.models.sharding import BATCH_AXES
from lingjax.training.state import TrainState, new_state
from lingjax.training.steps import BatchArrays

MESH_AXES = ("data", "fsdp", "tensor")
# Which mesh axis splits which axis of a parameter. An axis that does not divide stays whole.
_PARAMETER_RULES = {"vocab": "tensor", "heads": "tensor", "mlp_width": "tensor", "width": "fsdp"}


def make_mesh(description: str, *, devices: list[jax.Device] | None = None) -> Mesh:
    """Builds the mesh that a text such as `data:2,fsdp:2,tensor:2` describes.

    Args:
      description: axis sizes; axes that are not named have size 1; an empty text puts all devices on `data`.
      devices: those to use, all by default.

    Raises:
      InputError: an axis is unknown or named twice, a size is not a positive number, or the sizes do not multiply to
        the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    sizes = dict.fromkeys(MESH_AXES, 1) if description else {**dict.fromkeys(MESH_AXES, 1), "data": len(devices)}
    named = set()
    for part in filter(None, description.split(",")):
        axis, _, size = part.strip().partition(":")
        if axis not in MESH_AXES:
            raise InputError(f"mesh '{description}': axis '{axis}' is not known, {nearest(axis, MESH_AXES)}")
        if axis in named:
            raise InputError(f"mesh '{description}': axis '{axis}' is named twice")
        if not size.isdecimal() or int(size) < 1:
            raise InputError(f"mesh '{description}': '{part}' needs a positive size, as in data:8")
        named.add(axis)
        sizes[axis] = int(size)
    if math.prod(sizes.values()) != len(devices):
        raise InputError(
            f"mesh '{description}' asks for {math.prod(sizes.values())} devices and {len(devices)} are here; "
            "change config.mesh, or leave it empty to put all on the data axis"
        )
    shape = tuple(sizes[axis] for axis in MESH_AXES)
    if devices[0].platform != "tpu":
        return Mesh(np.asarray(devices).reshape(shape), MESH_AXES)
    # Neighbours on the mesh are neighbours on the chips' torus, where the links are.
    try:
        laid = mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
    except (AssertionError, NotImplementedError, ValueError):  # no way to lay this shape on these chips is known
        laid = np.asarray(devices).reshape(shape)
    return Mesh(laid, MESH_AXES)


def parameter_sharding(axes: tuple[str, ...], shape: tuple[int, ...], mesh: Mesh) -> NamedSharding:
    """Places one parameter by the names of its axes (`lingjax.axes`)."""
    used: set[str] = set()
    spec: list[str | None] = []
    for axis, size in zip(axes, shape, strict=True):
        mesh_axis = _PARAMETER_RULES.get(axis)
        splits = mesh_axis is not None and mesh_axis not in used and size % mesh.shape[mesh_axis] == 0
        spec.append(mesh_axis if splits else None)
        if splits:
            used.add(mesh_axis)
    return NamedSharding(mesh, PartitionSpec(*spec))


def parameter_shardings(axes: Mapping[str, tuple[str, ...]], parameters: Parameters, mesh: Mesh) -> Parameters:
    """Places every parameter; `axes` maps dotted paths to axis names."""

    def place(path, leaf) -> NamedSharding:
        return parameter_sharding(axes[jax.tree_util.keystr(path, simple=True, separator=".")], leaf.shape, mesh)

    return jax.tree_util.tree_map_with_path(place, parameters)


def state_shardings(state: TrainState, shardings: Parameters, mesh: Mesh) -> TrainState:
    """Places a training state: the optimizer's moments lie where their parameters do, all else is copied."""
    whole = NamedSharding(mesh, PartitionSpec())
    structure = jax.tree.structure(shardings)

    def mirrors_parameters(subtree: Any) -> bool:
        return jax.tree.structure(subtree) == structure

    optimizer_state = jax.tree.map(
        lambda subtree: shardings if mirrors_parameters(subtree) else whole,
        state.optimizer_state,
        is_leaf=mirrors_parameters,
    )
    return TrainState(step=whole, parameters=shardings, optimizer_state=optimizer_state, dropout_key=whole)


def plan_new_state(
    parameters: Parameters, optimizer: optax.GradientTransformation, axes: Mapping[str, tuple[str, ...]], mesh: Mesh
) -> tuple[TrainState, TrainState]:
    """Returns the shapes of the state before the first update, and where each array of it lies."""
    shapes = jax.eval_shape(functools.partial(new_state, optimizer=optimizer, seed=0), parameters)
    return shapes, state_shardings(shapes, parameter_shardings(axes, parameters, mesh), mesh)


def place_new_state(
    parameters: Parameters,
    optimizer: optax.GradientTransformation,
    axes: Mapping[str, tuple[str, ...]],
    mesh: Mesh,
    *,
    seed: int,
) -> TrainState:
    """Returns the state before the first update, its optimizer's moments born where their parameters lie.

    Parameters that lie where they should are not copied: a step that replaces the state reuses their memory.
    """
    _, placed = plan_new_state(parameters, optimizer, axes, mesh)

    def rest(parameters: Parameters) -> TrainState:
        return dataclasses.replace(new_state(parameters, optimizer, seed=seed), parameters=None)

    parameters = jax.device_put(parameters, placed.parameters)
    state = jax.jit(rest, out_shardings=dataclasses.replace(placed, parameters=None))(parameters)
    return dataclasses.replace(state, parameters=parameters)


def row_shards(mesh: Mesh) -> int:
    """Returns how many parts a batch's rows are split into; the number of rows must divide by it."""
    return mesh.shape["data"] * mesh.shape["fsdp"]


def check_rows(batch_size: int, mesh: Mesh, *, accumulation: int) -> None:
    """Refuses a batch that devices and micro-batches cannot share evenly.

    Raises:
      InputError: its rows do not divide.
    """
    parts = row_shards(mesh) * accumulation
    if batch_size % parts:
        raise InputError(f"batch_size={batch_size} does not divide into {parts} parts (devices x accumulation)")


def rows_of_this_process(mesh: Mesh, *, batch_size: int) -> list[int]:
    """Returns which rows of a batch the devices of this process hold, in order; with one process, all.

    Processes whose devices differ in the `tensor` axis only hold the same rows.
    """
    indices = _batch_sharding(mesh).addressable_devices_indices_map((batch_size,)).values()
    return sorted({row for (part,) in indices for row in range(batch_size)[part]})


def place_batch(batch: Any, mesh: Mesh, *, num_rows: int | None = None) -> BatchArrays:
    """Puts a batch (a dataclass of arrays, rows first) on the devices, split over `data` and `fsdp`.

    Args:
      batch: the rows of `rows_of_this_process`, or all rows.
      mesh: devices.
      num_rows: rows of the batch over all processes; by default those that are given are all.
    """
    sharding = _batch_sharding(mesh)

    def place(array: np.ndarray) -> jax.Array:
        shape = (len(array) if num_rows is None else num_rows, *array.shape[1:])
        return jax.make_array_from_process_local_data(sharding, array, shape)

    return {field.name: place(getattr(batch, field.name)) for field in dataclasses.fields(batch)}


def _batch_sharding(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))
