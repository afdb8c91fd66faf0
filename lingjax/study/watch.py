"""A look at the targets while a model is fine-tuned: the report's learning curve. Nothing is chosen by it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jax.sharding import Mesh

from lingjax.axes import Parameters
from lingjax.evaluation import pair_metrics
from lingjax.evaluation.predict import predict_pairs
from lingjax.study.encoded import EncodedTask
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

    def __init__(self, targets: Mapping[str, EncodedTask], *, rows: int, mesh: Mesh, batch_size: int):
        self._targets = targets
        self._most = rows
        self._mesh, self._batch_size = mesh, batch_size

    def of(self, start: LoadedModel) -> Callable[[int, Parameters], dict[str, Any]]:
        """Returns what a run of this model calls at its evaluations."""
        shape = start.without_weights()

        def measure(_: int, parameters: Parameters) -> dict[str, Any]:
            model = dataclasses.replace(shape, parameters=parameters)
            values: dict[str, Any] = {}
            for name, target in self._targets.items():
                looked_at = target.sample(self._most)
                seen = predict_pairs(model, looked_at, looked_at.encoder, mesh=self._mesh, batch_size=self._batch_size)
                metrics = pair_metrics(seen.labels, seen.positive_probability)
                values |= {_key(name, metric): getattr(metrics, metric) for metric in _METRICS}
                values[_key(name, "rows")] = len(looked_at)
            return values

        return measure


def target_metrics(entry: Mapping[str, Any], target: str) -> dict[str, Any]:
    """Returns what an entry of a run's history says of a target; None where it was not looked at."""
    return {metric: entry.get(_key(target, metric)) for metric in (*_METRICS, "rows")}


def _key(target: str, metric: str) -> str:
    return f"target/{target}/{metric}"
