"""Fine-tunes on one task and judges others zero-shot: python -m experiments.transfer --config=FILE --workdir=DIR.

Stages that are finished are not done again. The workdir receives seedN/ (one run each), random_init/seedN/ and
shuffled_labels/seedN/ (trained controls), reports/, predictions/, plots/, config.json, table.md and report.html.
"""

import functools
import sys

from absl import flags
from etils import epath
from ml_collections import ConfigDict

from experiments import configuration
from lingjax import command

_CONFIG = configuration.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the experiment, made if need be.", required=True)
_HOSTS = configuration.define_hosts()


def main(_: list[str]) -> None:
    """Runs the chain."""
    from experiments import tasks

    config, workdir = _CONFIG.value, epath.Path(_WORKDIR.value)
    seeds = configuration.seed_numbers(config)
    trained_controls, kmer_sizes = configuration.trained_controls(config), configuration.kmer_sizes(config)
    shots, curve_rows = configuration.shots(config), configuration.curve_rows(config)
    # What is cheap to find wrong is found before the heavy imports: data, then settings, then tokens, then training.
    source, dev = tasks.open_source(config.source, config.dev, dev_fraction=config.dev_fraction, seed=config.seed)
    targets = tasks.open_targets(configuration.split_list(config.targets))

    from experiments import checkpoints, evaluating, few_shots, finetuning, runtime, stages, watching
    from lingjax.files import write_json
    from lingjax.training.finetune import FinetuneConfig
    from lingjax.training.mesh import make_mesh

    recipe = stages.recipe(FinetuneConfig, config)
    runtime.start_jax(_HOSTS)
    resolved = configuration.to_json(config)
    mesh = make_mesh(config.mesh)

    # The tokens of every target are looked at before hours are spent on training.
    start = finetuning.first_start(config, mesh=mesh, seed=config.seed).without_weights()
    evaluation = checkpoints.EvaluationConfig(
        pairs=finetuning.encoder_settings(config, start.config.family),
        max_word_characters=configuration.none_if_zero(config.max_word_characters),
        allow_unknown=config.allow_unknown,
        batch_size=config.evaluation_batch_size,
        bootstrap_replicates=config.bootstrap_replicates,
        dtype=config.dtype,
        kmer_sizes=kmer_sizes,
        alignment_rows=config.alignment_rows,
    )
    evaluating.check_targets(targets, start, evaluation)

    folders = {seed: workdir / f"seed{seed}" for seed in seeds}
    control_seeds = seeds[: config.control_seeds]
    no_control = _missing_controls(config, trained_controls)
    controls = {
        name: {seed: workdir / name / f"seed{seed}" for seed in control_seeds}
        for name in trained_controls
        if name not in no_control
    }
    watch = watching.TargetWatch(targets, rows=curve_rows, mesh=mesh, batch_size=config.evaluation_batch_size)
    task = finetuning.SourceTask(config, source, dev, mesh, watch if curve_rows else None)
    jobs = [
        task.job(seed, folder, control=name)
        for name, runs in {"": folders, **controls}.items()
        for seed, folder in runs.items()
    ]
    finetuning.finetune_all(jobs, recipe, mesh=mesh, at_once=config.seeds_at_once)
    if runtime.is_first_process():
        write_json(workdir / "config.json", resolved)
    few = few_shots.FewShots(config, shots, folders, dev, mesh, workdir)

    reports = evaluating.evaluate_targets(
        checkpoints.Trained(
            folders,
            start,
            controls,
            not_finetuned={
                seed: functools.partial(finetuning.first_start, config, mesh=mesh, seed=seed)
                for seed in control_seeds
                if "not_finetuned" not in no_control
            },
            no_control=no_control,
        ),
        targets,
        config=evaluation,
        resolved=resolved,
        mesh=mesh,
        out=workdir,
        command=runtime.command_line(),
        created_utc=runtime.now_utc(),
        sample_efficiency=few.measure(targets) if shots else {},
    )
    if runtime.is_first_process():
        sys.stdout.write(evaluating.publish(workdir, reports))


def _missing_controls(config: ConfigDict, trained_controls: tuple[str, ...]) -> dict[str, str]:
    """Says why controls that are models are not run, by name."""
    names = ("not_finetuned", *configuration.TRAINED_CONTROLS)
    if not config.control_seeds:
        return dict.fromkeys(names, "config.control_seeds is 0")
    reasons = {
        name: f"a fine-tuning that config.trained_controls={config.trained_controls} does not ask for"
        for name in configuration.TRAINED_CONTROLS
        if name not in trained_controls
    }
    if not config.model.init:
        reasons |= dict.fromkeys(("not_finetuned", "random_init"), "the model itself starts from random weights")
    return reasons


if __name__ == "__main__":
    command.run(main, complete=lambda argv: configuration.with_default_config(argv, "transfer"))
