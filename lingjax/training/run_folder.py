"""What a run's folder says of it: `model.json`, written first, and `result.json`, written last."""

import os
import re
from collections.abc import Mapping
from typing import Any

import jax
from etils import epath
from jax.experimental import multihost_utils

from lingjax.errors import InputError
from lingjax.sealed import read_sealed, write_sealed
from lingjax.training.loaded_model import LoadedModel

_DESCRIPTION = "model.json"
_TOKENIZER = "tokenizer"
_RESULT = "result.json"


def describe_run(folder: epath.PathLike, model: LoadedModel, settings: Mapping[str, Any]) -> None:
    """Writes what is needed to load the run's checkpoints again: `model.json` and `tokenizer/`.

    Args:
      folder: the run's.
      model: with which it begins.
      settings: more plain values to keep beside, such as the pair format.
    """
    if jax.process_index():  # the first process writes for all
        return
    model.tokenizer.save(tokenizer_folder(folder))
    write_sealed(
        epath.Path(folder) / _DESCRIPTION,
        {"model": model.config.to_json(), "head": model.head, "init": model.init, "settings": dict(settings)},
    )


def check_can_hold_checkpoints(folder: epath.PathLike) -> None:
    """Refuses a folder of whose name Orbax would make a pattern; what it writes there cannot be read.

    Raises:
      InputError: the path holds such a character.
    """
    folder = epath.Path(folder)
    if found := re.search(r"[*?\[]", os.fspath(folder.absolute())):
        raise InputError(
            f"{folder}: Orbax would take '{found[0]}' in the name of a checkpoint's folder for a pattern, and write "
            "checkpoints that cannot be read; take another --workdir"
        )


def tokenizer_folder(folder: epath.PathLike) -> epath.Path:
    """Returns where the tokenizer of a run stands."""
    return epath.Path(folder) / _TOKENIZER


def is_described(folder: epath.PathLike) -> bool:
    """Says whether a run was begun in `folder`; a TensorFlow.js model has a `model.json` as well."""
    path = epath.Path(folder) / _DESCRIPTION
    return path.exists() and b'"modelTopology"' not in path.read_bytes()


def is_finished(folder: epath.PathLike) -> bool:
    """Says whether the run in `folder` went to its end."""
    return (epath.Path(folder) / _RESULT).exists()


def read_run_description(folder: epath.PathLike) -> dict[str, Any]:
    """Reads what `describe_run` wrote.

    Raises:
      InputError: the file is missing or damaged.
    """
    path = epath.Path(folder) / _DESCRIPTION
    described = read_sealed(path, needed=("model", "head", "init", "settings"))
    for key in ("model", "init", "settings"):
        if not isinstance(described[key], dict):
            raise InputError(f"{path}: '{key}' is no JSON object")
    return described


def read_result(folder: epath.PathLike) -> dict[str, Any]:
    """Reads what `write_result` wrote; `best` is the evaluation of the checkpoint that was chosen.

    Raises:
      InputError: the file is missing or damaged.
    """
    path = epath.Path(folder) / _RESULT
    result = read_sealed(path, needed=("best_step",))
    history, best_step = result.get("history", []), result["best_step"]
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise InputError(f"{path}: 'history' is no list of evaluations")
    best = next((entry for entry in history if entry.get("step") == best_step), None)
    if history and best is None:
        raise InputError(f"{path}: its history has no evaluation at the best step {best_step}")
    return {"best": best, **result}


def write_result(folder: epath.PathLike, result: Mapping[str, Any]) -> None:
    """Marks a run as finished; the last thing that a run writes. No process goes on before it is there."""
    if jax.process_index() == 0:
        write_sealed(epath.Path(folder) / _RESULT, result)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"result of {folder}")
