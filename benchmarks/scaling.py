"""How cost grows: a training step's with length, model and rows; a slice's with its chips; reading's with its hosts.

Prints JSON with every point and the fitted exponents beside theory's; `--plots=DIR` draws them. Commands and how to
read the result: benchmarks/README.md.
"""

import functools
import json
import os
from collections.abc import Callable
from typing import Any

from absl import flags

from benchmarks import side_by_side
from experiments import runtime
from lingjax import command
from lingjax.errors import InputError, nearest

_PARTS = ("step", "pods", "input")

_PART = flags.DEFINE_list("part", ["step"], "What to measure, of step, pods and input.")
_OUT = flags.DEFINE_string("out", None, "File to write the JSON to as well.")
_PLOTS = flags.DEFINE_string("plots", None, "Folder for PART.svg of every part.")
_REDRAW = flags.DEFINE_string("redraw", None, "Earlier result (--out) to draw into --plots; nothing is measured.")
_THREADS = flags.DEFINE_integer("threads", 0, "Cores to use; 0: all.", lower_bound=0)
_VOCAB_SIZE = flags.DEFINE_integer("vocab_size", 50257, "Entries of the tokenizer, in step and pods.", lower_bound=2)

_STEP_SIZE = flags.DEFINE_string("step_size", "mini", "GPT-2 of which lengths and rows are compared.")
_STEP_LENGTHS = flags.DEFINE_list("step_lengths", [128, 256, 512, 1024, 2048, 4096], "Tokens of a row.")
_STEP_SIZES = flags.DEFINE_list("step_sizes", ["tiny", "mini", "small"], "Models to compare.")
_STEP_ROWS = flags.DEFINE_list("step_rows", [1, 2, 4, 8, 16], "Rows of a batch to compare.")
_STEP_TOKENS = flags.DEFINE_integer("step_tokens", 4096, "Of a step, for lengths and sizes.", lower_bound=2)
_STEP_LENGTH = flags.DEFINE_integer("step_length", 512, "Tokens of a row, for sizes and rows.", lower_bound=2)
_STEP_DTYPE = flags.DEFINE_enum("step_dtype", "float32", ["float32", "bfloat16"], "Type of the computation.")
_STEP_REPETITIONS = flags.DEFINE_integer("step_repetitions", 5, "Timed, after two warm-ups.", lower_bound=1)
_STEP_SEED = flags.DEFINE_integer("step_seed", 0, "Of weights and tokens.")

_PODS_GENERATION = flags.DEFINE_enum("pods_generation", "v5e", ["v5e", "v6e", "cpu"], "Of the chips; cpu rehearses.")
_PODS_CHIPS = flags.DEFINE_list("pods_chips", [1, 4, 16, 64, 256], "Chips of each slice.")
_PODS_SIZE = flags.DEFINE_string("pods_size", "small", "GPT-2 to compile.")
_PODS_ROWS = flags.DEFINE_integer("pods_rows", 8, "Rows of a chip.", lower_bound=1)
_PODS_LENGTH = flags.DEFINE_integer("pods_length", 1024, "Tokens of a row.", lower_bound=2)

_INPUT_MIXTURE = flags.DEFINE_string("input_mixture", None, "Packed folders and shares: DIR/english:1,DIR/dna:1.")
_INPUT_TOKENIZER = flags.DEFINE_string("input_tokenizer", None, "Tokenizer folder that packed them.")
_INPUT_HOSTS = flags.DEFINE_list("input_hosts", [1, 2, 4, 8], "Numbers of hosts.")
_INPUT_ROWS = flags.DEFINE_integer("input_rows", 32, "Rows of a batch that each host reads.", lower_bound=1)
_INPUT_BATCHES = flags.DEFINE_integer("input_batches", 300, "Batches of a host's turn.", lower_bound=1)
_INPUT_ROUNDS = flags.DEFINE_integer("input_rounds", 3, "Turns of each host.", lower_bound=1)


def main(_: list[str]) -> None:
    """Measures, or reads an earlier result, and draws."""
    if _REDRAW.value:
        from lingjax.files import read_json

        if not _PLOTS.value:
            raise InputError("--redraw without --plots: name the folder to draw into")
        _finish(read_json(_REDRAW.value))
        return
    for part in _PART.value:
        if part not in _PARTS:
            raise InputError(f"--part: '{part}' is not known, {nearest(part, _PARTS)}")
    threads = side_by_side.choose_threads(_THREADS.value)
    result = {
        "benchmark": "scaling",
        "created_utc": runtime.now_utc(),
        "machine": side_by_side.describe_machine(threads),
    }
    # Before any library is loaded: thread pools are as large as the cores that their process may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    parts = {"step": _step, "pods": _pods, "input": lambda: _input(threads)}
    # Every part's flags are checked before the first is measured.
    measures = {part: parts[part]() for part in _PARTS if part in _PART.value}
    _finish(result | {part: measure() for part, measure in measures.items()})


def _finish(result: dict[str, Any]) -> None:
    if _OUT.value:
        from lingjax.files import write_json

        write_json(_OUT.value, result)
    if _PLOTS.value:
        from benchmarks.scaling_plots import draw_scaling

        draw_scaling(_PLOTS.value, result)
    print(json.dumps(result, indent=2))


def _numbers(flag: flags.FlagHolder) -> tuple[int, ...]:
    try:
        numbers = tuple(dict.fromkeys(int(text) for text in flag.value))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise InputError(f"--{flag.name}={','.join(map(str, flag.value))}: expected positive numbers, as in 1,2,4")
    return numbers


def _step() -> Callable[[], dict[str, Any]]:
    from benchmarks.scaling_step import StepWork, measure_steps

    runtime.start_jax()
    work = StepWork(
        size=_STEP_SIZE.value,
        lengths=_numbers(_STEP_LENGTHS),
        sizes=tuple(_STEP_SIZES.value),
        rows=_numbers(_STEP_ROWS),
        tokens=_STEP_TOKENS.value,
        length=_STEP_LENGTH.value,
        vocab_size=_VOCAB_SIZE.value,
        dtype=_STEP_DTYPE.value,
        repetitions=_STEP_REPETITIONS.value,
        seed=_STEP_SEED.value,
    )
    return functools.partial(measure_steps, work)


def _pods() -> Callable[[], dict[str, Any]]:
    from benchmarks.scaling_pods import PodsWork, describe_pods

    work = PodsWork(
        generation=_PODS_GENERATION.value,
        chips=_numbers(_PODS_CHIPS),
        size=_PODS_SIZE.value,
        rows=_PODS_ROWS.value,
        length=_PODS_LENGTH.value,
        vocab_size=_VOCAB_SIZE.value,
    )
    return functools.partial(describe_pods, work)


def _input(threads: int) -> Callable[[], dict[str, Any]]:
    from benchmarks.scaling_input import InputWork, measure_input

    if not (_INPUT_MIXTURE.value and _INPUT_TOKENIZER.value):
        raise InputError(
            "--part=input reads packed corpora: name them and their tokenizer by --input_mixture and --input_tokenizer"
        )
    work = InputWork(
        mixture=_INPUT_MIXTURE.value,
        tokenizer=_INPUT_TOKENIZER.value,
        hosts=_numbers(_INPUT_HOSTS),
        rows=_INPUT_ROWS.value,
        batches=_INPUT_BATCHES.value,
        rounds=_INPUT_ROUNDS.value,
    )
    work.open()
    return functools.partial(measure_input, work, threads=threads)


if __name__ == "__main__":
    command.run(main)
