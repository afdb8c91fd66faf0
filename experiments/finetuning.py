"""The fine-tuning stage: one run folder a seed, not redone when finished, refused when its request changed."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
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
from lingjax.models import check_pair_format, says_more
from lingjax.training.finetune import FinetuneConfig, FinetuneRun, finetune, runs_at_once
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.start import Architecture, start_pretrained, start_random, start_random_like

FORMAT_OF_FAMILY = {"gpt2": "concat", "bert": "bert"}
"""The study's pair formats."""

# The rest is for what the allocator cannot use and for batches larger than those that were looked at.
_MEMORY_TO_SPARE = 0.9


def first_start(config: ConfigDict, *, mesh: Mesh, seed: int, random: bool = False) -> LoadedModel:
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
    start = start_pretrained(config.model.init, tokenizer=config.model.tokenizer, **options)
    warn_of_labels(start)
    return start_random_like(start, mesh=mesh, seed=seed) if random else start


def warn_of_labels(start: LoadedModel) -> None:
    """Says that class 1 is taken for a match where a folder calls its classes something else."""
    if says_more(start.labels):
        logging.warning(
            "%s calls class 0 '%s' and class 1 '%s'; here class 1, label 1 of a dataset, is the match",
            start.init["source"],
            *start.labels,
        )


def encoder_settings(config: ConfigDict, family: str) -> dict[str, Any]:
    """Returns how pairs become token ids, as plain values that are kept beside the model."""
    return {
        "pair_format": config.train.pair_format or FORMAT_OF_FAMILY[family],
        "max_length": config.train.max_length,
        "max_characters": none_if_zero(config.max_characters),
    }


def check_length(start: LoadedModel, settings: dict[str, Any]) -> None:
    """Refuses pairs that are longer than the model's positions, or of more segments than it knows.

    Raises:
      InputError: `max_length` exceeds the position embedding, or the pair format needs a second segment.
    """
    if settings["max_length"] > start.config.max_length:
        raise InputError(
            f"max_length={settings['max_length']} exceeds the model's {start.config.max_length} positions; lower it"
        )
    check_pair_format(start.config, settings["pair_format"])


@dataclasses.dataclass(frozen=True)
class Job:
    """One fine-tuning to make.

    Attributes:
      title: what the progress bar calls it.
      folder: of the run.
      request: all that decides the trained model, as plain values.
      make: loads the model and names the pairs.
    """

    title: str
    folder: Path
    request: Mapping[str, Any]
    make: Callable[[], tuple[FinetuneRun, PairEncoder]]


@dataclasses.dataclass(frozen=True)
class SourceTask:
    """Fine-tuning on the source.

    Attributes:
      config: the whole configuration.
      source: training pairs.
      dev: pairs that choose the best checkpoint.
      mesh: devices.
      watch: looks at the targets at each evaluation of the models, but not of controls; None for none.
    """

    config: ConfigDict
    source: Task
    dev: Task
    mesh: Mesh
    watch: TargetWatch | None = None

    def job(self, seed: int, folder: Path, *, control: str = "") -> Job:
        """Returns the fine-tuning of a seed.

        Args:
          seed: of order, dropout, fresh parameters, and a control's random part.
          folder: of the run.
          control: what to train instead of the model: `random_init` starts from random numbers, `shuffled_labels`
            learns labels (of training and dev pairs alike) that were permuted; empty for the model.
        """
        request = _request(self.config, source=self.source, dev=self.dev, seed=seed, control=control)
        make = functools.partial(self._make, seed, folder, control=control, request=request)
        return Job(f"{control} seed {seed}".lstrip(), folder, request, make)

    def _make(
        self, seed: int, folder: Path, *, control: str, request: Mapping[str, Any]
    ) -> tuple[FinetuneRun, PairEncoder]:
        config, source, dev = self.config, self.source, self.dev
        start = first_start(config, mesh=self.mesh, seed=seed, random=control == "random_init")
        pairs = encoder_settings(config, start.config.family)
        check_length(start, pairs)
        encoder = PairEncoder(start.tokenizer, **pairs)
        positive = dev.rows.label_counts["1"] / max(len(dev.rows), 1)
        recipe = stages.recipe(FinetuneConfig, config)
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
        run = FinetuneRun(
            start=start,
            source=ShuffledLabels(source.rows, seed=seed) if shuffled else source.rows,
            # A dev set that kept its labels would choose, by luck, the checkpoint that knows most of them.
            dev=ShuffledLabels(dev.rows, seed=seed) if shuffled else dev.rows,
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
            on_evaluation=None if control or self.watch is None else self.watch.of(start, encoder),
        )
        return run, encoder


def finetune_all(jobs: Sequence[Job], recipe: FinetuneConfig, *, mesh: Mesh, at_once: int) -> None:
    """Makes every fine-tuning that is not done yet; an interrupted one goes on. Several may share a program.

    Args:
      jobs: of models of one shape, over as many pairs each.
      recipe: theirs.
      mesh: devices.
      at_once: how many share a program; 0 for as many as fit.

    Raises:
      InputError: a folder was begun with other settings or data; names them.
    """
    # All are looked at first: a folder of other settings is found before hours are spent.
    done = [stages.is_done(job.folder, job.request) for job in jobs]
    for job, is_done in zip(jobs, done, strict=True):
        if is_done:
            logging.info("%s is finished", job.folder)
    if all(done):
        return
    at_once = at_once or _as_many_as_fit(jobs, recipe, mesh)
    # Groups follow from what is wanted and not from what is left, so that an interrupted one is put together again.
    for first in range(0, len(jobs), at_once):
        left = [index for index in range(first, min(first + at_once, len(jobs))) if not done[index]]
        if not left:
            continue
        runs, encoders = zip(*(jobs[index].make() for index in left), strict=True)
        title = ", ".join(jobs[index].title for index in left)
        finetune(runs, config=recipe, encoder=encoders[0], mesh=mesh, title=title)


def _as_many_as_fit(jobs: Sequence[Job], recipe: FinetuneConfig, mesh: Mesh) -> int:
    """How many runs share a program: on a CPU one, where several at once are slower (benchmarks/README.md)."""
    device = mesh.devices.flat[0]
    if device.platform == "cpu" or len(jobs) == 1:
        return 1
    run, encoder = jobs[0].make()
    run = dataclasses.replace(run, start=run.start.without_weights())
    limit = int(_MEMORY_TO_SPARE * device.memory_stats()["bytes_limit"])
    return runs_at_once(len(jobs), run, config=recipe, encoder=encoder, mesh=mesh, limit_bytes=limit)


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
    # Only where they are so: keys that earlier versions did not write would disown their finished runs.
    if request["model"]["attention"] == "plain":
        del request["model"]["attention"]
    return request | {"shuffled_labels": True} if control == "shuffled_labels" else request
