"""Fine-tuning beside transformers + PyTorch: the same model, pairs and batches, on the same cores, by turns.

Prints JSON: pairs per second of every round, their medians, and the ratios lingjax / transformers with their range.
Commands and how to read the result: benchmarks/README.md.
"""

import dataclasses
import functools
import tempfile
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks import finetuning_sides, side_by_side
from benchmarks.finetuning_sides import FinetuningWork
from benchmarks.model_folders import write_pair_classifier
from benchmarks.work import define_flags
from lingjax import command

_WORK = define_flags(FinetuningWork)
_LAYOUTS = flags.DEFINE_multi_enum("layout", ["packed", "padded"], ["packed", "padded"], "Of lingjax; may be repeated.")

_PEER = "transformers"
# Nats. Float32 sums in another order differ by a thousandth of this; bfloat16 rounds at other places.
_LARGEST_LOSS_DIFFERENCE = {"float32": 1e-3, "bfloat16": 2e-2}


def main(_: list[str]) -> None:
    """Measures and prints."""
    from lingjax.models import read_config

    work = _WORK()
    machine = side_by_side.describe_machine(work.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_pair_classifier(folder, model=work.model, tokenizer=work.tokenizer, seed=work.seed)
        config = read_config(folder)
        pair_format = "bert" if config.family == "bert" else "concat"
        work = dataclasses.replace(work, folder=temporary, pair_format=pair_format)
        pairs_per_row = {"packed": work.pairs_per_row, "padded": 1}
        sides = {
            **{
                f"lingjax_{layout}": functools.partial(
                    finetuning_sides.lingjax_side, work, pairs_per_row=pairs_per_row[layout]
                )
                for layout in _LAYOUTS.value
            },
            _PEER: functools.partial(finetuning_sides.transformers_side, work, row_ids=work.row_ids()),
        }
        measured = side_by_side.alternate(sides, rounds=work.rounds, threads=work.threads)
    _check_same_work(measured, work.dtype)
    side_by_side.print_result(
        "finetune_throughput",
        machine=machine,
        work={
            "model": "/".join(Path(work.model).parts[-2:]),
            "family": config.family,
            "width": config.width,
            "depth": config.depth,
            "parameters": measured[_PEER]["facts"]["parameters"],
            "dtype": work.dtype,
            "dropout_rate": config.dropout_rate,
            "source": Path(work.source).name,
            "pair_format": work.pair_format,
            "max_length": work.max_length,
            "batch_size": work.batch_size,
            "steps_per_round": work.steps,
            "rounds": work.rounds,
            "seed": work.seed,
        },
        sides={name: _described(side) for name, side in measured.items()},
        ratios={
            f"{name} / {_PEER}": side_by_side.compare(measured, name=name, peer=_PEER)
            for name in measured
            if name != _PEER
        },
    )


def _check_same_work(measured: dict[str, dict[str, Any]], dtype: str) -> None:
    losses = {name: side["facts"]["loss_before"] for name, side in measured.items()}
    parameters = {name: side["facts"]["parameters"] for name, side in measured.items()}
    if max(losses.values()) - min(losses.values()) > _LARGEST_LOSS_DIFFERENCE[dtype]:
        raise RuntimeError(f"the sides do not do the same: loss of the first batch without dropout {losses}")
    if len(set(parameters.values())) > 1:
        raise RuntimeError(f"the sides do not have the same model: parameters {parameters}")


def _described(side: dict[str, Any]) -> dict[str, Any]:
    rounds = side["rounds"]
    pairs = sum(done.amount for done in rounds)
    return side_by_side.describe_side(side, unit="pairs") | {
        "core_seconds_per_pair": sum(done.core_seconds for done in rounds) / pairs,
        "positions_per_pair": sum(done.notes["positions"] for done in rounds) / pairs,
        "loss_by_round": [done.notes["loss"] for done in rounds],
    }


if __name__ == "__main__":
    command.run(main)
