"""Finds the fine-tuned models that evaluation is asked to judge, and how they read pairs."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from ml_collections import ConfigDict

from experiments import stages
from experiments.configuration import none_if_zero
from experiments.finetuning import FORMAT_OF_FAMILY, check_length
from lingjax.errors import InputError
from lingjax.files import read_json
from lingjax.models import PAIRS_KEY, resolve_folder
from lingjax.training.start import (
    Start,
    is_described,
    is_finished,
    read_run_description,
    restore_run,
    start_pretrained,
)

_DEFAULT_MAX_LENGTH = 128  # the study's, for a folder that does not say


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """How targets are evaluated; none of it is chosen by looking at them.

    Attributes:
      pairs: pair format and limits, as in training.
      max_word_characters: WordPiece's limit, None for the tokenizer's own.
      allow_unknown: go on although over 1 % of a target's tokens are unknown.
      batch_size: pairs a forward pass.
      bootstrap_replicates: resamples of the items for intervals.
      dtype: of the computation.
    """

    pairs: Mapping[str, Any]
    max_word_characters: int | None
    allow_unknown: bool
    batch_size: int
    bootstrap_replicates: int
    dtype: str


@dataclasses.dataclass(frozen=True)
class Trained:
    """Fine-tuned models of one recipe, by seed, and what is known of their training.

    Attributes:
      folders: run folders of ours by seed; empty for a Hugging Face folder.
      start: the first seed's model; gives tokenizer and description.
      controls: run folders of the untrained control by seed.
      no_control: why there are none, if there are none.
    """

    folders: Mapping[int, Path]
    start: Start
    controls: Mapping[int, Path]
    no_control: str


def open_checkpoint(checkpoint: str, config: ConfigDict, mesh: Mesh) -> tuple[Trained, EvaluationConfig]:
    """Finds the models that `--checkpoint` names, and how they read pairs.

    Args:
      checkpoint: workdir of one run or of several seeds, or a Hugging Face folder or hub name.
      config: that of experiments/configs/evaluate.py; what it leaves open comes from the checkpoint.
      mesh: devices.

    Raises:
      InputError: there is no fine-tuned model, or a run is not finished.
    """
    folders = _runs(Path(checkpoint))
    controls = _runs(Path(checkpoint) / "random_init")
    unfinished = [str(folder) for folder in (*folders.values(), *controls.values()) if not is_finished(folder)]
    if unfinished:
        raise InputError(f"not finished: {', '.join(unfinished)}; run the command that made it again, it goes on")
    options = {
        "mesh": mesh,
        "changes": {"compute_dtype": config.dtype},
        "max_word_characters": config.max_word_characters,
    }
    if folders:
        first = next(iter(folders.values()))
        start = restore_run(first, **options)
        known = read_run_description(first)["settings"]["pairs"]
    else:
        options["changes"] |= {"scan_layers": stages.scan_by_default()}
        start = start_pretrained(checkpoint, head="pairs", seed=None, offline=config.offline, **options)
        known = read_json(resolve_folder(checkpoint, offline=config.offline) / "config.json").get(PAIRS_KEY)
        longest = min(_DEFAULT_MAX_LENGTH, start.config.max_length)
        known = known or {"pair_format": FORMAT_OF_FAMILY[start.config.family], "max_length": longest}
    pairs = {
        "pair_format": config.pair_format or known["pair_format"],
        "max_length": config.max_length or known["max_length"],
        "max_characters": none_if_zero(
            known.get("max_characters") if config.max_characters is None else config.max_characters
        ),
    }
    check_length(start, pairs)
    reason = "no untrained control beside the checkpoint"
    return Trained(
        folders, start.without_weights() if folders else start, controls, no_control=reason
    ), EvaluationConfig(
        pairs=pairs,
        max_word_characters=none_if_zero(config.max_word_characters),
        allow_unknown=config.allow_unknown,
        batch_size=config.evaluation_batch_size,
        bootstrap_replicates=config.bootstrap_replicates,
        dtype=config.dtype,
    )


def _runs(folder: Path) -> dict[int, Path]:
    """The run in a folder, or those in its seedN/, by seed."""
    found = [folder] if is_described(folder) else [path for path in folder.glob("seed*") if is_described(path)]
    by_seed = {}
    for path in found:
        settings = read_run_description(path)["settings"]
        if "pairs" in settings:  # a pretraining run has none
            by_seed[settings["request"]["seed"]] = path
    return dict(sorted(by_seed.items()))
