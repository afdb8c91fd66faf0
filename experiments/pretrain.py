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
from lingjax.errors import InputError

_CONFIG = configuration.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run, made if need be.", required=True)
_HOSTS = configuration.define_hosts()
flags.adopt_module_key_flags(configuration)


def main(_: list[str]) -> None:
    """Pretrains, or goes on with a run that was interrupted."""
    from experiments import pretraining, runtime
    from lingjax.files import write_json
    from lingjax.study.jobs import is_done
    from lingjax.training.mesh import make_mesh
    from lingjax.training.pretrain import pretrain

    config, workdir = _CONFIG.value, epath.Path(_WORKDIR.value)
    recipe = pretraining.recipe(config)
    runtime.start_jax(_HOSTS)
    if not config.data.mixture:
        raise InputError(
            "no corpora: set --config.data.mixture=DIR/english:0.5,DIR/dna:0.5 (data_prep.pack makes them)"
        )
    corpora = pretraining.open_corpora(config)
    request = pretraining.request(config, corpora)
    if is_done(workdir, request):
        if runtime.is_first_process():
            _draw(workdir)
        sys.stdout.write(f"{workdir} is finished\n")
        return
    mesh = make_mesh(config.mesh)
    start = pretraining.first_start(config, corpora.tokenizer, mesh=mesh)
    if runtime.is_first_process():
        write_json(workdir / "config.json", configuration.to_json(config))
    result = pretrain(
        start,
        config=recipe,
        mixture=corpora.mixture,
        held_out=corpora.held_out,
        mesh=mesh,
        seed=config.seed,
        folder=workdir,
        settings={"request": request},
    )
    if runtime.is_first_process():
        _draw(workdir)
        sys.stdout.write(f"{workdir}: step {result['total_steps']}, {_held_out_figures(result['history'][-1])}\n")


def _draw(workdir: epath.Path) -> None:
    from lingjax.reporting import write_pretraining_plots
    from lingjax.training.metrics import read_metrics
    from lingjax.training.run_folder import read_run_description

    model = read_run_description(workdir)["model"]
    title = f"{model['family']}, {model['depth']} layers of width {model['width']}"
    write_pretraining_plots(workdir / "plots", read_metrics(workdir), title=title)


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
