"""Fine-tunes on one task and judges others zero-shot: python -m experiments.transfer --config=FILE --workdir=DIR.

Stages that are finished are not done again. The workdir receives seedN/ (one run each), random_init/seedN/ and
shuffled_labels/seedN/ (trained controls), reports/, predictions/, plots/, config.json, table.md and report.html.
"""

import sys

from absl import flags
from etils import epath

from experiments import configuration

_CONFIG = configuration.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the experiment, made if need be.", required=True)
_HOSTS = configuration.define_hosts()
flags.adopt_module_key_flags(configuration)


def main(_: list[str]) -> None:
    """Runs the chain."""
    # What is cheap to find wrong is found before the heavy imports: settings, then data, then tokens, then training.
    config, workdir = configuration.to_study(_CONFIG.value), epath.Path(_WORKDIR.value)

    from lingjax.study.tasks import open_tasks

    tasks = open_tasks(config)

    from experiments import runtime
    from lingjax.study.occasion import Occasion
    from lingjax.study.publish import summarise
    from lingjax.study.transfer import run_transfer
    from lingjax.training.mesh import make_mesh

    runtime.start_jax(_HOSTS)
    paths = run_transfer(
        config,
        workdir=workdir,
        occasion=Occasion.now(runtime.command_line(), configuration.to_json(_CONFIG.value)),
        tasks=tasks,
        mesh=make_mesh(config.mesh),
        tell=lambda text: sys.stderr.write(f"{text}\n") if runtime.is_first_process() else None,
    )
    if runtime.is_first_process():
        sys.stdout.write(summarise(workdir, list(paths.values())))


if __name__ == "__main__":
    configuration.run(main, default="transfer")
