"""Fine-tuning on the source task: the runs of a study and those of its trained controls."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh

from lingjax.data import EncodedPairs, PairEncoder
from lingjax.study.config import StudyConfig
from lingjax.study.encoded import EncodedTask, shuffle_labels
from lingjax.study.jobs import FinetuneJob
from lingjax.study.models import check_length, encoder_settings, first_model
from lingjax.study.tasks import Task
from lingjax.study.watch import TargetWatch
from lingjax.training.finetune import FinetuneConfig, FinetuneRun


class SourceTask:
    """Fine-tuning on the source.

    Args:
      config: the study.
      source: training pairs.
      dev: pairs that choose the best checkpoint.
      mesh: devices.
      watch: looks at the targets at each evaluation of the models, but not of controls; None for none.
      encoded: source and dev, where a tokenizer is known; None encodes them with that of the first model to train.
    """

    def __init__(
        self,
        config: StudyConfig,
        source: Task,
        dev: Task,
        *,
        mesh: Mesh,
        watch: TargetWatch | None = None,
        encoded: tuple[EncodedTask, EncodedTask] | None = None,
    ):
        self._config, self._source, self._dev = config, source, dev
        self._mesh, self._watch, self._encoded = mesh, watch, encoded

    def job(self, seed: int, folder: Path, *, control: str = "") -> FinetuneJob:
        """Returns the fine-tuning of a seed.

        Args:
          seed: decides order, dropout, fresh parameters, and a control's random part.
          folder: where the run lives.
          control: what to train instead of the model: `random_init` starts from random numbers, `shuffled_labels`
            learns labels (of training and dev pairs alike) that were permuted; empty for the model.
        """
        request = self._request(seed=seed, control=control)
        make = functools.partial(self._make, seed, folder, control=control, request=request)
        return FinetuneJob(f"{control} seed {seed}".lstrip(), folder, request, make)

    def _make(
        self, seed: int, folder: Path, *, control: str, request: Mapping[str, Any]
    ) -> tuple[FinetuneRun, PairEncoder]:
        config = self._config
        start = first_model(config, mesh=self._mesh, seed=seed, random=control == "random_init")
        pairs = encoder_settings(config, start.config.family)
        check_length(start, pairs)
        if self._encoded is None:  # runs of a study share model and tokenizer
            encoder = PairEncoder(start.tokenizer, **pairs)
            self._encoded = EncodedTask(self._source, encoder), EncodedTask(self._dev, encoder)
        source, dev = (task.pairs for task in self._encoded)
        if control == "shuffled_labels":
            # A dev set that kept its labels would choose, by luck, the checkpoint that knows most of them.
            source, dev = (shuffle_labels(some, seed=seed) for some in (source, dev))
        run = FinetuneRun(
            start=start,
            source=source,
            dev=dev,
            seed=seed,
            folder=folder,
            settings={
                "pairs": pairs,
                "request": request,
                "source": self._described(source, pairs),
                "reopen": {
                    "source": config.source,
                    "dev": config.dev,
                    "dev_fraction": config.dev_fraction,
                    "seed": config.seed,
                },
            },
            on_evaluation=None if control or self._watch is None else self._watch.of(start),
        )
        return run, source.encoder

    def _described(self, source: EncodedPairs, pairs: Mapping[str, Any]) -> dict[str, Any]:
        """The source as the report names it, with its training and its dev pairs."""
        config, dev = self._config, self._dev
        positive = dev.rows.label_counts["1"] / max(len(dev.rows), 1)
        recipe = config.recipe(FinetuneConfig)
        return self._source.to_json() | {
            "training": {**recipe.to_json(), **pairs, "dtype": config.dtype, "mesh": config.mesh},
            "dev": {
                "dataset": dev.name,
                "split": dev.split_name,
                "rows": len(dev.rows),
                "majority_fraction": max(positive, 1 - positive),
                "median_tokens": float(np.median(source.lengths)),
            },
        }

    def _request(self, *, seed: int, control: str) -> dict[str, Any]:
        """What decides a fine-tuned model; how it is shown, stored or split over devices does not."""
        config, source, dev = self._config, self._source, self._dev
        request = {
            "model": dataclasses.asdict(config.model),
            "train": dataclasses.asdict(config.train),
            "max_characters": config.max_characters,
            "max_word_characters": config.max_word_characters,
            "dtype": config.dtype,
            "evaluate_every": config.evaluate_every,
            "source": {"fingerprint": source.fingerprint, "split": source.split_name},
            "dev": {"fingerprint": dev.fingerprint, "split": dev.split_name},
            "seed": seed,
            "random_init": control == "random_init",
        }
        # Only where they are so: keys that earlier versions did not write would disown their finished runs.
        if request["model"]["attention"] == "plain":
            del request["model"]["attention"]
        if config.text:
            request["text"] = config.text
        return request | {"shuffled_labels": True} if control == "shuffled_labels" else request
