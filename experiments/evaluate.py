"""Judges fine-tuned models on targets: python -m experiments.evaluate --checkpoint=DIR --targets=DIR/a,DIR/b --out=DIR.

The checkpoint is a workdir of experiments.finetune or experiments.transfer (all its seeds are evaluated), or a
Hugging Face folder of a sequence classifier with two labels.
"""

import sys

from absl import flags
from etils import epath

from experiments import configuration
from lingjax.study.config import parts

_CONFIG = configuration.define_config()
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir, or Hugging Face folder or hub name.", required=True)
_TARGETS = flags.DEFINE_string("targets", None, "Datasets, comma-separated: DIR/NAME or DIR/NAME@SPLIT.", required=True)
_OUT = flags.DEFINE_string(
    "out", None, "Folder for reports/, predictions/, plots/, table.md and report.html.", required=True
)
flags.adopt_module_key_flags(configuration)


def main(_: list[str]) -> None:
    """Evaluates every seed on every target."""
    config, out = configuration.to_evaluation(_CONFIG.value), epath.Path(_OUT.value)

    from lingjax.study.tasks import open_targets

    targets = open_targets(parts(_TARGETS.value))

    from experiments import runtime
    from lingjax.study.checkpoints import open_checkpoint
    from lingjax.study.evaluate import run_evaluation
    from lingjax.study.occasion import Occasion
    from lingjax.study.publish import summarise
    from lingjax.training.mesh import make_mesh

    runtime.start_jax()
    mesh = make_mesh(config.mesh)
    occasion = Occasion.now(runtime.command_line(), configuration.to_json(_CONFIG.value))
    trained, judging = open_checkpoint(_CHECKPOINT.value, config, mesh)
    paths = run_evaluation(trained, judging, targets, occasion=occasion, mesh=mesh, out=out)
    sys.stdout.write(summarise(out, list(paths.values())))


if __name__ == "__main__":
    configuration.run(main, default="evaluate")
