"""Fine-tuning beside transformers + PyTorch: the same model, pairs and batches, on the same cores, by turns.

Prints JSON: pairs per second of every round, their medians, and the ratios lingjax / transformers with their range.
Commands and how to read the result: benchmarks/README.md.
"""

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks import side_by_side
from benchmarks.model_folders import write_pair_classifier
from experiments import runtime
from lingjax import command

_MODEL = flags.DEFINE_string(
    "model", None, "Hugging Face folder, or gpt2-small or bert-base with random weights.", required=True
)
_TOKENIZER = flags.DEFINE_string("tokenizer", None, "Hugging Face folder; the model's own where it has one.")
_SOURCE = flags.DEFINE_string("source", None, "Dataset reference of the pairs: PATH or PATH@SPLIT.", required=True)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Pairs an update.", lower_bound=1)
_MAX_LENGTH = flags.DEFINE_integer("max_length", 128, "Most tokens of a pair.", lower_bound=5)
_PAIRS_PER_ROW = flags.DEFINE_integer("pairs_per_row", 8, "Most pairs in a row of lingjax, packed.", lower_bound=2)
_STEPS = flags.DEFINE_integer("steps", 20, "Updates a round.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each side.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", 0, "Cores each side may use; 0: all.", lower_bound=0)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Type of the computation on both sides.")
_LAYOUTS = flags.DEFINE_multi_enum("layout", ["packed", "padded"], ["packed", "padded"], "Of lingjax; may be repeated.")
_SEED = flags.DEFINE_integer("seed", 0, "Of random weights and of the order of the pairs.")

_PEER = "transformers"
# Nats. Float32 sums in another order differ by a thousandth of this; bfloat16 rounds at other places.
_LARGEST_LOSS_DIFFERENCE = {"float32": 1e-3, "bfloat16": 2e-2}


def main(_: list[str]) -> None:
    """Measures and prints."""
    from benchmarks import finetuning_sides
    from lingjax.models import read_config

    threads = side_by_side.choose_threads(_THREADS.value)
    machine = side_by_side.describe_machine(threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_pair_classifier(folder, model=_MODEL.value, tokenizer=_TOKENIZER.value, seed=_SEED.value)
        config = read_config(folder)
        work = finetuning_sides.Work(
            folder=temporary,
            source=_SOURCE.value,
            pair_format="bert" if config.family == "bert" else "concat",
            max_length=_MAX_LENGTH.value,
            batch_size=_BATCH_SIZE.value,
            steps=_STEPS.value,
            rounds=_ROUNDS.value,
            seed=_SEED.value,
            threads=threads,
            dtype=_DTYPE.value,
        )
        pairs_per_row = {"packed": _PAIRS_PER_ROW.value, "padded": 1}
        sides = {
            **{
                f"lingjax_{layout}": functools.partial(
                    finetuning_sides.lingjax_side, work, pairs_per_row=pairs_per_row[layout]
                )
                for layout in _LAYOUTS.value
            },
            _PEER: functools.partial(finetuning_sides.transformers_side, work, row_ids=work.row_ids()),
        }
        measured = side_by_side.alternate(sides, rounds=work.rounds, threads=threads)
    _check_same_work(measured)
    result = {
        "benchmark": "finetune_throughput",
        "created_utc": runtime.now_utc(),
        "machine": machine,
        "work": {
            "model": "/".join(Path(_MODEL.value).parts[-2:]),
            "family": config.family,
            "width": config.width,
            "depth": config.depth,
            "parameters": measured[_PEER]["facts"]["parameters"],
            "dtype": _DTYPE.value,
            "dropout_rate": config.dropout_rate,
            "source": Path(_SOURCE.value).name,
            "pair_format": work.pair_format,
            "max_length": work.max_length,
            "batch_size": work.batch_size,
            "steps_per_round": work.steps,
            "rounds": work.rounds,
            "seed": work.seed,
        },
        "sides": {name: _described(side) for name, side in measured.items()},
        "ratios": {
            f"{name} / {_PEER}": side_by_side.compare(measured, name=name, peer=_PEER)
            for name in measured
            if name != _PEER
        },
    }
    print(json.dumps(result, indent=2))


def _check_same_work(measured: dict[str, dict[str, Any]]) -> None:
    losses = {name: side["facts"]["loss_before"] for name, side in measured.items()}
    parameters = {name: side["facts"]["parameters"] for name, side in measured.items()}
    if max(losses.values()) - min(losses.values()) > _LARGEST_LOSS_DIFFERENCE[_DTYPE.value]:
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
