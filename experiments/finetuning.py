"""The fine-tuning stage: one run folder a seed, not redone when finished, refused when its request changed."""

from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from jax.sharding import Mesh
from ml_collections import ConfigDict

from experiments import stages
from experiments.configuration import none_if_zero
from experiments.shuffling import ShuffledLabels
from experiments.tasks import Task
from lingjax.data import PairEncoder, measure_tokens
from lingjax.errors import InputError
from lingjax.training.finetune import FinetuneConfig, finetune
from lingjax.training.start import (
    Architecture,
    Start,
    start_pretrained,
    start_random,
    start_random_like,
)

FORMAT_OF_FAMILY = {"gpt2": "concat", "bert": "bert"}
"""The study's pair formats."""


def first_start(config: ConfigDict, *, mesh: Mesh, seed: int, random: bool = False) -> Start:
    """Makes the model that fine-tuning starts from: a checkpoint or published weights if named, else random numbers.

    Args:
      config: the whole configuration.
      mesh: devices.
      seed: of the parameters that are drawn.
      random: draw all of them, keeping the model's shape: the untrained control.
    """
    options = {
        "head": "pairs",
        "mesh": mesh,
        "seed": seed,
        "changes": {"compute_dtype": config.dtype, **stages.model_changes(config.model)},
        "max_word_characters": none_if_zero(config.max_word_characters),
        "offline": config.offline,
    }
    if not config.model.init:
        architecture = Architecture(config.model.family, config.model.size, config.model.tokenizer)
        return start_random(architecture, **options)
    start = start_pretrained(config.model.init, **options)
    return start_random_like(start, mesh=mesh, seed=seed) if random else start


def encoder_settings(config: ConfigDict, family: str) -> dict[str, Any]:
    """Returns how pairs become token ids, as plain values that are kept beside the model."""
    return {
        "pair_format": config.train.pair_format or FORMAT_OF_FAMILY[family],
        "max_length": config.train.max_length,
        "max_characters": none_if_zero(config.max_characters),
    }


def check_length(start: Start, settings: dict[str, Any]) -> None:
    """Refuses pairs that are longer than the model's positions.

    Raises:
      InputError: `max_length` exceeds the position embedding.
    """
    if settings["max_length"] > start.config.max_length:
        raise InputError(
            f"max_length={settings['max_length']} exceeds the model's {start.config.max_length} positions; lower it"
        )


def finetune_seed(
    config: ConfigDict, *, source: Task, dev: Task, mesh: Mesh, seed: int, folder: Path, control: str = ""
) -> None:
    """Fine-tunes one seed in `folder`, unless that is done; an interrupted run goes on.

    Args:
      config: the whole configuration.
      source: training pairs.
      dev: pairs that choose the best checkpoint.
      mesh: devices.
      seed: of order, dropout, fresh parameters, and a control's random part.
      folder: of the run.
      control: what to train instead of the model: `random_init` starts from random numbers, `shuffled_labels` learns
        labels (of training and dev pairs alike) that were permuted; empty for the model.

    Raises:
      InputError: the folder was begun with other settings or data; names them.
    """
    request = _request(config, source=source, dev=dev, seed=seed, control=control)
    if stages.is_done(folder, request):
        logging.info("%s is finished", folder)
        return
    recipe = stages.recipe(FinetuneConfig, config)
    start = first_start(config, mesh=mesh, seed=seed, random=control == "random_init")
    pairs = encoder_settings(config, start.config.family)
    check_length(start, pairs)
    encoder = PairEncoder(start.tokenizer, **pairs)
    positive = dev.rows.label_counts["1"] / max(len(dev.rows), 1)
    described = source.to_json() | {
        "training": {**recipe.to_json(), **pairs, "dtype": config.dtype, "mesh": config.mesh},
        "dev": {
            "dataset": dev.split.name,
            "split": dev.split_name,
            "rows": len(dev.rows),
            "majority_fraction": max(positive, 1 - positive),
            "median_tokens": float(np.median(measure_tokens(source.rows, encoder).tokens_per_row)),
        },
    }
    shuffled = control == "shuffled_labels"
    finetune(
        start,
        config=recipe,
        source=ShuffledLabels(source.rows, seed=seed) if shuffled else source.rows,
        # A dev set that kept its labels would choose, by luck, the checkpoint that knows most of them.
        dev=ShuffledLabels(dev.rows, seed=seed) if shuffled else dev.rows,
        encoder=encoder,
        mesh=mesh,
        seed=seed,
        folder=folder,
        settings={
            "pairs": pairs,
            "request": request,
            "source": described,
            "reopen": {
                "source": config.source,
                "dev": config.dev,
                "dev_fraction": config.dev_fraction,
                "seed": config.seed,
            },
        },
        title=f"{control} seed {seed}".lstrip(),
    )


def _request(config: ConfigDict, *, source: Task, dev: Task, seed: int, control: str) -> dict[str, Any]:
    """What decides a fine-tuned model; how it is shown, stored or split over devices does not."""
    request = {
        "model": config.model.to_dict(),
        "train": config.train.to_dict(),
        "max_characters": config.max_characters,
        "max_word_characters": config.max_word_characters,
        "dtype": config.dtype,
        "evaluate_every": config.evaluate_every,
        "source": {"fingerprint": source.split.fingerprint, "split": source.split_name},
        "dev": {"fingerprint": dev.split.fingerprint, "split": dev.split_name},
        "seed": seed,
        "random_init": control == "random_init",
    }
    # Only where it is so: a key that earlier versions did not write would disown their finished runs.
    return request | {"shuffled_labels": True} if control == "shuffled_labels" else request
