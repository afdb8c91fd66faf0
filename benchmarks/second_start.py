"""The second start of an experiment up to its first step: programs come from JAX's persistent cache.

GPT-2 small in full beside a script with transformers + PyTorch, by turns. Prints JSON: seconds of the first start,
which compiles, of every second start and of the peer's, and what parts they consist of. Commands and how to read the
result: benchmarks/README.md.
"""

import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks import side_by_side
from benchmarks.starting import Start
from experiments import runtime
from lingjax import command
from lingjax.errors import InputError

_EXPERIMENT = flags.DEFINE_enum("experiment", "pretrain", ["pretrain", "finetune"], "Command that is started.")
_DATA = flags.DEFINE_string("data", None, "Packed folder to pretrain on, or pairs to fine-tune on.", required=True)
_TOKENIZER = flags.DEFINE_string(
    "tokenizer", None, "Hugging Face tokenizer folder; the one that packed the data.", required=True
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 2, "Rows or pairs of the first step.", lower_bound=1)
_STARTS = flags.DEFINE_integer("starts", 5, "Second starts of each side.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", 0, "Cores each side may use; 0: all.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Of the random weights.")

_CONFIGS = {"pretrain": "pretrain_gpt2", "finetune": "finetune_pairs"}
_MAX_LENGTH = 128
_ROOT = Path(__file__).parents[1]


def main(_: list[str]) -> None:
    """Measures and prints."""
    from benchmarks.model_folders import write_language_model

    threads = side_by_side.choose_threads(_THREADS.value)
    machine = side_by_side.describe_machine(threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_language_model(folder / "model", model="gpt2-small", tokenizer=_TOKENIZER.value, seed=_SEED.value)
        batch = _read_batch()
        starter = _Starter(folder, batch=batch, threads=threads)
        first = starter.start("lingjax")
        starter.start("transformers")  # its files are in memory from now on, as lingjax's are
        second: dict[str, list[dict[str, Any]]] = {"lingjax": [], "transformers": []}
        for number in range(_STARTS.value):
            for side in second if number % 2 == 0 else reversed(second):
                second[side].append(starter.start(side))
    by_start = {side: [done["seconds"] for done in starts] for side, starts in second.items()}
    result = {
        "benchmark": "second_start",
        "created_utc": runtime.now_utc(),
        "machine": machine,
        "work": {
            "experiment": _EXPERIMENT.value,
            "model": "gpt2-small",
            "data": Path(_DATA.value).name,
            "batch_size": _BATCH_SIZE.value,
            "starts": _STARTS.value,
        },
        "first_start": first,
        "second_start": {
            side: {
                "seconds": side_by_side.spread(by_start[side]),
                "seconds_by_start": by_start[side],
                "stages": _median_stages(starts),
                "loss": starts[-1]["loss"],
            }
            for side, starts in second.items()
        },
        "ratios": {
            "lingjax / transformers, seconds": side_by_side.spread(
                [ours / theirs for ours, theirs in zip(by_start["lingjax"], by_start["transformers"], strict=True)]
            )
        },
    }
    print(json.dumps(result, indent=2))


class _Starter:
    """Starts one side after another in processes of their own, with one cache of compiled programs, empty at first."""

    def __init__(self, folder: Path, *, batch: dict[str, Any], threads: int):
        self._folder, self._batch, self._threads, self._number = folder, batch, threads, 0

    def start(self, side: str) -> dict[str, Any]:
        """Returns seconds, seconds by stage and the first loss.

        Raises:
          InputError: the side did not get to its first step; with the last line that it wrote.
        """
        self._number += 1
        request = self._folder / f"start{self._number}.json"
        start = Start(
            side=side,
            began=time.monotonic(),
            experiment=_EXPERIMENT.value,
            folder=str(self._folder / "model"),
            arguments=self._arguments(self._folder / f"run{self._number}"),
            batch=self._batch,
            max_length=_MAX_LENGTH,
            threads=self._threads,
        )
        request.write_text(json.dumps(vars(start)))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.starting", str(request)],
            cwd=_ROOT,
            env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(self._folder / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not done.stdout:
            lines = done.stderr.strip().splitlines() or ["no output"]
            raise InputError(f"{side} did not make its first step: {lines[-1]}")
        measured = json.loads(done.stdout.splitlines()[-1])
        sys.stderr.write(f"{side}: {measured['seconds']:.2f} s\n")
        return measured

    def _arguments(self, workdir: Path) -> list[str]:
        config = _ROOT / "experiments" / "configs" / f"{_CONFIGS[_EXPERIMENT.value]}.py"
        settings = {
            "model.init": self._folder / "model",
            "train.batch_size": _BATCH_SIZE.value,
            "train.steps": 1,
            "offline": True,
        }
        if _EXPERIMENT.value == "pretrain":
            settings["data.mixture"] = f"{Path(_DATA.value).absolute()}:1"
        else:
            settings |= {"source": Path(_DATA.value).absolute(), "train.max_length": _MAX_LENGTH}
        changes = [f"--config.{key}={value}" for key, value in settings.items()]
        return [f"--config={config}", f"--workdir={workdir}", *changes]


def _read_batch() -> dict[str, Any]:
    """Returns the peer's batch: as many rows of the same data as lingjax trains on."""
    from lingjax.data import PairSource, load_tokenizer, open_packed, open_split

    rows = range(_BATCH_SIZE.value)
    if _EXPERIMENT.value == "pretrain":
        tokenizer = load_tokenizer(_TOKENIZER.value, offline=True)
        packed = open_packed(_DATA.value, tokenizer_fingerprint=tokenizer.fingerprint)
        return {"token_ids": [packed[row].token_ids.tolist() for row in rows]}
    pairs = PairSource(open_split(_DATA.value, default=("train",)))
    texts = [pairs[row].sentence1 + pairs[row].sentence2 for row in rows]
    return {"texts": texts, "labels": [pairs[row].label for row in rows]}


def _median_stages(starts: Sequence[dict[str, Any]]) -> dict[str, float]:
    by_stage = collections.defaultdict(list)
    for start in starts:
        for stage, seconds in start["stages"].items():
            by_stage[stage].append(seconds)
    return {stage: statistics.median(seconds) for stage, seconds in by_stage.items()}


if __name__ == "__main__":
    command.run(main)
