"""Runs a command over a grid of settings: python -m experiments.sweep --experiment=transfer --vary=... --workdir=DIR.

For example
`python -m experiments.sweep --experiment=transfer --config=experiments/configs/transfer.py --workdir=runs/rates
--vary=config.train.learning_rate=1e-5,3e-5 --vary=config.seed=0,1 --config.source=DIR/paws_en --config.targets=DIR/dna`
runs four cells in runs/rates/cells/, each the command that `--dry_run` prints. Values with commas are a JSON list:
`--vary='config.targets=["DIR/a,DIR/b","DIR/c"]'`; settings that go together are files or arguments of one:
`--vary=config=FILE:a,FILE:b`. The same command goes on with what was interrupted or failed and skips what is finished.
sweep.json, sweep.csv and sweep.md hold the results; exit code 1 says that cells failed, which are listed. With
`--arms=config.KEY` they also say how far the values of that setting lie apart on each target, all else alike, with
intervals over items and over seeds.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from experiments import grid, jobs
from lingjax import command
from lingjax.errors import InputError, nearest

_EXPERIMENT = flags.DEFINE_string("experiment", "transfer", f"The command: {', '.join(grid.DEFAULT_CONFIGS)}.")
_VARY = flags.DEFINE_multi_string("vary", [], "config.KEY=VALUE,VALUE or config=FILE,FILE; one flag a setting.")
_ARMS = flags.DEFINE_string(
    "arms", None, "A varied setting of transfers, whose values are compared two by two on each target, all else alike."
)
_OPTIONS = jobs.define_flags()
flags.adopt_module_key_flags(jobs)


def main(_: list[str]) -> None:
    """Runs the grid and tabulates it."""
    workdir = Path(_OPTIONS["workdir"].value)
    varied = grid.parse_varied(_VARY.value)
    check_arms(_ARMS.value, varied)
    cells = grid.make_cells(_EXPERIMENT.value, varied, flags=_OPTIONS["cell_flag"].value, workdir=workdir)
    done = jobs.run_grid(cells, _OPTIONS)
    if not done:
        return
    from experiments import outcomes

    sys.stdout.write(f"{outcomes.write_outcomes(workdir, done, arms=_ARMS.value)}{workdir / 'sweep.md'}\n")
    if any(outcome.error for outcome in done):
        sys.exit(1)


def check_arms(arms: str | None, varied: Mapping[str, Sequence[str]]) -> None:
    """Refuses arms that the grid does not have.

    Raises:
      InputError: the setting does not vary, or cells are no transfers.
    """
    if arms is None:
        return
    if _EXPERIMENT.value != "transfer":
        raise InputError(f"--arms={arms}: only transfers are compared, not --experiment={_EXPERIMENT.value}")
    if arms not in varied:
        raise InputError(f"--arms={arms} does not vary, {nearest(arms, list(varied))}")


if __name__ == "__main__":
    command.run(main, complete=jobs.hand_on_config)
