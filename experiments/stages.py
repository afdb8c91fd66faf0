"""What the training stages share: recipes from configuration, and whether a folder holds the wanted run already."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ml_collections import ConfigDict

from experiments.configuration import differences
from lingjax.errors import InputError
from lingjax.training.optimizer import OptimizerConfig
from lingjax.training.run_folder import is_described, is_finished, read_run_description

Recipe = TypeVar("Recipe")


def recipe(kind: type[Recipe], config: ConfigDict) -> Recipe:
    """Builds a training recipe (a frozen dataclass with an `optimizer`) from `config.train` and the loop's keys."""
    keys = {**{name: value for name, value in config.items() if not isinstance(value, ConfigDict)}, **config.train}
    names = {field.name for field in dataclasses.fields(kind)} & keys.keys()
    optimizer = {field.name: config.train[field.name] for field in dataclasses.fields(OptimizerConfig)}
    return kind(optimizer=OptimizerConfig(**optimizer), **{name: keys[name] for name in names})


def scan_by_default() -> bool:
    """Says how layers run where the configuration leaves it open: scanned on TPUs, unrolled on GPUs and CPUs.

    A scan copies what the layers keep for the backward pass: on a GPU and on a CPU that costs more than compiling every
    layer (benchmarks/README.md).
    """
    import jax

    return jax.default_backend() == "tpu"


def model_changes(model: ConfigDict) -> dict[str, Any]:
    """Returns the fields of `ModelConfig` that the configuration sets; None leaves the model's own."""
    names = ("dropout_rate", "attention_dropout_rate", "remat", "vocab_multiple", "attention")
    scan = scan_by_default() if model.scan_layers is None else model.scan_layers
    return {"scan_layers": scan} | {name: model[name] for name in names if model.get(name) is not None}


def is_done(folder: Path, request: Mapping[str, Any]) -> bool:
    """Says whether `folder` holds a finished run of this request.

    Args:
      folder: of the run.
      request: all that decides the trained model; not how it is shown, stored or split over devices.

    Raises:
      InputError: the folder was begun with another request; names what differs.
    """
    if not is_described(folder):
        return False
    before = read_run_description(folder)["settings"]["request"]
    changed = [f"{key} {change}" for key, change in differences(before, request).items()]
    if changed:
        raise InputError(
            f"{folder} was made with other settings: {', '.join(changed)}; take another --workdir, or remove this one"
        )
    return is_finished(folder)
