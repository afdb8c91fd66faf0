"""Fine-tunes on each task and judges all of them: python -m experiments.matrix --tasks=DIR/a,DIR/b,DIR/c --workdir=DIR.

Each task is a dataset with the splits train and test. A source task is one cell, `experiments.transfer` with all tasks
as targets, its own test split among them; --config and --config.KEY=VALUE are every cell's, and cells run as those of
`experiments.sweep` do. Writes matrix.json, matrix.md and matrix.svg, a heat-map of AUROC, beside the sweep's own table.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from experiments import grid, jobs
from lingjax import command
from lingjax.errors import InputError

_TASKS = flags.DEFINE_list("tasks", None, "Datasets, each with the splits train and test: DIR/a,DIR/b.", required=True)
_OPTIONS = jobs.define_flags()
flags.adopt_module_key_flags(jobs)

_LEGEND = (
    "AUROC [95 % over items], source by target; * ranks better than the best control, as the report's verdict says. "
    "Dev accuracy: the source's, mean over seeds. Warnings: of all targets together; the reports have their words."
)
_GAP_LEGEND = "Transfer gap: AUROC on the source's own test split less AUROC on the target."


def main(_: list[str]) -> None:
    """Runs the cells and lays their figures out as a matrix."""
    workdir = Path(_OPTIONS["workdir"].value)
    if any(flag.startswith("--config.targets=") for flag in _OPTIONS["cell_flag"].value):
        raise InputError("--config.targets: the targets of a matrix are its tasks; name them in --tasks")
    names = _names(_TASKS.value)
    targets = ",".join(f"{task}@test" for task in names)
    cells = grid.make_cells(
        "transfer",
        {"config.source": list(names)},
        flags=[*_OPTIONS["cell_flag"].value, f"--config.targets={targets}"],
        workdir=workdir,
    )
    done = jobs.run_grid(cells, _OPTIONS)
    if not done:
        return
    from experiments import outcomes

    outcomes.write_outcomes(workdir, done)
    entries = [
        {"source": names[outcome.cell.varied["config.source"]], "target": target, **outcomes.measured(report)}
        for outcome in done
        if not outcome.error
        for target, report in outcomes.read_reports(outcome.cell).items()
    ]
    own = {entry["source"]: entry["auroc"] for entry in entries if entry["source"] == entry["target"]}
    entries = [entry | {"transfer_gap": _less(own.get(entry["source"]), entry["auroc"])} for entry in entries]
    failed = {names[outcome.cell.varied["config.source"]]: outcome.error for outcome in done if outcome.error}
    sys.stdout.write(_write(workdir, list(names.values()), entries, failed))
    if failed:
        sys.exit(1)


def _names(tasks: Sequence[str]) -> dict[str, str]:
    """Returns the datasets' names by their references.

    Raises:
      InputError: a task has no train or no test split, names one, or shares its name with another.
    """
    from lingjax.data import open_split, split_reference

    names = {}
    for task in tasks:
        if split_reference(task)[1]:
            raise InputError(f"--tasks: {task} names a split; a task is trained on its train split and judged on test")
        for split in ("train", "test"):
            names[task] = open_split(f"{task}@{split}", default=(split,)).name
    if len(tasks) < 2 or len(set(names.values())) < len(tasks):
        raise InputError(f"--tasks={','.join(tasks)}: expected two or more datasets whose names differ")
    return names


def _less(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def _write(workdir: Path, tasks: Sequence[str], entries: Sequence[dict[str, Any]], failed: dict[str, str]) -> str:
    """Writes the matrix in its three forms, and returns what the terminal shows."""
    from experiments.heatmap import draw_heatmap
    from experiments.outcomes import CHOICE_NOTE, as_table, with_interval
    from lingjax.files import write_json, write_text

    def text(entry: dict[str, Any]) -> str:
        return with_interval(entry["auroc"], entry["auroc_ci95"]) + (" *" if entry["above_best_control"] else "")

    by_pair = {(entry["source"], entry["target"]): entry for entry in entries}
    rows, gaps = [], []
    for source in tasks:
        found = {target: by_pair[source, target] for target in tasks if (source, target) in by_pair}
        any_target = next(iter(found.values()), {})
        rows.append(
            {"source": source, "dev accuracy": any_target.get("source_dev_accuracy"), "seeds": any_target.get("seeds")}
            | {target: text(found[target]) if target in found else None for target in tasks}
            | {"warnings": sum(entry["warnings"] for entry in found.values()) if found else None}
        )
        gaps.append({"source": source} | {target: found.get(target, {}).get("transfer_gap") for target in tasks})
    failures = "".join(f"\n`{source}` failed: {error}\n" for source, error in failed.items())
    table = (
        as_table(rows)
        + "\n{}\n\n{}\n".format(_LEGEND.replace("*", r"\*"), CHOICE_NOTE)
        + f"\n{as_table(gaps)}\n{_GAP_LEGEND}\n{failures}"
    )
    write_json(workdir / "matrix.json", {"tasks": list(tasks), "entries": list(entries), "failed": failed})
    write_text(workdir / "matrix.md", table)
    draw_heatmap(workdir / "matrix.svg", tasks, by_pair)
    return f"{table}{workdir / 'matrix.svg'}\n"


if __name__ == "__main__":
    command.run(main, complete=jobs.hand_on_config)
