"""Compiles the real training step for devices that are not here, and reads off what it would need."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lingjax.errors import first_line
from lingjax.models import ModelConfig, abstract_model, axes_by_path, parameters_of
from lingjax.training.chips import Chip, find_chip
from lingjax.training.collectives import count_collectives
from lingjax.training.mesh import BATCH_AXES, plan_new_state, row_shards
from lingjax.training.optimizer import OptimizerConfig, make_optimizer
from lingjax.training.steps import make_train_step, token_loss_function
from lingjax.training.throughput import training_flops_per_token


@dataclasses.dataclass(frozen=True)
class StepShape:
    """What a pretraining step is given.

    Attributes:
      batch_size: rows, over all devices.
      length: tokens of a row.
      accumulation: micro-batches.
      num_domains: how many the mixture has.
    """

    batch_size: int
    length: int
    accumulation: int = 1
    num_domains: int = 3


def describe_step(config: ModelConfig, shape: StepShape, mesh: Mesh) -> dict[str, Any]:
    """Compiles one pretraining step for the devices of `mesh` and returns what it takes; nothing is run.

    The result's `memory` is a device's: `arguments` (parameters, moments, batch), `temporaries`, and the peak of both,
    in bytes. `collectives` are a device's in one step. `estimate` divides the model's arithmetic by the chip's peak,
    and the bytes that a device sends by its links' rate, as if neither overlapped the other; null on an unlisted chip.
    Where the compiler itself finds that memory does not suffice, `refusal` is what it says, and what it would have told
    is null.
    """
    from flax import nnx

    model = abstract_model(config, "language_model")
    graph, parameters = nnx.split(model)[0], parameters_of(model)
    optimizer = make_optimizer(OptimizerConfig(), total_steps=1000)
    state, placed = plan_new_state(parameters, optimizer, axes_by_path(config.family, "language_model"), mesh)
    state = jax.tree.map(lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), state, placed)
    loss = token_loss_function(graph, num_domains=shape.num_domains, mesh=mesh)
    step = make_train_step(loss, optimizer, accumulation=shape.accumulation)
    devices = list(mesh.devices.flat)
    chip = find_chip(devices[0].device_kind)
    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(parameters))
    flops = training_flops_per_token(config, num_parameters=num_parameters, length=shape.length)
    flops *= shape.batch_size * shape.length / len(devices)
    described = {
        "device_kind": devices[0].device_kind,
        "device_memory_bytes": None if chip is None else chip.memory_bytes,
        "devices": len(devices),
        "mesh": dict(mesh.shape),
        "rows_per_device": shape.batch_size / row_shards(mesh),
        "tokens_per_step": shape.batch_size * shape.length,
        "parameters": num_parameters,
        "model_flops_per_device": flops,
    }
    try:
        with jax.set_mesh(mesh):
            compiled = step.lower(state, _abstract_batch(shape, mesh)).compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        refusal = first_line(error, most_characters=2000)
        return described | {"fits": False, "refusal": refusal, "memory": None, "collectives": None, "estimate": None}
    memory = compiled.memory_analysis()
    arguments, temporaries = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    peak = arguments + temporaries + memory.output_size_in_bytes - memory.alias_size_in_bytes
    traffic = count_collectives(compiled.as_text())
    return described | {
        "fits": None if chip is None else peak <= chip.memory_bytes,
        "refusal": None,
        "memory": {"arguments_bytes": arguments, "temporaries_bytes": temporaries, "peak_bytes": peak},
        "collectives": {kind: dataclasses.asdict(each) for kind, each in traffic.items()},
        "estimate": _estimate(chip, flops=flops, sent_bytes=sum(each.sent_bytes for each in traffic.values())),
    }


def _estimate(chip: Chip | None, *, flops: float, sent_bytes: int) -> dict[str, float] | None:
    if chip is None or chip.interconnect_bytes is None:
        return None
    compute_seconds, communication_seconds = flops / chip.peak_flops, sent_bytes / chip.interconnect_bytes
    return {
        "compute_seconds_at_peak": compute_seconds,
        "communication_seconds": communication_seconds,
        "communication_share": communication_seconds / (compute_seconds + communication_seconds),
    }


def _abstract_batch(shape: StepShape, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """The fields of a `TokenBatch` that a step reads."""
    sharding = NamedSharding(mesh, PartitionSpec(BATCH_AXES))

    def array(*sizes: int, dtype: Any = jnp.int32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(sizes, dtype, sharding=sharding)

    rows, length = shape.batch_size, shape.length
    names = ("token_ids", "target_ids", "document_ids", "positions")
    return {
        **{name: array(rows, length) for name in names},
        "counted": array(rows, length, dtype=jnp.bool_),
        "domain_ids": array(rows),
    }
