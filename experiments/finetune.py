"""Fine-tunes a pair classifier: python -m experiments.finetune --config=FILE --workdir=DIR.

One seed trains in the workdir itself, several in workdir/seedN/. A finished run is not done again; an interrupted one
goes on.
"""

import sys

from absl import flags
from etils import epath

from experiments import configuration
from lingjax import command

_CONFIG = configuration.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run, made if need be.", required=True)
_HOSTS = configuration.define_hosts()


def main(_: list[str]) -> None:
    """Fine-tunes every seed."""
    from experiments import tasks

    config, workdir = _CONFIG.value, epath.Path(_WORKDIR.value)
    seeds = configuration.seed_numbers(config)
    source, dev = tasks.open_source(config.source, config.dev, dev_fraction=config.dev_fraction, seed=config.seed)

    from experiments import finetuning, runtime, stages
    from lingjax.files import write_json
    from lingjax.training.finetune import FinetuneConfig
    from lingjax.training.mesh import make_mesh
    from lingjax.training.run_folder import read_result

    recipe = stages.recipe(FinetuneConfig, config)
    runtime.start_jax(_HOSTS)
    mesh = make_mesh(config.mesh)
    task = finetuning.SourceTask(config, source, dev, mesh)
    folders = {seed: workdir if len(seeds) == 1 else workdir / f"seed{seed}" for seed in seeds}
    jobs = [task.job(seed, folder) for seed, folder in folders.items()]
    finetuning.finetune_all(jobs, recipe, mesh=mesh, at_once=config.seeds_at_once)
    if not runtime.is_first_process():
        return
    for seed, folder in folders.items():
        result = read_result(folder)
        best = result["best"]
        sys.stdout.write(
            f"{folder}: seed {seed}, best step {best['step']} of {result['total_steps']}, "
            f"dev loss {best['dev_loss']:.4f}, dev accuracy {best['dev_accuracy']:.4f}\n"
        )
    write_json(workdir / "config.json", configuration.to_json(config))


if __name__ == "__main__":
    command.run(main, complete=lambda argv: configuration.with_default_config(argv, "finetune_pairs"))
