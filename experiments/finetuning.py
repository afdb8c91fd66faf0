"""The fine-tuning stage: one run folder a seed, not redone when finished, refused when its request changed."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from jax.sharding import Mesh
from ml_collections import ConfigDict

from experiments.configuration import none_if_zero
from experiments.tasks import Task
from lingjax.data import PairEncoder, measure_tokens
from lingjax.errors import InputError
from lingjax.training.finetune import FinetuneConfig, finetune
from lingjax.training.optimizer import OptimizerConfig
from lingjax.training.start import (
    Architecture,
    Start,
    is_finished,
    read_run_description,
    start_pretrained,
    start_random,
    start_random_like,
)

_FORMAT_OF_FAMILY = {"gpt2": "concat", "bert": "bert"}


def recipe(config: ConfigDict) -> FinetuneConfig:
    """Returns the training recipe, checked."""
    train = config.train.to_dict()
    named = {field.name for field in dataclasses.fields(OptimizerConfig)}
    loop = {field.name for field in dataclasses.fields(FinetuneConfig)} & train.keys()
    return FinetuneConfig(
        optimizer=OptimizerConfig(**{name: value for name, value in train.items() if name in named}),
        **{name: train[name] for name in loop},
        evaluate_every=config.evaluate_every,
        save_every=config.save_every,
        log_every=config.log_every,
        evaluation_batch_size=config.evaluation_batch_size,
    )


def first_start(config: ConfigDict, *, mesh: Mesh, seed: int, random: bool = False) -> Start:
    """Makes the model that fine-tuning starts from: a checkpoint or published weights if named, else random numbers.

    Args:
      config: the whole configuration.
      mesh: devices.
      seed: of the parameters that are drawn.
      random: draw all of them, keeping the model's shape: the untrained control.
    """
    changes: dict[str, Any] = {"compute_dtype": config.dtype, "scan_layers": config.model.scan_layers}
    for name in ("dropout_rate", "attention_dropout_rate"):
        if config.model[name] is not None:
            changes[name] = config.model[name]
    options = {
        "head": "pairs",
        "mesh": mesh,
        "seed": seed,
        "changes": changes,
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
        "pair_format": config.train.pair_format or _FORMAT_OF_FAMILY[family],
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
    config: ConfigDict, *, source: Task, dev: Task, mesh: Mesh, seed: int, folder: Path, random: bool = False
) -> None:
    """Fine-tunes one seed in `folder`, unless that is done; an interrupted run goes on.

    Raises:
      InputError: the folder was begun with other settings or data; names them.
    """
    request = _request(config, source=source, dev=dev, seed=seed, random=random)
    if (folder / "model.json").exists():
        _check_unchanged(folder, read_run_description(folder)["settings"]["request"], request)
        if is_finished(folder):
            logging.info("%s is finished", folder)
            return
    start = first_start(config, mesh=mesh, seed=seed, random=random)
    pairs = encoder_settings(config, start.config.family)
    check_length(start, pairs)
    encoder = PairEncoder(start.tokenizer, **pairs)
    positive = dev.rows.label_counts["1"] / max(len(dev.rows), 1)
    described = source.to_json() | {
        "training": {**recipe(config).to_json(), **pairs, "dtype": config.dtype, "mesh": config.mesh},
        "dev": {
            "dataset": dev.split.name,
            "split": dev.split_name,
            "rows": len(dev.rows),
            "majority_fraction": max(positive, 1 - positive),
            "median_tokens": float(np.median(measure_tokens(source.rows, encoder).tokens_per_row)),
        },
    }
    finetune(
        start,
        config=recipe(config),
        source=source.rows,
        dev=dev.rows,
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
        title=f"{'random_init ' if random else ''}seed {seed}",
    )


def _request(config: ConfigDict, *, source: Task, dev: Task, seed: int, random: bool) -> dict[str, Any]:
    """What decides a fine-tuned model; how it is shown, stored or split over devices does not."""
    return {
        "model": config.model.to_dict(),
        "train": config.train.to_dict(),
        "max_characters": config.max_characters,
        "max_word_characters": config.max_word_characters,
        "dtype": config.dtype,
        "evaluate_every": config.evaluate_every,
        "source": {"fingerprint": source.split.fingerprint, "split": source.split_name},
        "dev": {"fingerprint": dev.split.fingerprint, "split": dev.split_name},
        "seed": seed,
        "random_init": random,
    }


def _check_unchanged(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    old, new = _flat(before), _flat(now)
    changed = [
        f"{key} {old.get(key)!r} -> {new.get(key)!r}" for key in sorted(old | new) if old.get(key) != new.get(key)
    ]
    if changed:
        raise InputError(
            f"{folder} was made with other settings: {', '.join(changed)}; take another --workdir, or remove this one"
        )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
