"""What a training step asks of a chip in slices of several sizes, compiled without them; a roofline of efficiency."""

import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lingjax.errors import InputError

_CHECKOUT = Path(__file__).parents[1]
_COMMAND = [sys.executable, "-m", "experiments.compile_check", "--config=experiments/configs/pretrain_gpt2.py"]
_REFUSED = 2  # exit code of a command whose input is wrong


@dataclasses.dataclass(frozen=True)
class PodsWork:
    """What is compiled.

    Attributes:
      generation: v5e or v6e, whose slices are squares of a two-dimensional torus; cpu rehearses.
      chips: how many each slice has.
      size: preset of GPT-2.
      rows, length: of the batch of one chip, the same in every slice.
      vocab_size: entries of the tokenizer.
    """

    generation: str
    chips: tuple[int, ...]
    size: str
    rows: int
    length: int
    vocab_size: int

    def __post_init__(self):
        for chips in self.chips:
            if math.isqrt(chips) ** 2 != chips:
                raise InputError(f"--pods_chips={chips}: slices here are squares, as of 1, 4, 16, 64 or 256 chips")

    def topology(self, chips: int) -> str:
        """Returns the slice as `experiments.compile_check` takes it."""
        side = math.isqrt(chips)
        return f"cpu:{chips}" if self.generation == "cpu" else f"{self.generation}:{side}x{side}"


def meshes_of(chips: int) -> dict[str, str]:
    """Returns the meshes to compile by the name of their kind: all on one axis, or an axis along each side.

    >>> meshes_of(16)
    {'data': 'data:16', 'fsdp': 'fsdp:16', 'data x fsdp': 'data:4,fsdp:4'}
    >>> meshes_of(1)
    {'data': 'data:1'}
    """
    if chips == 1:
        return {"data": "data:1"}
    side = math.isqrt(chips)
    mixed = {"data x fsdp": f"data:{side},fsdp:{side}"} if chips > 4 else {}
    return {"data": f"data:{chips}", "fsdp": f"fsdp:{chips}", **mixed}


def describe_pods(work: PodsWork) -> dict[str, Any]:
    """Compiles every cell in a process of its own and returns them under `cells`.

    Raises:
      InputError: a cell cannot be compiled as it is asked for; the compiler's own line.
      RuntimeError: the compiler failed; with the end of what it said.
    """
    cells = []
    for chips in work.chips:
        for kind, mesh in meshes_of(chips).items():
            cells.append(describe_cell(kind, mesh, _compile(work, chips, mesh)))
            print(f"pods  {chips} chips, {mesh}: {cells[-1]['efficiency']}", file=sys.stderr, flush=True)
    return {"work": dataclasses.asdict(work), "cells": cells}


def describe_cell(kind: str, mesh: str, described: dict[str, Any]) -> dict[str, Any]:
    """Returns one cell from what `experiments.compile_check` printed.

    `efficiency` is the time of the model's arithmetic at the chip's peak by the time of a step: `overlapped`, if
    communication runs wholly beside arithmetic, and `in_turns`, if it never does. Null on a chip without published
    rates, and where the step does not fit.
    """
    estimate = described["estimate"]
    collectives = described["collectives"] or {}
    return {
        "chips": described["devices"],
        "kind": kind,
        "mesh": mesh,
        "topology": described["topology"],
        "fits": described["fits"],
        "memory": described["memory"],
        "flops": described["model_flops_per_device"],
        "collectives": collectives,
        "sent_bytes": sum(each["sent_bytes"] for each in collectives.values()),
        "estimate": estimate,
        "efficiency": estimate
        and estimate_efficiency(estimate["compute_seconds_at_peak"], estimate["communication_seconds"]),
    }


def estimate_efficiency(compute_seconds: float, communication_seconds: float) -> dict[str, float]:
    """Returns the share of a step in which a chip computes, if all communication overlaps and if none does.

    >>> estimate_efficiency(3.0, 1.0)
    {'overlapped': 1.0, 'in_turns': 0.75}
    """
    return {
        "overlapped": compute_seconds / max(compute_seconds, communication_seconds),
        "in_turns": compute_seconds / (compute_seconds + communication_seconds),
    }


def _compile(work: PodsWork, chips: int, mesh: str) -> dict[str, Any]:
    done = subprocess.run(
        [*_COMMAND, *_flags(work, chips, mesh)], cwd=_CHECKOUT, capture_output=True, text=True, check=False
    )
    if done.returncode == _REFUSED:
        raise InputError(done.stderr.strip().removeprefix("error: "))
    if done.returncode:
        raise RuntimeError(f"compiling {mesh} ended with exit code {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def _flags(work: PodsWork, chips: int, mesh: str) -> Iterator[str]:
    yield f"--topology={work.topology(chips)}"
    yield f"--vocab_size={work.vocab_size}"
    yield f"--config.mesh={mesh}"
    yield f"--config.model.size={work.size}"
    yield f"--config.model.max_length={work.length}"
    yield f"--config.train.batch_size={work.rows * chips}"
    # Without remat the attention weights of a GPT-2 small do not fit a v5e chip.
    yield "--config.model.remat=layers"
    yield "--config.dtype=bfloat16"
