"""Several seeds in one program beside the same seeds one after another: the same runs, on the same device, by turns.

Prints JSON: pairs per second of every round, all seeds together, and the ratio together / one by one with its range.
Commands and how to read the result: benchmarks/README.md.
"""

import dataclasses
import functools
import importlib.metadata
import itertools
import math
import operator
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import side_by_side
from benchmarks.side_by_side import Side
from benchmarks.work import Work, define_flags, flag
from experiments import runtime
from lingjax import command

if TYPE_CHECKING:
    from lingjax.data import PairBatch
    from lingjax.training.loss import LossTally
    from lingjax.training.state import TrainState

_PEER = "one_by_one"
_LARGEST_LOSS_DIFFERENCE = {"float32": 1e-4, "bfloat16": 2e-2}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedsWork(Work):
    """The runs that both sides make; see the flags."""

    size: str = flag("Preset of the model, with random weights: tiny, mini, small, ...", "mini")
    family: str = flag("Of the model.", "gpt2", choices=("gpt2", "bert"))
    tokenizer: str = flag("Hugging Face folder.")
    source: str = flag("Dataset reference of the pairs: PATH or PATH@SPLIT.")
    seeds: int = flag("Runs.", 8, least=2)
    batch_size: int = flag("Pairs an update of a run; the study's by default.", 20, least=1)
    max_length: int = flag("Most tokens of a pair.", 128, least=5)
    steps: int = flag("Updates of each run in a round.", 10, least=1)


_WORK = define_flags(SeedsWork)


def main(_: list[str]) -> None:
    """Measures and prints."""
    work = _WORK()
    machine = side_by_side.describe_machine(work.threads)
    sides = {
        "together": functools.partial(seeds_side, work, at_once=work.seeds),
        _PEER: functools.partial(seeds_side, work, at_once=1),
    }
    measured = side_by_side.alternate(sides, rounds=work.rounds, threads=work.threads)
    _check_same_work(measured, work.dtype)
    side_by_side.print_result(
        "seeds",
        machine=machine,
        work={**dataclasses.asdict(work), "source": Path(work.source).name, "tokenizer": Path(work.tokenizer).name},
        sides={name: side_by_side.describe_side(side, unit="pairs") for name, side in measured.items()},
        ratios={f"together / {_PEER}": side_by_side.compare(measured, name="together", peer=_PEER)},
    )


def seeds_side(work: SeedsWork, *, at_once: int) -> Side:
    """Returns the runs of all seeds, `at_once` of them in a program, compiled for every shape of batch to come."""
    runtime.start_jax()
    import jax
    import jax.numpy as jnp

    from lingjax.data import PairEncoder, PairSource, open_split, steps_per_epoch, training_batches
    from lingjax.models import axes_by_path
    from lingjax.study.models import scan_by_default
    from lingjax.training.finetune import rows_multiple
    from lingjax.training.loop import OneRun
    from lingjax.training.mesh import make_mesh, place_new_state, plan_new_state
    from lingjax.training.optimizer import OptimizerConfig, make_optimizer
    from lingjax.training.side_by_side import SideBySide
    from lingjax.training.start import Architecture, start_random
    from lingjax.training.steps import make_train_step, pair_loss_function

    mesh = make_mesh("")
    architecture = Architecture(work.family, work.size, work.tokenizer)
    changes = {"compute_dtype": work.dtype, "scan_layers": scan_by_default()}
    starts = [
        start_random(architecture, head="pairs", mesh=mesh, seed=seed, changes=changes, offline=True)
        for seed in range(work.seeds)
    ]
    first = starts[0]
    source = PairSource(open_split(work.source, default=("train",)))
    pair_format = "bert" if work.family == "bert" else "concat"
    encoder = PairEncoder(first.tokenizer, pair_format=pair_format, max_length=work.max_length)
    optimizer = make_optimizer(OptimizerConfig(), total_steps=work.rounds * work.steps)
    update = make_train_step(pair_loss_function(first.graph), optimizer, several_runs=at_once > 1)
    axes = axes_by_path(work.family, "pairs")
    _, placed = plan_new_state(first.parameters, optimizer, axes, mesh)
    groups = [range(start, min(start + at_once, work.seeds)) for start in range(0, work.seeds, at_once)]
    programs = [
        OneRun(update, mesh)
        if at_once == 1
        else SideBySide(update, mesh, placed, num_runs=len(group), pad_id=first.tokenizer.pad_id)
        for group in groups
    ]

    def new_state(seed: int) -> "TrainState":
        parameters = jax.tree.map(jnp.copy, starts[seed].parameters)  # the step takes their memory over
        return place_new_state(parameters, optimizer, axes, mesh, seed=seed)

    def unwrap(of_runs: Sequence[Any]) -> Any:
        """The program of one run takes one thing where that of several takes a list."""
        return of_runs if at_once > 1 else of_runs[0]

    def begin() -> list[Any]:
        return [
            program.begin(unwrap([new_state(seed) for seed in group]))
            for program, group in zip(programs, groups, strict=True)
        ]

    carried = begin()

    def batches(seed: int, number: int) -> Iterator["PairBatch"]:
        every = training_batches(
            source,
            encoder,
            batch_size=work.batch_size,
            seed=seed + number * work.seeds,
            epochs=math.ceil(work.steps / steps_per_epoch(len(source), work.batch_size)),
            max_pairs_per_row=8,
            rows_multiple=rows_multiple(mesh),
        )
        return itertools.islice(every, work.steps)

    def run_group(index: int, steps: Iterable[Sequence["PairBatch"]]) -> list[Sequence["LossTally"]]:
        tallies = []
        with jax.set_mesh(programs[index].mesh):
            for together in steps:
                carried[index], tally, _ = programs[index].step(carried[index], unwrap(together))
                tallies.append(tally if at_once > 1 else [tally])
            jax.block_until_ready(carried[index])
        return tallies

    warm_up_started = time.perf_counter()
    for index, group in enumerate(groups):
        by_rows = {
            max(len(batch.token_ids) for batch in together): together
            for number in range(work.rounds)
            for together in zip(*(batches(seed, number) for seed in group), strict=True)
        }
        run_group(index, by_rows.values())
    warm_up_seconds = time.perf_counter() - warm_up_started
    carried = begin()  # what warming up has trained depends on the side

    def run(number: int) -> tuple[int, dict[str, Any]]:
        pairs, losses = 0, []
        for index, group in enumerate(groups):
            tallies = run_group(index, zip(*(batches(seed, number) for seed in group), strict=True))
            for of_seed in zip(*tallies, strict=True):
                total = functools.reduce(operator.add, of_seed)
                pairs += int(total.count)
                losses.append(total.means()["loss"])
        return pairs, {"losses": losses}

    facts = {
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax")},
        "devices": f"{mesh.size} x {mesh.devices.flat[0].device_kind}",
        "parameters": first.num_parameters,
        "at_once": at_once,
        "warm_up_seconds": warm_up_seconds,
    }
    return Side(facts, run)


def _check_same_work(measured: dict[str, dict[str, Any]], dtype: str) -> None:
    """Every seed must have had the same loss in the first round, up to rounding."""
    ours, theirs = (side["rounds"][0].notes["losses"] for side in measured.values())
    apart = max(abs(one - other) for one, other in zip(ours, theirs, strict=True))
    if apart > _LARGEST_LOSS_DIFFERENCE[dtype]:
        raise RuntimeError(f"the sides do not do the same: losses by seed in the first round {ours}, {theirs}")


if __name__ == "__main__":
    command.run(main)
