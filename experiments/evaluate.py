"""Judges fine-tuned models on targets: python -m experiments.evaluate --checkpoint=DIR --targets=DIR/a,DIR/b --out=DIR.

The checkpoint is a workdir of experiments.finetune or experiments.transfer (all its seeds are evaluated), or a
Hugging Face folder of a sequence classifier with two labels.
"""

import sys
from pathlib import Path

from absl import flags

from experiments import configuration
from lingjax import command

_CONFIG = configuration.define_config()
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir, or Hugging Face folder or hub name.", required=True)
_TARGETS = flags.DEFINE_string("targets", None, "Datasets, comma-separated: DIR/NAME or DIR/NAME@SPLIT.", required=True)
_OUT = flags.DEFINE_string(
    "out", None, "Folder for reports/, predictions/, plots/, table.md and report.html.", required=True
)


def main(_: list[str]) -> None:
    """Evaluates every seed on every target."""
    from experiments import tasks

    config, out = _CONFIG.value, Path(_OUT.value)
    targets = tasks.open_targets(configuration.split_list(_TARGETS.value))

    from experiments import checkpoints, evaluating, runtime
    from lingjax.training.mesh import make_mesh

    runtime.start_jax()
    mesh = make_mesh(config.mesh)
    trained, evaluation = checkpoints.open_checkpoint(_CHECKPOINT.value, config, mesh)
    reports = evaluating.evaluate_targets(
        trained,
        targets,
        config=evaluation,
        resolved=configuration.to_json(config),
        mesh=mesh,
        out=out,
        command=runtime.command_line(),
        created_utc=runtime.now_utc(),
    )
    sys.stdout.write(evaluating.publish(out, reports))


if __name__ == "__main__":
    command.run(main, complete=lambda argv: configuration.with_default_config(argv, "evaluate"))
