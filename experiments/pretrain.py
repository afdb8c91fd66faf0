"""Pretrains a language model on mixed corpora: python -m experiments.pretrain --config=FILE --workdir=DIR.

GPT-2 predicts next tokens, BERT masked ones; from scratch, or from a checkpoint, whose tokenizer may have been
extended. The corpora come from data_prep.pack; each one's validation split is held out, and its loss logged by domain
and drawn in WORKDIR/plots/.
"""

import sys
from collections.abc import Mapping

from absl import flags
from etils import epath

from experiments import configuration

_RUN = configuration.define_run()
flags.adopt_module_key_flags(configuration)


def main(_: list[str]) -> None:
    """Pretrains, or goes on with a run that was interrupted."""
    config, workdir = configuration.to_pretraining(_RUN.config.value), epath.Path(_RUN.workdir.value)

    from experiments import runtime
    from experiments.agreement import check_same_settings
    from lingjax.reporting import pretraining_finding
    from lingjax.study.pretraining import run_pretraining
    from lingjax.training import mesh
    from lingjax.training.run_folder import is_finished

    runtime.start_jax(_RUN.hosts)
    check_same_settings(configuration.to_json(_RUN.config.value), workdir)
    was_finished = is_finished(workdir)
    recorded = configuration.to_json(_RUN.config.value)
    result = run_pretraining(config, workdir=workdir, recorded=recorded, make_mesh=mesh.make_mesh)
    if not runtime.is_first_process():
        return
    if was_finished:
        sys.stdout.write(f"{workdir} is finished\n")
    else:
        sys.stdout.write(f"{workdir}: step {result['total_steps']}, {_held_out_figures(result['history'][-1])}\n")
    if learnt := pretraining_finding(result["history"][-1]):
        sys.stdout.write(f"{learnt}\n")


def _held_out_figures(evaluation: Mapping[str, float]) -> str:
    """Names the losses, bits per character and seen shares of an evaluation, and their units."""
    from lingjax.data import RUN_LENGTH

    parts = []
    units = {
        "loss": "nats a token",
        "bits_per_character": "bits",
        "seen_fraction": f"of the held-out runs of {RUN_LENGTH} characters",
    }
    for ending, unit in units.items():
        figures = [f"{name} {value:.3f}" for name, value in evaluation.items() if name.endswith(ending)]
        if figures:
            parts.append(f"{', '.join(figures)} ({unit})")
    return "; ".join(parts)


if __name__ == "__main__":
    configuration.run(main, default="pretrain_gpt2")
