"""The jitted steps: one update, and forward passes for evaluation."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key

from lingjax.axes import PairLogits, Parameters
from lingjax.training.loss import LossTally, pair_loss, token_loss
from lingjax.training.state import TrainState

BatchArrays = dict[str, jax.Array]
"""A batch's fields by name, rows first."""

LossFunction = Callable[[Parameters, BatchArrays, Key[Array, ""] | None], tuple[jax.Array, LossTally]]
"""(parameters, batch, dropout key) -> the sum that is differentiated, and the tally."""

RUN_AXIS = "run"
"""The mesh axis of several runs in one program (`lingjax.training.side_by_side`)."""

_SPARSE_CHUNKS = 16

EvaluationStep = Callable[[Parameters, BatchArrays, LossTally], LossTally]
TrainStep = Callable[[TrainState, BatchArrays], tuple[TrainState, LossTally, jax.Array]]


def _pair_logits(
    graph: nnx.GraphDef, parameters: Parameters, batch: BatchArrays, dropout_key: Key[Array, ""] | None
) -> PairLogits:
    return nnx.merge(graph, parameters)(
        batch["token_ids"],
        document_ids=batch["document_ids"],
        positions=batch["positions"],
        segment_ids=batch["segment_ids"],
        pool_positions=batch["pool_positions"],
        dropout_key=dropout_key,
    )


def pair_loss_function(graph: nnx.GraphDef, *, label_smoothing: float = 0.0) -> LossFunction:
    """Returns the loss of a `PairClassifier` over the fields of a `PairBatch`."""

    def loss(parameters: Parameters, batch: BatchArrays, dropout_key: Key[Array, ""] | None):
        logits = _pair_logits(graph, parameters, batch, dropout_key)
        tally = pair_loss(logits, batch["labels"], batch["is_real"], label_smoothing=label_smoothing)
        return tally.loss_sum, tally

    return loss


def token_loss_function(
    graph: nnx.GraphDef, *, num_domains: int, mesh: Mesh, logits_bytes: int | None = None
) -> LossFunction:
    """Returns the loss of a language model over the fields of a `TokenBatch`, by domain.

    Args:
      graph: the model's structure.
      num_domains: groups of the tally.
      mesh: devices that share the rows and the vocabulary.
      logits_bytes: how large a device's logits may be at once; more positions than that are scored part by part. By
        default what was fastest on a CPU, and on accelerators enough to keep their matrix units busy.
    """
    if logits_bytes is None:
        logits_bytes = 2**27 if mesh.devices.flat[0].platform == "cpu" else 2**30

    def loss(parameters: Parameters, batch: BatchArrays, dropout_key: Key[Array, ""] | None):
        model = nnx.merge(graph, parameters)
        scores = model.score(
            batch["token_ids"],
            document_ids=batch["document_ids"],
            positions=batch["positions"],
            dropout_key=dropout_key,
        )
        needed_bytes = 4 * batch["token_ids"].size * len(scores.table) / mesh.size
        # BERT predicts one token in seven: finer chunks, so that most of them are empty.
        sparse = model.backbone.config.family == "bert"
        chunks = max(math.ceil(needed_bytes / logits_bytes), _SPARSE_CHUNKS if sparse else 1)
        return token_loss(
            scores,
            batch["target_ids"],
            batch["counted"],
            domain_ids=batch["domain_ids"],
            num_domains=num_domains,
            chunks=chunks,
            sparse=sparse,
        )

    return loss


def make_train_step(
    loss: LossFunction,
    optimizer: optax.GradientTransformation,
    *,
    accumulation: int = 1,
    several_runs: bool = False,
) -> TrainStep:
    """Returns a jitted `step(state, batch) -> (state, tally, gradient norm)`; the old state's memory is reused.

    The gradient is that of the mean over the batch's counted predictions, however they spread over rows, devices and
    micro-batches.

    Args:
      loss: that of one (micro-)batch, as sums.
      optimizer: makes updates from gradients.
      accumulation: micro-batches that the rows are cut into, one after another; less memory, the same update. The
        number of rows must divide by it.
      several_runs: state, batch and what is returned have a leading axis of runs, which lies on the mesh axis
        `RUN_AXIS`; each run makes its own step.
    """

    gradient = jax.grad(loss, has_aux=True)

    def accumulate(parameters: Parameters, batch: BatchArrays, key: Key[Array, ""]) -> tuple[Parameters, LossTally]:
        # Every accumulation-th row, not a block of rows: so each device keeps its own rows in every micro-batch.
        micro_batches = jax.tree.map(lambda x: x.reshape(-1, accumulation, *x.shape[1:]).swapaxes(0, 1), batch)
        keys = jax.random.split(key, accumulation)

        def add(total, micro):
            return jax.tree.map(jnp.add, total, gradient(parameters, *micro)), None

        first = jax.tree.map(lambda x: x[0], (micro_batches, keys))
        shapes = jax.eval_shape(gradient, parameters, *first)
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return jax.lax.scan(add, nothing, (micro_batches, keys))[0]

    def step(state: TrainState, batch: BatchArrays) -> tuple[TrainState, LossTally, jax.Array]:
        key = jax.random.fold_in(state.dropout_key, state.step)
        compute = gradient if accumulation == 1 else accumulate
        gradients, tally = compute(state.parameters, batch, key)
        # A batch always counts something; the maximum keeps a row of pure filler from dividing by zero.
        count = jnp.maximum(tally.count.sum(), 1)
        gradients = jax.tree.map(lambda g: g / count.astype(g.dtype), gradients)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer_state, state.parameters)
        parameters = optax.apply_updates(state.parameters, updates)
        new_state = TrainState(state.step + 1, parameters, optimizer_state, state.dropout_key)
        return new_state, tally, optax.tree.norm(gradients)

    return jax.jit(jax.vmap(step, spmd_axis_name=RUN_AXIS) if several_runs else step, donate_argnums=0)


@functools.lru_cache(maxsize=2)
def make_forward(graph: nnx.GraphDef, mesh: Mesh) -> Callable[[Parameters, BatchArrays], PairLogits]:
    """Returns the jitted classifier without dropout: (parameters, batch) -> logits of every slot, whole on each device.

    The last two are kept: the seeds of one experiment share their graph, and so what is compiled.
    """
    whole = NamedSharding(mesh, PartitionSpec())
    return jax.jit(lambda parameters, batch: _pair_logits(graph, parameters, batch, None), out_shardings=whole)


def make_evaluation_step(loss: LossFunction) -> EvaluationStep:
    """Returns a jitted `step(parameters, batch, tally so far) -> tally`, without dropout."""
    return jax.jit(lambda parameters, batch, tally: tally + loss(parameters, batch, None)[1])
