"""Fine-tunes on one task and judges others zero-shot: python -m experiments.transfer --config=FILE --workdir=DIR.

Stages that are finished are not done again. The workdir receives seedN/ (one run each), random_init/seedN/ (the
untrained control), reports/, predictions/, config.json, table.md and report.html.
"""

import sys

from absl import flags
from etils import epath

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
    # What is cheap to find wrong is found before the heavy imports: data, then settings, then tokens, then training.
    source, dev = tasks.open_source(config.source, config.dev, dev_fraction=config.dev_fraction, seed=config.seed)
    targets = tasks.open_targets(configuration.split_list(config.targets))

    from experiments import checkpoints, evaluating, finetuning, runtime, stages
    from lingjax.files import write_json
    from lingjax.training.finetune import FinetuneConfig
    from lingjax.training.mesh import make_mesh

    stages.recipe(FinetuneConfig, config)
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
    )
    evaluating.check_targets(targets, start, evaluation)

    folders = {seed: workdir / f"seed{seed}" for seed in seeds}
    control_seeds = seeds[: config.control_seeds] if config.model.init else ()
    controls = {seed: workdir / "random_init" / f"seed{seed}" for seed in control_seeds}
    for seed, folder in folders.items():
        finetuning.finetune_seed(config, source=source, dev=dev, mesh=mesh, seed=seed, folder=folder)
    for seed, folder in controls.items():
        finetuning.finetune_seed(config, source=source, dev=dev, mesh=mesh, seed=seed, folder=folder, random=True)
    if runtime.is_first_process():
        write_json(workdir / "config.json", resolved)

    reports = evaluating.evaluate_targets(
        checkpoints.Trained(
            folders,
            start,
            controls,
            no_control="config.control_seeds is 0"
            if config.model.init
            else "the model itself starts from random weights",
        ),
        targets,
        config=evaluation,
        resolved=resolved,
        mesh=mesh,
        out=workdir,
        command=runtime.command_line(),
        created_utc=runtime.now_utc(),
    )
    if runtime.is_first_process():
        sys.stdout.write(evaluating.publish(workdir, reports))


if __name__ == "__main__":
    command.run(main, complete=lambda argv: configuration.with_default_config(argv, "transfer"))
