"""A whole transfer: fine-tune on the source, run the controls, judge every target. Finished stages are not redone."""

import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path

import jax
from etils import epath
from jax.sharding import Mesh

from lingjax.data import PairEncoder
from lingjax.files import write_json
from lingjax.reporting import TransferReport, read_report
from lingjax.study.checkpoints import JudgingConfig, Trained
from lingjax.study.config import TRAINED_CONTROLS, StudyConfig
from lingjax.study.encoded import EncodedTask
from lingjax.study.few_shots import FewShots
from lingjax.study.jobs import finetune_all
from lingjax.study.judge import encode_targets, judge_targets
from lingjax.study.models import check_length, encoder_settings, first_model
from lingjax.study.occasion import Occasion
from lingjax.study.publish import publish
from lingjax.study.source_task import SourceTask
from lingjax.study.tasks import StudyTasks, Task, open_tasks
from lingjax.study.watch import TargetWatch
from lingjax.training.finetune import FinetuneConfig
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.mesh import make_mesh
from lingjax.training.run_folder import check_can_hold_checkpoints
from lingjax.workdir_lock import hold

_LOG = logging.getLogger(__name__)


def transfer(config: StudyConfig, *, workdir: str | os.PathLike) -> dict[str, TransferReport]:
    """Fine-tunes on a source task, judges targets zero-shot, and returns the reports by target.

    The workdir receives what `python -m experiments.transfer` writes; called again, it goes on where it stopped.

    Args:
      config: the study.
      workdir: folder of the experiment, made if need be; a bucket will do.

    Raises:
      InputError: data, model or a setting cannot be used, or the workdir was begun with others.

    >>> import lingjax
    >>> study = lingjax.StudyConfig(
    ...     model=lingjax.ModelSettings(init=tiny_model),
    ...     train=lingjax.TrainSettings(steps=2, batch_size=4, max_length=16, pair_format="separated"),
    ...     source=tiny_pairs,
    ...     targets=[f"{tiny_pairs}@test"],
    ...     trained_controls=(),
    ...     bootstrap_replicates=20,
    ... )
    >>> reports = lingjax.transfer(study, workdir=tiny_transfer)
    >>> reports["tiny"].target["rows"], reports["tiny"].verdict["orientation"]
    (14, 'undetermined')
    """
    paths = run_transfer(
        config, workdir=epath.Path(workdir), occasion=Occasion.now("lingjax.transfer", config.to_json())
    )
    return {name: read_report(path) for name, path in paths.items()}


def run_transfer(
    config: StudyConfig,
    *,
    workdir: Path,
    occasion: Occasion,
    tasks: StudyTasks | None = None,
    mesh: Mesh | None = None,
    tell: Callable[[str], None] = _LOG.info,
) -> dict[str, Path]:
    """Does what is left of a transfer, publishes it, and returns the reports' paths by target.

    Args:
      config: the study.
      workdir: folder of the experiment.
      occasion: when and how it was asked for; its `config` is written beside the reports.
      tasks: what `config` names, where it is open already.
      mesh: devices, where they are not to follow from `config.mesh`.
      tell: is told in a line what is about to be done.

    Raises:
      InputError: as `transfer`, or another process writes into the workdir.
    """
    check_can_hold_checkpoints(workdir)
    with hold(workdir, is_first_process=jax.process_index() == 0):
        return _run(config, workdir, occasion, tasks, mesh, tell)


