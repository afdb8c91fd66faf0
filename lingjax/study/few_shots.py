"""Sample efficiency: what a few of a target's own training pairs add, with the source task learned before and without.

Every point is a fine-tuning in `few_shots/TARGET/START/SHOTS/seedN/`, judged on the target's evaluated pairs after its
last step, whatever it is. Its weights are not kept.
"""

import dataclasses
import functools
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from lingjax.data import PairEncoder, SubsetSource, steps_per_epoch
from lingjax.errors import InputError
from lingjax.study.config import StudyConfig, none_if_zero
from lingjax.study.encoded import EncodedTask
from lingjax.study.jobs import FinetuneJob, finetune_all
from lingjax.study.models import encoder_settings, first_model, model_changes
from lingjax.study.tasks import open_training_split
from lingjax.study.watch import TargetWatch, target_metrics
from lingjax.training.finetune import FinetuneConfig, FinetuneRun
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.run_folder import read_result, read_run_description
from lingjax.training.start import restore_run

STARTS = ("transferred", "direct")
"""The model fine-tuned on the source; the model that this started from."""


@dataclasses.dataclass(frozen=True)
class _Few:
    """A target's training pairs that are drawn, and which of them by number of pairs and seed."""

    target_name: str
    target: EncodedTask
    training: EncodedTask
    draws: Mapping[tuple[int, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class FewShots:
    """Fine-tunings on few pairs of each target.

    Attributes:
      config: the study.
      folders: finished runs on the source by seed.
      dev: the source's dev pairs, which show what is forgotten.
      mesh: devices.
      workdir: where the experiment lives.
    """

    config: StudyConfig
    folders: Mapping[int, Path]
    dev: EncodedTask
    mesh: Mesh
    workdir: Path

    def measure(self, targets: Mapping[str, EncodedTask]) -> dict[str, dict[str, Any]]:
        """Returns, by target, what the report holds as `sample_efficiency`."""
        return {name: self._measure(name, task) for name, task in targets.items()}

    def _measure(self, name: str, target: EncodedTask) -> dict[str, Any]:
        try:
            training = open_training_split(target.task)
        except InputError as error:
            return {"skipped": str(error)}
        labels, wanted = np.array([record.label for record in training.rows]), self.config.shots
        enough = [shots for shots in wanted if min(np.bincount(labels, minlength=2)) >= -(-shots // 2)]
        draws = {(shots, seed): draw_rows(labels, shots, seed=seed) for shots in enough for seed in self.folders}
        # Only what is drawn is tokenized, and once: the draws of more pairs hold those of fewer.
        drawn = np.unique(np.concatenate([np.zeros(0, np.int64), *draws.values()]))
        rows = dataclasses.replace(training, rows=SubsetSource(training.rows, drawn))
        few = _Few(
            target_name=name,
            target=target,
            training=EncodedTask(rows, target.encoder),
            draws={key: np.searchsorted(drawn, numbers) for key, numbers in draws.items()},
        )
        points = [point for shots in enough for point in self._points(few, shots)]
        return {
            "rows_available": len(labels),
            "epochs": self.config.shots_epochs,
            "too_few_rows_for": [shots for shots in wanted if shots not in enough],
            "points": points,
        }

    def _points(self, few: "_Few", shots: int) -> list[dict[str, Any]]:
        name, target = few.target_name, few.target
        epochs, batch_size = self.config.shots_epochs, self.config.train.batch_size
        steps = max(1, round(epochs * steps_per_epoch(shots, batch_size)))
        train = dataclasses.replace(self.config.train, epochs=epochs, steps=steps, best_by="last", patience=0)
        few_steps = dataclasses.replace(self.config, train=train, evaluate_every=steps, save_every=0, profile_at=0)
        watch = TargetWatch(
            {name: target}, rows=len(target.task.rows), mesh=self.mesh, batch_size=self.config.evaluation_batch_size
        )
        folders = {
            (start, seed): self.workdir / "few_shots" / name / start / str(shots) / f"seed{seed}"
            for start in STARTS
            for seed in self.folders
        }
        jobs = []
        for (start, seed), folder in folders.items():
            request = {
                "source_run": read_run_description(self.folders[seed])["settings"]["request"],
                "few_shots": {
                    "target": _identity(target),
                    "training": _identity(few.training),
                    "rows": shots,
                    "epochs": epochs,
                    "start": start,
                },
            }
            make = functools.partial(self._make, few, shots, start, seed, folder, watch, request)
            jobs.append(FinetuneJob(f"{name}, {shots} pairs, {start} seed {seed}", folder, request, make))
        finetune_all(jobs, few_steps.recipe(FinetuneConfig), mesh=self.mesh, at_once=self.config.seeds_at_once)
        if jax.process_index() == 0:
            for folder in folders.values():
                shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return [_point(name, shots, *key, result=read_result(folder)) for key, folder in folders.items()]

    def _make(
        self,
        few: "_Few",
        shots: int,
        start: str,
        seed: int,
        folder: Path,
        watch: TargetWatch,
        request: Mapping[str, Any],
    ) -> tuple[FinetuneRun, PairEncoder]:
        rows = few.training.pairs.take(few.draws[shots, seed])
        model = self._transferred(seed) if start == "transferred" else self._direct(seed)
        run = FinetuneRun(
            start=model,
            source=rows,
            dev=self.dev.pairs,
            seed=seed,
            folder=folder,
            settings={"pairs": encoder_settings(self.config, model.config.family), "request": request},
            on_evaluation=watch.of(model),
        )
        return run, rows.encoder

    def _direct(self, seed: int) -> LoadedModel:
        return first_model(self.config, mesh=self.mesh, seed=seed)

    def _transferred(self, seed: int) -> LoadedModel:
        changes = {"compute_dtype": self.config.dtype, **model_changes(dataclasses.asdict(self.config.model))}
        limit = none_if_zero(self.config.max_word_characters)
        return restore_run(self.folders[seed], mesh=self.mesh, changes=changes, max_word_characters=limit)


def _identity(encoded: EncodedTask) -> dict[str, str]:
    return {"fingerprint": encoded.task.fingerprint, "split": encoded.task.split_name}


def draw_rows(labels: np.ndarray, shots: int, *, seed: int) -> np.ndarray:
    """Returns row numbers, half of each label (of an odd number one more with label 1); fewer are the first of more.

    Args:
      labels: 0 or 1, of every row.
      shots: how many rows.
      seed: decides the draw.

    Raises:
      ValueError: a label has too few rows.
    """
    rng = np.random.default_rng(seed)
    chosen = []
    for label, count in ((0, shots // 2), (1, shots - shots // 2)):
        rows = rng.permutation(np.flatnonzero(labels == label))
        if len(rows) < count:
            raise ValueError(f"{count} rows with label {label} are wanted, there are {len(rows)}")
        chosen.append(rows[:count])
    return np.sort(np.concatenate(chosen))


def _point(name: str, shots: int, start: str, seed: int, *, result: Mapping[str, Any]) -> dict[str, Any]:
    last = result["history"][-1]
    metrics = target_metrics(last, name)
    return {
        "shots": shots,
        "start": start,
        "seed": seed,
        "source_dev_accuracy": last["dev_accuracy"],
        **{metric: metrics[metric] for metric in ("accuracy", "auroc", "log_loss")},
    }
