"""What a classifier makes of pairs, layer by layer: one vector a pair, and one for each of its sentences."""

import dataclasses
import functools
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from lingjax.axes import Parameters
from lingjax.data import EncodedPairs, PairBatch, PairEncoder, PairRecord, encode_pairs, evaluation_batches
from lingjax.models.layers import take_positions
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.mesh import place_batch, row_shards
from lingjax.training.steps import BatchArrays

LayerStates = Float[np.ndarray, "layers_and_embedding rows width"]
"""Layer 0 is the embeddings, layer k the output of the k-th block, before GPT-2's final norm."""


@dataclasses.dataclass(frozen=True)
class PairStates:
    """Vectors of some pairs, row by row, in float32.

    Attributes:
      pairs: mean over the tokens of the pair, read as in training.
      first, second: mean over the tokens of one sentence, read alone, so that neither knows of the other.
      classified: the state that the head reads, after the last norm.
    """

    labels: Int[np.ndarray, " rows"]
    pairs: LayerStates
    first: LayerStates
    second: LayerStates
    classified: Float[np.ndarray, "rows width"]


@dataclasses.dataclass(frozen=True)
class StudiedPairs:
    """Pairs whose states are compared, encoded once for every model that reads them.

    Attributes:
      together: the pairs, read as in training.
      first, second: one sentence of each, read as a pair whose second sentence is empty.
    """

    together: EncodedPairs
    first: EncodedPairs
    second: EncodedPairs

    def __len__(self) -> int:
        return len(self.together)

    @staticmethod
    def of(together: EncodedPairs) -> "StudiedPairs":
        """Encodes the sentences of some pairs; both sentences of each must have tokens."""
        records = list(together.records)

        def alone(sentences: Iterable[str]) -> EncodedPairs:
            rows = [PairRecord(str(row), sentence, "", 0) for row, sentence in enumerate(sentences)]
            return encode_pairs(rows, together.encoder)

        return StudiedPairs(
            together, alone(record.sentence1 for record in records), alone(record.sentence2 for record in records)
        )


def pair_states(start: LoadedModel, pairs: StudiedPairs, *, mesh: Mesh, batch_size: int = 16) -> PairStates:
    """Returns the vectors of every pair.

    Special tokens and the first token are left out
    of every mean: there models keep activations a thousand times as large as elsewhere, which say nothing of the text,
    and would make a mean tell the length (Sun et al. 2024, "Massive Activations in Large Language Models", section 2).
    A text without other tokens is the mean of all its tokens.

    Args:
      start: a model with the `pairs` head.
      pairs: in the format and limits of training.
      mesh: devices.
      batch_size: pairs a forward pass; the states of all layers are held at once.
    """
    forward = _make_forward(start.graph, mesh)
    encoder, shards = pairs.together.encoder, row_shards(mesh)

    def read(rows: EncodedPairs) -> tuple[LayerStates, Float[np.ndarray, "rows width"]]:
        batches = evaluation_batches(rows, encoder, batch_size=batch_size, rows_multiple=shards)
        return _collect(lambda batch: forward(start.parameters, place_batch(batch, mesh)), batches, len(rows), encoder)

    together, classified = read(pairs.together)
    return PairStates(
        labels=pairs.together.labels,
        pairs=together,
        first=read(pairs.first)[0],
        second=read(pairs.second)[0],
        classified=classified,
    )


@dataclasses.dataclass(frozen=True)
class _WeightedBatch:
    """A batch of one pair a row, and how much each of its tokens counts in the mean."""

    token_ids: Int[np.ndarray, "rows length"]
    segment_ids: Int[np.ndarray, "rows length"]
    document_ids: Int[np.ndarray, "rows length"]
    positions: Int[np.ndarray, "rows length"]
    pool_positions: Int[np.ndarray, "rows slots"]
    weights: Float[np.ndarray, "rows length"]


def _weighted(batch: PairBatch, encoder: PairEncoder) -> _WeightedBatch:
    used = batch.document_ids > 0
    counted = used & (batch.positions > 0) & ~np.isin(batch.token_ids, encoder.tokenizer.special_ids)
    counted = np.where(counted.any(axis=1, keepdims=True), counted, used)
    weights = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)
    names = [field.name for field in dataclasses.fields(_WeightedBatch) if field.name != "weights"]
    return _WeightedBatch(**{name: getattr(batch, name) for name in names}, weights=weights.astype(np.float32))


def _collect(
    forward: Callable[[_WeightedBatch], tuple[Array, Array]],
    batches: Iterable[PairBatch],
    num_rows: int,
    encoder: PairEncoder,
) -> tuple[LayerStates, Float[np.ndarray, "rows width"]]:
    layers, classified = [], []
    order = []
    for batch in batches:
        means, last = forward(_weighted(batch, encoder))
        is_real = batch.is_real[:, 0]
        layers.append(np.asarray(means)[:, is_real])
        classified.append(np.asarray(last)[is_real])
        order.append(batch.row_ids[is_real, 0])
    back = np.argsort(np.concatenate(order))
    if back.size != num_rows:
        raise ValueError(f"{back.size} of {num_rows} rows came back")
    return np.concatenate(layers, axis=1)[:, back], np.concatenate(classified)[back]


@functools.lru_cache(maxsize=2)
def _make_forward(graph: nnx.GraphDef, mesh: Mesh) -> Callable[[Parameters, BatchArrays], tuple[Array, Array]]:
    """Returns the jitted (parameters, batch) -> (means [layers_and_embedding rows width], classified [rows width])."""

    def forward(parameters: Parameters, batch: BatchArrays) -> tuple[Array, Array]:
        last, every = nnx.merge(graph, parameters).backbone.hidden_states(
            batch["token_ids"],
            document_ids=batch["document_ids"],
            positions=batch["positions"],
            segment_ids=batch["segment_ids"],
        )
        # Not a matrix unit's bfloat16: these vectors are what is measured.
        weights = batch["weights"][None, :, :, None]
        means = (every.astype(jnp.float32) * weights).sum(axis=2)
        classified = take_positions(last, batch["pool_positions"])[:, 0]
        return means, classified.astype(jnp.float32)

    whole = NamedSharding(mesh, PartitionSpec())
    return jax.jit(forward, out_shardings=whole)