def _run(
    config: StudyConfig,
    workdir: Path,
    occasion: Occasion,
    tasks: StudyTasks | None,
    mesh: Mesh | None,
    tell: Callable[[str], None],
) -> dict[str, Path]:
    recipe = config.recipe(FinetuneConfig)
    tasks = open_tasks(config) if tasks is None else tasks
    mesh = make_mesh(config.mesh) if mesh is None else mesh

    # The tokens of every target are looked at before hours are spent on training.
    start = first_model(config, mesh=mesh, seed=config.seed).without_weights()
    check_length(start, encoder_settings(config, start.config.family))
    judging = JudgingConfig.of(config, encoder_settings(config, start.config.family))
    targets = encode_targets(tasks.targets, start, judging)
    encoder = PairEncoder(start.tokenizer, **judging.pairs)
    source, dev = EncodedTask(tasks.source, encoder), EncodedTask(tasks.dev, encoder)

    folders, control_seeds = _run_folders(workdir, config.seed_numbers), config.seed_numbers[: config.control_seeds]
    no_control = _missing_controls(config)
    controls = {
        name: _run_folders(workdir / name, control_seeds) for name in config.trained_controls if name not in no_control
    }
    watch = TargetWatch(targets, rows=config.curve_rows, mesh=mesh, batch_size=config.evaluation_batch_size)
    training = SourceTask(
        config,
        tasks.source,
        tasks.dev,
        mesh=mesh,
        watch=watch if config.curve_rows else None,
        encoded=(source, dev),
    )
    jobs = [
        training.job(seed, folder, control=name)
        for name, runs in {"": folders, **controls}.items()
        for seed, folder in runs.items()
    ]
    finetune_all(
        jobs,
        recipe,
        mesh=mesh,
        at_once=config.seeds_at_once,
        tell=lambda text: tell(f"{_start_line(start, tasks, mesh)}: {text}"),
    )
    if jax.process_index() == 0:
        write_json(workdir / "config.json", occasion.config)
    few_shots = FewShots(config, folders, dev, mesh, workdir)

    paths = judge_targets(
        Trained(
            folders,
            start,
            controls,
            not_finetuned={
                seed: functools.partial(first_model, config, mesh=mesh, seed=seed)
                for seed in control_seeds
                if "not_finetuned" not in no_control
            },
            no_control=no_control,
        ),
        targets,
        config=judging,
        occasion=occasion,
        mesh=mesh,
        out=workdir,
        source=(source, dev),
        sample_efficiency=few_shots.measure(targets) if config.shots else {},
    )
    if jax.process_index() == 0:
        publish(workdir, list(paths.values()))
    return paths


def run_finetuning(
    config: StudyConfig, tasks: tuple[Task, Task], *, workdir: Path, mesh: Mesh | None = None
) -> dict[int, Path]:
    """Fine-tunes every seed on the source, and returns the runs' folders by seed.

    One seed trains in the workdir itself, several in `seedN/` in it.
    """
    recipe = config.recipe(FinetuneConfig)
    mesh = make_mesh(config.mesh) if mesh is None else mesh
    seeds = config.seed_numbers
    folders = {config.seed: workdir} if len(seeds) == 1 else _run_folders(workdir, seeds)
    training = SourceTask(config, *tasks, mesh=mesh)
    jobs = [training.job(seed, folder) for seed, folder in folders.items()]
    check_can_hold_checkpoints(workdir)
    with hold(workdir, is_first_process=jax.process_index() == 0):
        finetune_all(jobs, recipe, mesh=mesh, at_once=config.seeds_at_once)
    return folders


def _start_line(start: LoadedModel, tasks: StudyTasks, mesh: Mesh) -> str:
    device = mesh.devices.flat[0]
    targets = ", ".join(f"{name} ({len(task.rows):,})" for name, task in tasks.targets.items())
    return (
        f"{start.config.family}, {start.num_parameters:,} parameters, on {mesh.size} {device.device_kind}; from "
        f"{tasks.source.name} ({len(tasks.source.rows):,} pairs) to {targets}"
    )


def _run_folders(folder: Path, seeds: range) -> dict[int, Path]:
    return {seed: folder / f"seed{seed}" for seed in seeds}


def _missing_controls(config: StudyConfig) -> dict[str, str]:
    """Says why controls that are models are not run, by name."""
    names = ("not_finetuned", *TRAINED_CONTROLS)
    if not config.control_seeds:
        return dict.fromkeys(names, "config.control_seeds is 0")
    asked_for = ",".join(config.trained_controls)
    reasons = {
        name: f"a fine-tuning that config.trained_controls={asked_for} does not ask for"
        for name in TRAINED_CONTROLS
        if name not in config.trained_controls
    }
    if not config.model.init:
        reasons |= dict.fromkeys(("not_finetuned", "random_init"), "the model itself starts from random weights")
    return reasons
