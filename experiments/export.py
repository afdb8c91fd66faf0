"""Writes a Hugging Face folder that transformers loads: python -m experiments.export --checkpoint=DIR --out=HF_DIR."""

import sys

from absl import flags

from lingjax import command

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir of one run, or Hugging Face folder.", required=True)
_OUT = flags.DEFINE_string("out", None, "Folder to write.", required=True)
_STEP = flags.DEFINE_integer("step", None, "Checkpoint of a workdir; by default the best, or the newest if unfinished.")
_HEAD = flags.DEFINE_enum(
    "head", "pairs", ["pairs", "language_model", "backbone"], "Which model of a Hugging Face folder to read."
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a model folder that is there.")


def main(_: list[str]) -> None:
    """Restores and exports."""
    from experiments import runtime
    from lingjax.models import read_json, read_pair_settings, resolve_folder
    from lingjax.training.export import export_model
    from lingjax.training.mesh import make_mesh
    from lingjax.training.run_folder import is_described, read_run_description
    from lingjax.training.start import restore_run, start_pretrained

    runtime.start_jax()
    mesh = make_mesh("")
    pairs = original = None
    if is_described(_CHECKPOINT.value):
        start = restore_run(_CHECKPOINT.value, mesh=mesh, changes={}, step=_STEP.value)
        pairs = read_run_description(_CHECKPOINT.value)["settings"].get("pairs")
    else:
        start = start_pretrained(_CHECKPOINT.value, head=_HEAD.value, mesh=mesh, seed=None, changes={})
        source = resolve_folder(_CHECKPOINT.value)
        original = read_json(source)
        pairs = read_pair_settings(original, source)
    exported = export_model(
        _OUT.value,
        start.config,
        start.parameters,
        head=start.head,
        tokenizer=start.tokenizer,
        pairs=pairs,
        labels=start.labels,
        original=original,
        overwrite=_OVERWRITE.value,
    )
    sys.stdout.write(f"{exported.folder}: {start.config.family} {start.head}, {start.num_parameters:,} parameters\n")
    left_out = [f"left out: {name} ({reason})" for name, reason in start.ignored.items()]
    sys.stdout.writelines(f"  {note}\n" for note in (*exported.notes, *left_out))


if __name__ == "__main__":
    command.run(main)
