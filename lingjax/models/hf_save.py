"""Model to Hugging Face folder: what transformers' `from_pretrained` loads."""

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from flax import traverse_util
from safetensors.numpy import save_file

from lingjax.axes import Parameters
from lingjax.errors import InputError
from lingjax.models.build import abstract_model, flat_parameters
from lingjax.models.config import ModelConfig
from lingjax.models.hf_classifier import PAIR_LABELS, PAIRS_KEY
from lingjax.models.hf_config import to_hf_config
from lingjax.models.hf_folder import TOKENIZER_FILES, WEIGHT_FILE
from lingjax.models.weight_names import Head, weight_names
from lingjax.sealed import SUMS_NAME, write_sums

# transformers asks for `format`; `written_by` marks a folder as ours to replace.
_METADATA = {"format": "pt", "written_by": "lingjax"}


def save_pretrained(
    folder: str | Path,
    config: ModelConfig,
    parameters: Parameters,
    *,
    head: Head,
    tokenizer_folder: Path | None = None,
    end_id: int | None = None,
    pairs: Mapping[str, Any] | None = None,
    labels: Sequence[str] = PAIR_LABELS,
    original: Mapping[str, Any] | None = None,
    extra_rows: int = 0,
    pad_id: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a folder that transformers' `from_pretrained` loads, under a temporary name until it is complete.

    Args:
      folder: where to; absent, empty, or an earlier folder of this function, which is replaced.
      config: the model's description.
      parameters: nested dicts as from `parameters_of`.
      head: which model the parameters are of.
      tokenizer_folder: tokenizer files are copied from here.
      end_id: GPT-2's end-of-text token for `config.json`; `pad_id` if not given.
      pairs: how a classifier's pairs become tokens; kept in `config.json` as `PAIRS_KEY`, which transformers ignores.
      labels: names of a classifier's classes 0 and 1.
      original: `config.json` of the folder that is written again; what it says beyond our description is kept.
      extra_rows: rows of zeros that the token table gains, for tokens that no text gives, such as padding.
      pad_id: for `config.json`, maybe of an extra row; the config's own if not given.
      overwrite: also replace, with everything in it, a model folder that came from elsewhere.

    Returns:
      The folder.

    Raises:
      InputError: the folder may not be replaced, or `tokenizer_folder` holds no tokenizer.
      ValueError: the parameters are not those of the model.
    """
    folder = Path(folder)
    _check_replaceable(folder, overwrite=overwrite)
    tokenizer_files = _tokenizer_files(tokenizer_folder)
    tensors = _tensors(config, parameters, head, extra_rows=extra_rows)
    config = dataclasses.replace(
        config, vocab_size=config.vocab_size + extra_rows, pad_id=config.pad_id if pad_id is None else pad_id
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    unfinished.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, unfinished, ignore_errors=True)
        save_file(tensors, unfinished / WEIGHT_FILE, metadata=_METADATA)
        _sort_metadata(unfinished / WEIGHT_FILE)
        described = to_hf_config(config, head, end_id=end_id, labels=labels, original=original)
        described |= {PAIRS_KEY: dict(pairs)} if pairs else {}
        text = json.dumps(described, indent=2, sort_keys=True, allow_nan=False)
        (unfinished / "config.json").write_text(text + "\n", encoding="utf-8")
        for file in tokenizer_files:
            shutil.copyfile(file, unfinished / file.name)
        write_sums(unfinished, [path.name for path in unfinished.iterdir()])
        if folder.exists():
            replaced = folder.with_name(f".{folder.name}.{os.getpid()}.replaced")
            folder.rename(replaced)
            stack.callback(shutil.rmtree, replaced)
        unfinished.rename(folder)
    return folder


def _sort_metadata(path: Path) -> None:
    """Puts the metadata in order: safetensors writes it in one that differs from run to run."""
    with path.open("r+b") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
        pairs = [f"{json.dumps(key)}:{json.dumps(value)}" for key, value in _METADATA.items()]
        either = [("{" + ",".join(order) + "}").encode() for order in (pairs, pairs[::-1])]
        file.seek(8)
        file.write(header.replace(either[1], either[0], 1))


def _tensors(config: ModelConfig, parameters: Parameters, head: Head, *, extra_rows: int) -> dict[str, np.ndarray]:
    expected = {path: leaf.shape for path, leaf in flat_parameters(abstract_model(config, head)).items()}
    given = traverse_util.flatten_dict(parameters, sep=".")
    shapes = {path: leaf.shape for path, leaf in given.items()}
    wrong = sorted(path for path in expected.keys() | shapes.keys() if expected.get(path) != shapes.get(path))
    if wrong:
        raise ValueError(
            f"these parameters do not fit a {config.family} {head} model of this config: {', '.join(wrong)}"
        )
    tensors = {}
    for row in weight_names(config.family, head):
        array = np.asarray(given[row.path])
        array = array[: row.unpadded(array.shape, config.vocab_size)[0]]
        if "vocab" in row.axes and extra_rows:
            array = np.concatenate([array, np.zeros((extra_rows, *array.shape[1:]), array.dtype)])
        for name, index in row.tensors(array.shape):
            tensors[name] = row.to_stored(array[index], array.shape)
    return tensors


def _tokenizer_files(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    files = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    if not files:
        raise InputError(f"{folder} holds no tokenizer; expected at least one of {', '.join(TOKENIZER_FILES)}")
    return files


def _check_replaceable(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; choose a folder to write the model to")
    if not any(folder.iterdir()) or _is_ours(folder):
        return
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} is not empty and no model folder, so it is not replaced; choose another")
    if not overwrite:
        raise InputError(
            f"{folder} holds a model that lingjax did not write, so it is not replaced; choose another folder"
        )


def _is_ours(folder: Path) -> bool:
    known = {"config.json", WEIGHT_FILE, SUMS_NAME, *TOKENIZER_FILES}
    if not {path.name for path in folder.iterdir()} <= known or not (folder / WEIGHT_FILE).is_file():
        return False
    try:
        with safetensors.safe_open(folder / WEIGHT_FILE, framework="numpy") as file:
            return (file.metadata() or {}).get("written_by") == _METADATA["written_by"]
    except safetensors.SafetensorError:
        return False
