"""A look at the targets while a model is fine-tuned: the report's learning curve. Nothing is chosen by it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jax.sharding import Mesh

from experiments.tasks import Task
from lingjax.axes import Parameters
from lingjax.data import PairEncoder, SubsetSource
from lingjax.evaluation import pair_metrics
from lingjax.evaluation.predict import predict_pairs
from lingjax.training.loaded_model import LoadedModel

_METRICS = ("accuracy", "auroc", "log_loss")


class TargetWatch:
    """Measures every target at each evaluation of a run, on rows drawn once.

    Args:
      targets: by name.
      rows: most rows of a target that are looked at.
      mesh: devices.
      batch_size: pairs a forward pass.
    """

    def __init__(self, targets: Mapping[str, Task], *, rows: int, mesh: Mesh, batch_size: int):
        self._looked_at = {name: _sample(task, rows) for name, task in targets.items()}
        self._mesh, self._batch_size = mesh, batch_size

    def of(self, start: LoadedModel, encoder: PairEncoder) -> Callable[[int, Parameters], dict[str, Any]]:
        """Returns what a run of this model calls at its evaluations."""
        shape = start.without_weights()

        def measure(_: int, parameters: Parameters) -> dict[str, Any]:
            model = dataclasses.replace(shape, parameters=parameters)
            values: dict[str, Any] = {}
            for name, rows in self._looked_at.items():
                seen = predict_pairs(model, rows, encoder, mesh=self._mesh, batch_size=self._batch_size)
                metrics = pair_metrics(seen.labels, seen.positive_probability)
                values |= {_key(name, metric): getattr(metrics, metric) for metric in _METRICS}
                values[_key(name, "rows")] = len(rows)
            return values

        return measure


def target_metrics(entry: Mapping[str, Any], target: str) -> dict[str, Any]:
    """Returns what an entry of a run's history says of a target; None where it was not looked at."""
    return {metric: entry.get(_key(target, metric)) for metric in (*_METRICS, "rows")}


def _key(target: str, metric: str) -> str:
    return f"target/{target}/{metric}"


def _sample(task: Task, rows: int) -> SubsetSource:
    every = np.arange(len(task.rows))
    if len(every) > rows:
        every = np.sort(np.random.default_rng(0).choice(every, rows, replace=False))
    return SubsetSource(task.rows, every)
