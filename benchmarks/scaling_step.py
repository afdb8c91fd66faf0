"""Time and memory of a training step by sequence length, model size and rows, beside what arithmetic alone predicts."""

import contextlib
import dataclasses
import itertools
import math
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from benchmarks.scaling_fit import fit_power_law
from benchmarks.side_by_side import spread
from lingjax.axes import Parameters
from lingjax.data import TokenBatch
from lingjax.errors import InputError
from lingjax.models import ModelConfig, abstract_model, axes_by_path, build_model, parameters_of, preset
from lingjax.study.models import scan_by_default
from lingjax.training.mesh import make_mesh, place_batch, place_new_state, plan_new_state
from lingjax.training.optimizer import OptimizerConfig, make_optimizer
from lingjax.training.side_by_side import needed_bytes
from lingjax.training.state import TrainState
from lingjax.training.steps import BatchArrays, make_train_step, token_loss_function
from lingjax.training.throughput import training_flops_per_token

# A repetition is so many steps that a clock and a dispatch do not show.
_LEAST_SECONDS = 0.2
_OPTIMIZER = make_optimizer(OptimizerConfig(), total_steps=1000)
_AXES = axes_by_path("gpt2", "language_model")


@dataclasses.dataclass(frozen=True)
class StepWork:
    """What is measured.

    Attributes:
      size: preset of GPT-2 for lengths and rows.
      lengths: tokens of a row, each with as many rows as make `tokens` a step.
      sizes: presets, each with rows of `length` that make `tokens` a step.
      rows: how many a batch has, at `length`; their tokens grow.
      tokens: how many a step has where lengths and sizes are compared.
      length: where sizes and rows are compared.
      vocab_size: entries of the tokenizer.
      dtype: what is computed in.
      repetitions: timed, after two warm-ups.
      seed: decides weights and tokens.
    """

    size: str
    lengths: tuple[int, ...]
    sizes: tuple[str, ...]
    rows: tuple[int, ...]
    tokens: int
    length: int
    vocab_size: int
    dtype: str
    repetitions: int
    seed: int

    def __post_init__(self):
        for size in (self.size, *self.sizes):
            preset("gpt2", size, vocab_size=self.vocab_size)
        for length in (*self.lengths, self.length):
            if self.tokens % length:
                raise InputError(
                    f"--step_tokens={self.tokens} does not divide into rows of {length} tokens; "
                    "take a multiple of every length"
                )

    @property
    def max_length(self) -> int:
        """Rows of the position table, the same in every model."""
        return max(*self.lengths, self.length)

    def curves(self) -> "dict[str, list[Shape]]":
        """Returns the shapes to measure, by what varies in them."""
        return {
            "length": [Shape(self.size, self.tokens // length, length) for length in self.lengths],
            "parameters": [Shape(size, self.tokens // self.length, self.length) for size in self.sizes],
            "rows": [Shape(self.size, rows, self.length) for rows in self.rows],
        }


@dataclasses.dataclass(frozen=True)
class Shape:
    """One training step: a preset of GPT-2, rows, and tokens of a row."""

    size: str
    rows: int
    length: int

    def __str__(self) -> str:
        return f"{self.size}, {self.rows} x {self.length}"


class _TooLargeError(Exception):
    """A step does not fit; the text says what it needs and what there is."""


def measure_steps(work: StepWork) -> dict[str, Any]:
    """Measures every shape once and fits a power law to each curve; what does not fit in memory is named.

    The result's `curves` have, by what varies, `points`, and of `time` and `memory` the fitted exponent with its
    standard error; `theory_exponent` is fitted to the FLOPs of the same points. `left_out` names shapes and reasons.
    """
    curves = work.curves()
    points: dict[Shape, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    for shape in dict.fromkeys(itertools.chain(*curves.values())):
        try:
            points[shape] = _measure(shape, work)
            said = f"{points[shape]['seconds']['median']:.4g} s a step"
        except _TooLargeError as error:
            left_out[str(shape)] = said = str(error)
        print(f"step  {shape}: {said}", file=sys.stderr, flush=True)
    return {
        "work": dataclasses.asdict(work),
        "device": jax.devices()[0].device_kind,
        "curves": {
            axis: describe_curve(axis, [points[shape] for shape in shapes if shape in points])
            for axis, shapes in curves.items()
        },
        "left_out": left_out,
    }


def describe_curve(axis: str, points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns points in the order of `axis` with the exponents of time, memory and theory, null below two points."""
    points = sorted(points, key=lambda point: point[axis])
    x = [point[axis] for point in points]
    laws = {
        "time": fit_power_law(x, [point["seconds"]["median"] for point in points]),
        "memory": fit_power_law(x, [point["peak_memory_bytes"] for point in points]),
    }
    theory = fit_power_law(x, [point["flops"] for point in points])
    return {
        "points": points,
        **{name: law and dataclasses.asdict(law) for name, law in laws.items()},
        "theory_exponent": theory and theory.exponent,
    }


def _measure(shape: Shape, work: StepWork) -> dict[str, Any]:
    config = preset(
        "gpt2",
        shape.size,
        vocab_size=work.vocab_size,
        max_length=work.max_length,
        compute_dtype=work.dtype,
        scan_layers=scan_by_default(),
        attention="auto",
    )
    mesh = make_mesh("", devices=jax.devices()[:1])
    with jax.set_mesh(mesh):
        batch = place_batch(_make_batch(shape, work), mesh)
        compile_started = time.perf_counter()
        compiled, num_parameters = _compile(config, batch, mesh)
        compile_seconds = time.perf_counter() - compile_started
        peak_bytes = needed_bytes(compiled)
        _check_memory(peak_bytes, mesh.devices.flat[0])
        seconds = _time(compiled, config, batch, mesh, work)
    tokens = shape.rows * shape.length
    return {
        **dataclasses.asdict(shape),
        "parameters": num_parameters,
        "tokens": tokens,
        "flops": tokens * training_flops_per_token(config, num_parameters=num_parameters, length=shape.length),
        "peak_memory_bytes": peak_bytes,
        "compile_seconds": compile_seconds,
        "seconds": spread(seconds),
        "seconds_by_repetition": seconds,
    }


def _make_batch(shape: Shape, work: StepWork) -> TokenBatch:
    """Whole rows of random tokens, each predicting the next."""
    tokens = np.random.default_rng(work.seed).integers(1, work.vocab_size, (shape.rows, shape.length), np.int32)
    positions = np.broadcast_to(np.arange(shape.length, dtype=np.int32), tokens.shape)
    zeros = np.zeros(shape.rows, np.int32)
    return TokenBatch(
        token_ids=tokens,
        target_ids=np.roll(tokens, -1, axis=1),
        counted=positions < shape.length - 1,
        document_ids=np.ones_like(tokens),
        positions=positions,
        domain_ids=zeros,
        row_ids=zeros,
    )


def _compile(config: ModelConfig, batch: BatchArrays, mesh: Mesh) -> tuple[jax.stages.Compiled, int]:
    """Returns the step that pretraining makes, and how many parameters it trains."""
    model = abstract_model(config, "language_model")
    step = make_train_step(token_loss_function(nnx.split(model)[0], num_domains=1, mesh=mesh), _OPTIMIZER)
    shapes, placed = plan_new_state(parameters_of(model), _OPTIMIZER, _AXES, mesh)
    state = jax.tree.map(lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), shapes, placed)
    with _memory_errors():
        compiled = step.lower(state, batch).compile()
    return compiled, sum(leaf.size for leaf in jax.tree.leaves(shapes.parameters))


def _time(
    compiled: jax.stages.Compiled, config: ModelConfig, batch: BatchArrays, mesh: Mesh, work: StepWork
) -> list[float]:
    """Returns the mean seconds of a step in each repetition, after two warm-ups."""

    @jax.jit
    def draw(key: jax.Array) -> Parameters:
        return parameters_of(build_model(config, "language_model", rngs=nnx.Rngs(key)))

    def run(state: TrainState, steps: int) -> tuple[TrainState, float]:
        started = time.perf_counter()
        for _ in range(steps):
            state, _, _ = compiled(state, batch)
        jax.block_until_ready(state)
        return state, (time.perf_counter() - started) / steps

    with _memory_errors():
        state = place_new_state(draw(jax.random.key(work.seed)), _OPTIMIZER, _AXES, mesh, seed=work.seed)
        state, _ = run(state, 1)
        state, seconds = run(state, 1)
        steps = math.ceil(_LEAST_SECONDS / seconds)
        measured = []
        for _ in range(work.repetitions):
            state, seconds = run(state, steps)
            measured.append(seconds)
    return measured


def _check_memory(needed: int, device: jax.Device) -> None:
    available = available_bytes(device)
    if needed > available:
        raise _TooLargeError(f"needs {needed / 2**30:.1f} GiB, {available / 2**30:.1f} GiB are free")


def available_bytes(device: jax.Device) -> int:
    """Returns the memory that JAX may use on a device; on a CPU what Linux has and what this process already holds.

    No state is alive when this is asked, so what the process holds is free for the next one (see `GLIBC_TUNABLES`).
    """
    if device.platform != "cpu":
        return device.memory_stats()["bytes_limit"]
    lines = Path("/proc/meminfo").read_text() + Path("/proc/self/status").read_text()
    return sum(1024 * int(size) for size in re.findall(r"(?:MemAvailable|VmRSS):\s+(\d+) kB", lines))


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    """Tells apart what does not fit from what is wrong."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise _TooLargeError(str(error).strip().splitlines()[0]) from error
