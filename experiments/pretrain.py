"""Pretrains a language model on mixed corpora: python -m experiments.pretrain --config=FILE --workdir=DIR.

The corpora come from data_prep.pack; each one's validation split is held out, and its loss logged by domain.
"""

import sys
from pathlib import Path

from absl import flags

from experiments import configuration
from lingjax import command
from lingjax.errors import InputError

_CONFIG = configuration.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run, made if need be.", required=True)


def main(_: list[str]) -> None:
    """Pretrains, or goes on with a run that was interrupted."""
    from experiments import runtime, stages
    from lingjax.data import load_tokenizer, open_packed, parse_mixture
    from lingjax.files import write_json
    from lingjax.training.mesh import make_mesh
    from lingjax.training.pretrain import PretrainConfig, pretrain
    from lingjax.training.start import Architecture, start_random

    runtime.start_jax()
    config, workdir = _CONFIG.value, Path(_WORKDIR.value)
    recipe = stages.recipe(PretrainConfig, config)
    if config.model.family != "gpt2":
        raise InputError("pretraining from scratch is causal: set config.model.family=gpt2")
    if not config.data.mixture:
        raise InputError(
            "no corpora: set --config.data.mixture=DIR/english:0.5,DIR/dna:0.5 (data_prep.pack makes them)"
        )
    tokenizer = load_tokenizer(config.model.tokenizer, offline=config.offline)
    parts = [
        (reference, open_packed(reference, tokenizer_fingerprint=tokenizer.fingerprint), weight)
        for reference, weight in parse_mixture(config.data.mixture)
    ]
    held_out = {
        source.domain: open_packed(
            f"{reference.partition('@')[0]}@validation", tokenizer_fingerprint=tokenizer.fingerprint
        )
        for reference, source, _ in parts
    }
    request = {
        "model": config.model.to_dict(),
        "train": config.train.to_dict(),
        "dtype": config.dtype,
        "seed": config.seed,
        "mixture": {source.split.fingerprint: weight for _, source, weight in parts},
    }
    if stages.is_done(workdir, request):
        sys.stdout.write(f"{workdir} is finished\n")
        return
    mesh = make_mesh(config.mesh)
    start = start_random(
        Architecture(config.model.family, config.model.size, config.model.tokenizer, config.model.max_length),
        head="language_model",
        mesh=mesh,
        seed=config.seed,
        changes={"compute_dtype": config.dtype, **stages.model_changes(config.model)},
        offline=config.offline,
    )
    write_json(workdir / "config.json", configuration.to_json(config))
    result = pretrain(
        start,
        config=recipe,
        mixture=[(source, weight) for _, source, weight in parts],
        held_out=held_out,
        mesh=mesh,
        seed=config.seed,
        folder=workdir,
        settings={"request": request},
    )
    losses = ", ".join(f"{name} {value:.3f}" for name, value in result["history"][-1].items() if name.endswith("loss"))
    sys.stdout.write(f"{workdir}: step {result['total_steps']}, {losses} (nats a token)\n")


if __name__ == "__main__":
    command.run(main, complete=lambda argv: configuration.with_default_config(argv, "pretrain_gpt2"))
