"""Runs a fine-tuned pair classifier over a target that it was not trained on."""

from collections.abc import Callable, Sequence

import numpy as np
from jax.sharding import Mesh

from lingjax.data import EncodedPairs, PairEncoder, PairRecord, evaluation_batches
from lingjax.evaluation.metrics import PairPredictions, collect_predictions
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.mesh import place_batch, row_shards
from lingjax.training.steps import make_forward


def predict_pairs(
    start: LoadedModel,
    source: Sequence[PairRecord] | EncodedPairs,
    encoder: PairEncoder,
    *,
    mesh: Mesh,
    batch_size: int,
    progress: Callable[[int], None] | None = None,
) -> PairPredictions:
    """Returns the logits of every pair of `source`, in its order.

    Args:
      start: a model with the `pairs` head.
      source: the target's pairs; already encoded, they cost no tokenization.
      encoder: the same format and limits as in training.
      mesh: devices.
      batch_size: pairs a forward pass; changes the speed only.
      progress: called with the pairs of each batch done.
    """
    forward = make_forward(start.graph, mesh)
    shards = row_shards(mesh)
    batches = evaluation_batches(source, encoder, batch_size=batch_size, rows_multiple=shards)
    return collect_predictions(
        lambda batch: np.asarray(forward(start.parameters, place_batch(batch, mesh))),
        batches,
        len(source),
        progress,
    )
