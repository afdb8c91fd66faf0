"""Sample efficiency: what a few of a target's own training pairs add, with the source task learned before and without.

Every point is a fine-tuning in `few_shots/TARGET/START/SHOTS/seedN/`, judged on the target's evaluated pairs after its
last step, whatever it is. Its weights are not kept.
"""

import dataclasses
import functools
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from experiments import finetuning, runtime, stages
from experiments.tasks import Task, open_training_split
from experiments.watching import TargetWatch, target_metrics
from lingjax.data import PairEncoder, SubsetSource
from lingjax.errors import InputError
from lingjax.training.finetune import FinetuneConfig, FinetuneRun
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.run_folder import read_result, read_run_description
from lingjax.training.start import restore_run

STARTS = ("transferred", "direct")
"""The model fine-tuned on the source; the model that this started from."""


@dataclasses.dataclass(frozen=True)
class FewShots:
    """Fine-tunings on few pairs of each target.

    Attributes:
      config: the whole configuration.
      shots: how many pairs, in rising order.
      folders: finished runs on the source by seed.
      dev: the source's dev pairs, which show what is forgotten.
      mesh: devices.
      workdir: of the experiment.
    """

    config: ConfigDict
    shots: Sequence[int]
    folders: Mapping[int, Path]
    dev: Task
    mesh: Mesh
    workdir: Path

    def measure(self, targets: Mapping[str, Task]) -> dict[str, dict[str, Any]]:
        """Returns, by target, what the report holds as `sample_efficiency`."""
        return {name: self._measure(name, task) for name, task in targets.items()}

    def _measure(self, name: str, task: Task) -> dict[str, Any]:
        try:
            training = open_training_split(task)
        except InputError as error:
            return {"skipped": str(error)}
        labels = np.array([record.label for record in training.rows])
        enough = [shots for shots in self.shots if min(np.bincount(labels, minlength=2)) >= -(-shots // 2)]
        points = [point for shots in enough for point in self._points(name, task, training, labels, shots)]
        return {
            "rows_available": len(labels),
            "epochs": self.config.shots_epochs,
            "too_few_rows_for": [shots for shots in self.shots if shots not in enough],
            "points": points,
        }

    def _points(self, name: str, task: Task, training: Task, labels: np.ndarray, shots: int) -> list[dict[str, Any]]:
        recipe = stages.recipe(FinetuneConfig, self.config)
        recipe = dataclasses.replace(
            recipe, epochs=self.config.shots_epochs, steps=0, best_by="last", patience=0, save_every=0, profile_at=0
        )
        steps = max(1, round(recipe.epochs * -(-shots // recipe.batch_size)))
        recipe = dataclasses.replace(recipe, steps=steps, evaluate_every=steps)
        watch = TargetWatch(
            {name: task}, rows=len(task.rows), mesh=self.mesh, batch_size=self.config.evaluation_batch_size
        )
        folders = {
            (start, seed): self.workdir / "few_shots" / name / start / str(shots) / f"seed{seed}"
            for start in STARTS
            for seed in self.folders
        }
        jobs = []
        for (start, seed), folder in folders.items():
            rows = SubsetSource(training.rows, draw_rows(labels, shots, seed=seed))
            request = {
                "source_run": read_run_description(self.folders[seed])["settings"]["request"],
                "few_shots": {
                    "target": {"fingerprint": task.split.fingerprint, "split": task.split_name},
                    "training": {"fingerprint": training.split.fingerprint, "split": training.split_name},
                    "rows": shots,
                    "epochs": recipe.epochs,
                    "start": start,
                },
            }
            make = functools.partial(self._make, start, seed, folder, rows, watch, request)
            jobs.append(finetuning.Job(f"{name}, {shots} pairs, {start} seed {seed}", folder, request, make))
        finetuning.finetune_all(jobs, recipe, mesh=self.mesh, at_once=self.config.seeds_at_once)
        if runtime.is_first_process():
            for folder in folders.values():
                shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return [_point(name, shots, *key, result=read_result(folder)) for key, folder in folders.items()]

    def _make(
        self,
        start: str,
        seed: int,
        folder: Path,
        rows: SubsetSource,
        watch: TargetWatch,
        request: Mapping[str, Any],
    ) -> tuple[FinetuneRun, PairEncoder]:
        model = self._transferred(seed) if start == "transferred" else self._direct(seed)
        pairs = finetuning.encoder_settings(self.config, model.config.family)
        encoder = PairEncoder(model.tokenizer, **pairs)
        run = FinetuneRun(
            start=model,
            source=rows,
            dev=self.dev.rows,
            seed=seed,
            folder=folder,
            settings={"pairs": pairs, "request": request},
            on_evaluation=watch.of(model, encoder),
        )
        return run, encoder

    def _direct(self, seed: int) -> LoadedModel:
        return finetuning.first_start(self.config, mesh=self.mesh, seed=seed)

    def _transferred(self, seed: int) -> LoadedModel:
        changes = {"compute_dtype": self.config.dtype, **stages.model_changes(self.config.model)}
        limit = self.config.max_word_characters or None
        return restore_run(self.folders[seed], mesh=self.mesh, changes=changes, max_word_characters=limit)


def draw_rows(labels: np.ndarray, shots: int, *, seed: int) -> np.ndarray:
    """Returns row numbers, half of each label (of an odd number one more with label 1); fewer are the first of more.

    Args:
      labels: 0 or 1, of every row.
      shots: how many rows.
      seed: of the draw.

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
