"""Runs every model of an evaluation over every target: the judged seeds, and the controls that are models."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
from jax.sharding import Mesh
from tqdm import tqdm

from lingjax.errors import InputError
from lingjax.evaluation import PairPredictions, SkippedControl
from lingjax.evaluation.predict import predict_pairs
from lingjax.evaluation.representation_study import RepresentationStudy
from lingjax.study.checkpoints import JudgingConfig, Trained
from lingjax.study.encoded import EncodedTask
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.start import restore_run

# The name under which the judged models stand among the models to run.
_JUDGED = ""
_NOT_FINETUNED = "not_finetuned"
# The models of which hidden states are compared, and when they are from.
_STUDIED = {_JUDGED: "after", _NOT_FINETUNED: "before"}


@dataclasses.dataclass(frozen=True)
class TargetPredictions:
    """What the models say of one target.

    Attributes:
      judged: by seed.
      controls: by control and seed.
      seconds: that it took.
    """

    judged: Mapping[int, PairPredictions]
    controls: Mapping[str, Mapping[int, PairPredictions]]
    seconds: float

    @property
    def num_models(self) -> int:
        """How many models were run."""
        return len(self.judged) + sum(map(len, self.controls.values()))


def predict_targets(
    trained: Trained,
    targets: Mapping[str, EncodedTask],
    *,
    config: JudgingConfig,
    mesh: Mesh,
    study: RepresentationStudy | None,
) -> tuple[dict[str, TargetPredictions], dict[str, SkippedControl]]:
    """Runs all models, each loaded once.

    Args:
      trained: the models.
      targets: by name.
      config: how to evaluate.
      mesh: devices.
      study: reads hidden states of the models that it compares; None for none.

    Returns:
      The predictions by target, and the controls that were not run.
    """
    predicted: dict[str, dict[str, dict[int, PairPredictions]]] = {name: {_JUDGED: {}} for name in targets}
    no_control = {name: SkippedControl(reason) for name, reason in trained.no_control.items()}
    seconds = dict.fromkeys(targets, 0.0)
    models = list(_models(trained, config, mesh))
    total = sum(len(target.pairs) for target in targets.values()) * len(models)
    hidden = jax.process_index() != 0
    with tqdm(desc="evaluate", total=total, unit="pair", dynamic_ncols=True, disable=hidden) as bar:
        for control, seed, make in models:
            try:
                start = make()
            except InputError as error:
                if control != _NOT_FINETUNED:
                    raise
                reason = f"the weights before fine-tuning cannot be loaded: {error}"
                no_control[control] = SkippedControl(reason, is_missing=True)
                continue
            if control == _NOT_FINETUNED and start.init != trained.start.init:
                reason = f"{start.init['source']} holds other weights than fine-tuning started from"
                no_control[control] = SkippedControl(reason, is_missing=True)
                continue
            if study is not None and control in _STUDIED:
                study.read(_STUDIED[control], start)
            for name, target in targets.items():
                began = time.perf_counter()
                predicted[name].setdefault(control, {})[seed] = predict_pairs(
                    start, target.pairs, target.encoder, mesh=mesh, batch_size=config.batch_size, progress=bar.update
                )
                seconds[name] += time.perf_counter() - began
    by_target = {
        name: TargetPredictions(by_control.pop(_JUDGED), by_control, seconds[name])
        for name, by_control in predicted.items()
    }
    return by_target, no_control


def _models(
    trained: Trained, config: JudgingConfig, mesh: Mesh
) -> Iterator[tuple[str, int, Callable[[], LoadedModel]]]:
    """Yields every model to run: control's name (_JUDGED for a judged one), seed, and what loads it."""
    if not trained.folders:
        yield _JUDGED, 0, lambda: trained.start
    for name, runs in ((_JUDGED, trained.folders), *trained.controls.items()):
        for seed, folder in runs.items():
            yield name, seed, functools.partial(_restore, folder, config, mesh)
    for seed, make in trained.not_finetuned.items():
        yield _NOT_FINETUNED, seed, make


def _restore(folder: Path, config: JudgingConfig, mesh: Mesh) -> LoadedModel:
    changes = {"compute_dtype": config.dtype}
    return restore_run(folder, mesh=mesh, changes=changes, max_word_characters=config.max_word_characters)
