"""The fine-tuning stage: one run folder a seed, not redone when finished, refused when its request changed."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
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
from experiments.watching import TargetWatch
from lingjax.data import PairEncoder, measure_tokens
from lingjax.errors import InputError
from lingjax.training.finetune import FinetuneConfig, FinetuneRun, finetune, runs_at_once
from lingjax.training.start import (
    Architecture,
    Start,
    start_pretrained,
    start_random,
    start_random_like,
)

FORMAT_OF_FAMILY = {"gpt2": "concat", "bert": "bert"}
"""The study's pair formats."""

# The rest is for what the allocator cannot use and for batches larger than those that were looked at.
_MEMORY_TO_SPARE = 0.9


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


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One fine-tuning to make.

    Attributes:
      seed: of order, dropout, fresh parameters, and a control's random part.
      folder: of the run.
      control: what to train instead of the model: `random_init` starts from random numbers, `shuffled_labels` learns
        labels (of training and dev pairs alike) that were permuted; empty for the model.
    """

    seed: int
    folder: Path
    control: str = ""

    @property
    def title(self) -> str:
        """What the progress bar calls it."""
        return f"{self.control} seed {self.seed}".lstrip()


def finetune_all(
    config: ConfigDict,
    wanted: Sequence[Wanted],
    *,
    source: Task,
    dev: Task,
    mesh: Mesh,
    watch: TargetWatch | None = None,
) -> None:
    """Makes every fine-tuning that is not done yet; an interrupted one goes on. Several may share a program.

    Args:
      config: the whole configuration.
      wanted: what to make.
      source: training pairs.
      dev: pairs that choose the best checkpoint.
      mesh: devices.
      watch: looks at the targets at each evaluation of the models, but not of controls; None for none.

    Raises:
      InputError: a folder was begun with other settings or data; names them.
    """
    recipe = stages.recipe(FinetuneConfig, config)
    # All are looked at first: a folder of other settings is found before hours are spent.
    done = {each: stages.is_done(each.folder, _request(config, source=source, dev=dev, wanted=each)) for each in wanted}
    for each in wanted:
        if done[each]:
            logging.info("%s is finished", each.folder)
    if all(done.values()):
        return
    make = functools.partial(_prepare, config, recipe=recipe, source=source, dev=dev, mesh=mesh)
    at_once = config.seeds_at_once or _as_many_as_fit(make, wanted, recipe, mesh)
    # Groups follow from what is wanted and not from what is left, so that an interrupted one is put together again.
    for first in range(0, len(wanted), at_once):
        left = [each for each in wanted[first : first + at_once] if not done[each]]
        if not left:
            continue
        runs, encoders = zip(*(make(each) for each in left), strict=True)
        if watch is not None:
            runs = [
                run if each.control else dataclasses.replace(run, on_evaluation=watch.of(run.start, encoders[0]))
                for each, run in zip(left, runs, strict=True)
            ]
        finetune(runs, config=recipe, encoder=encoders[0], mesh=mesh, title=", ".join(each.title for each in left))


def _as_many_as_fit(
    make: Callable[[Wanted], tuple[FinetuneRun, PairEncoder]],
    wanted: Sequence[Wanted],
    recipe: FinetuneConfig,
    mesh: Mesh,
) -> int:
    """How many runs share a program: on a CPU one, where several at once are slower (benchmarks/README.md)."""
    device = mesh.devices.flat[0]
    if device.platform == "cpu" or len(wanted) == 1:
        return 1
    run, encoder = make(wanted[0])
    run = dataclasses.replace(run, start=run.start.without_weights())
    limit = int(_MEMORY_TO_SPARE * device.memory_stats()["bytes_limit"])
    return runs_at_once(len(wanted), run, config=recipe, encoder=encoder, mesh=mesh, limit_bytes=limit)


def _prepare(
    config: ConfigDict, wanted: Wanted, *, recipe: FinetuneConfig, source: Task, dev: Task, mesh: Mesh
) -> tuple[FinetuneRun, PairEncoder]:
    start = first_start(config, mesh=mesh, seed=wanted.seed, random=wanted.control == "random_init")
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
    shuffled = wanted.control == "shuffled_labels"
    run = FinetuneRun(
        start=start,
        source=ShuffledLabels(source.rows, seed=wanted.seed) if shuffled else source.rows,
        # A dev set that kept its labels would choose, by luck, the checkpoint that knows most of them.
        dev=ShuffledLabels(dev.rows, seed=wanted.seed) if shuffled else dev.rows,
        seed=wanted.seed,
        folder=wanted.folder,
        settings={
            "pairs": pairs,
            "request": _request(config, source=source, dev=dev, wanted=wanted),
            "source": described,
            "reopen": {
                "source": config.source,
                "dev": config.dev,
                "dev_fraction": config.dev_fraction,
                "seed": config.seed,
            },
        },
    )
    return run, encoder


def _request(config: ConfigDict, *, source: Task, dev: Task, wanted: Wanted) -> dict[str, Any]:
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
        "seed": wanted.seed,
        "random_init": wanted.control == "random_init",
    }
    # Only where it is so: a key that earlier versions did not write would disown their finished runs.
    return request | {"shuffled_labels": True} if wanted.control == "shuffled_labels" else request
