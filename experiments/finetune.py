"""Fine-tunes a pair classifier: python -m experiments.finetune --config=FILE --workdir=DIR.

One seed trains in the workdir itself, several in workdir/seedN/. A finished run is not done again; an interrupted one
goes on.
"""

import sys

from absl import flags
from etils import epath

from experiments import configuration

_RUN = configuration.define_run()
flags.adopt_module_key_flags(configuration)


def main(_: list[str]) -> None:
    """Fine-tunes every seed."""
    config, workdir = configuration.to_study(_RUN.config.value), epath.Path(_RUN.workdir.value)

    from lingjax.study.tasks import open_source

    tasks = open_source(config.source, config.dev, dev_fraction=config.dev_fraction, seed=config.seed)

    from experiments import runtime
    from experiments.agreement import check_same_settings
    from lingjax.files import write_json
    from lingjax.study.transfer import run_finetuning
    from lingjax.training.mesh import make_mesh
    from lingjax.training.run_folder import read_result

    runtime.start_jax(_RUN.hosts)
    check_same_settings(configuration.to_json(_RUN.config.value), workdir)
    folders = run_finetuning(config, tasks, workdir=workdir, mesh=make_mesh(config.mesh))
    if not runtime.is_first_process():
        return
    for seed, folder in folders.items():
        result = read_result(folder)
        best = result["best"]
        sys.stdout.write(
            f"{folder}: seed {seed}, best step {best['step']} of {result['total_steps']}, "
            f"dev loss {best['dev_loss']:.4f}, dev accuracy {best['dev_accuracy']:.4f}\n"
        )
    write_json(workdir / "config.json", configuration.to_json(_RUN.config.value))


if __name__ == "__main__":
    configuration.run(main, default="finetune_pairs")
