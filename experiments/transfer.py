"""Fine-tunes on one task and judges others zero-shot: python -m experiments.transfer --config=FILE --workdir=DIR.

Stages that are finished are not done again. The workdir receives seedN/ (one run each), random_init/seedN/ and
shuffled_labels/seedN/ (trained controls), reports/, predictions/, plots/, config.json, table.md and report.html.
"""

import sys

from absl import flags
from etils import epath

from experiments import configuration

_RUN = configuration.define_run()
flags.adopt_module_key_flags(configuration)


def main(_: list[str]) -> None:
    """Runs the chain."""
    # What is cheap to find wrong is found before the heavy imports: settings, then data, then tokens, then training.
    config, workdir = configuration.to_study(_RUN.config.value), epath.Path(_RUN.workdir.value)

    from lingjax.study.tasks import open_tasks

    tasks = open_tasks(config)

    from experiments import runtime
    from experiments.agreement import check_same_settings
    from lingjax.study.occasion import Occasion
    from lingjax.study.publish import summarise
    from lingjax.study.transfer import run_transfer
    from lingjax.training.mesh import make_mesh

    runtime.start_jax(_RUN.hosts)
    check_same_settings(configuration.to_json(_RUN.config.value), workdir)
    paths = run_transfer(
        config,
        workdir=workdir,
        occasion=Occasion.now(runtime.command_line(), configuration.to_json(_RUN.config.value)),
        tasks=tasks,
        mesh=make_mesh(config.mesh),
        tell=lambda text: sys.stderr.write(f"{text}\n") if runtime.is_first_process() else None,
    )
    if runtime.is_first_process():
        sys.stdout.write(summarise(workdir, list(paths.values())))


if __name__ == "__main__":
    configuration.run(main, default="transfer")
