"""Runs the same work in several libraries by turns, each in a process of its own, and compares their rates.

The processes live through the whole measurement, so each loads, compiles and warms up once; whoever's turn it is not
blocks on a pipe and uses no core. Neighbouring turns see the same machine, so ratios are taken within a round.
"""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from absl import flags

from experiments import runtime
from lingjax.errors import InputError

START_TOGETHER = flags.DEFINE_bool("start_together", False, "Warm all sides up at once: start times then mean little.")


@dataclasses.dataclass(frozen=True)
class Side:
    """One library, loaded and warmed up.

    Attributes:
      facts: what to report of it once, such as versions and number of parameters.
      run: does the work of one round and returns, when all of it is finished, how much that was (pairs, tokens) and
        what else to report of the round.
    """

    facts: dict[str, Any]
    run: Callable[[int], tuple[float, dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Round:
    """What one side did in one turn.

    Attributes:
      amount: units of work done, padding not counted.
      seconds: wall time.
      core_seconds: processor time of all threads; it exceeds what a quiet machine would need only a little where other
        programs take the cores, so it serves as a second opinion on a busy one.
      notes: what the side reported beside the amount.
    """

    amount: float
    seconds: float
    core_seconds: float
    notes: dict[str, Any]

    @property
    def rate(self) -> float:
        """Units a second of wall time."""
        return self.amount / self.seconds


def available_cores() -> int:
    """Returns how many cores this process may use (Linux)."""
    return len(os.sched_getaffinity(0))


def choose_threads(wanted: int) -> int:
    """Returns how many cores a side is confined to: `wanted`, or all for 0.

    Raises:
      InputError: there are not so many.
    """
    cores = available_cores()
    if wanted > cores:
        raise InputError(f"--threads={wanted} exceeds the {cores} cores that this process may use")
    return wanted or cores


def describe_machine(threads: int) -> dict[str, Any]:
    """Returns what a reader of the figures must know of the machine (Linux); called before anything is measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "processor": next(named, platform.machine()),
        "python": platform.python_version(),
        "cores": available_cores(),
        "threads": threads,
        "load_average_before": os.getloadavg(),
        # Large arrays on huge pages spare page faults; every side inherits the setting.
        "glibc_tunables": os.environ.get("GLIBC_TUNABLES"),
    }


def alternate(sides: Mapping[str, Callable[[], Side]], *, rounds: int, threads: int) -> dict[str, dict[str, Any]]:
    """Warms every side up, then lets them work by turns, the order reversed from round to round.

    Args:
      sides: picklable makers of a warm side, by name; each is called in its own process.
      rounds: turns of each side.
      threads: cores that each process is confined to; it cannot start more threads than that.

    Returns:
      For every name the side's facts under `facts`, its list of `Round` under `rounds`, and its `start_seconds` and
      `peak_memory_bytes`.

    Raises:
      InputError: a side cannot use what it was given.
      RuntimeError: a side failed; with its traceback.
    """
    measured: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        workers: dict[str, Connection] = {}
        for names in [list(sides)] if START_TOGETHER.value else [[name] for name in sides]:
            _say(f"{', '.join(names)}: loading and warming up")
            started = time.perf_counter()
            workers |= {name: stack.enter_context(_worker(sides[name], threads)) for name in names}
            for name in names:
                facts = _receive(name, workers[name])
                measured[name] = {"facts": facts, "start_seconds": time.perf_counter() - started, "rounds": []}
        for number in range(rounds):
            for name in sides if number % 2 == 0 else reversed(sides):
                done, peak_memory_bytes = _receive(name, workers[name], number)
                measured[name]["rounds"].append(done)
                measured[name]["peak_memory_bytes"] = peak_memory_bytes
                _say(f"round {number + 1}/{rounds}  {name}: {done.rate:.2f}/s, {done.core_seconds:.1f} core-seconds")
    return measured


def peak_device_bytes_of_jax(device: Any) -> int | None:
    """Returns the most memory of an accelerator that this process had in use; None on a CPU."""
    usage = device.memory_stats()
    return usage and usage.get("peak_bytes_in_use")


def peak_device_bytes_of_torch() -> int | None:
    """As `peak_device_bytes_of_jax`, for PyTorch."""
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


def spread(values: Sequence[float]) -> dict[str, float]:
    """Returns median, minimum and maximum."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def describe_side(side: Mapping[str, Any], *, unit: str) -> dict[str, Any]:
    """Returns a side's facts, start, peak memory and rates as plain values; `unit` is what a round's amount counts."""
    rates = [done.rate for done in side["rounds"]]
    return {
        **side["facts"],
        "start_seconds": side["start_seconds"],
        "peak_memory_bytes": side["peak_memory_bytes"],
        f"{unit}_per_second": spread(rates),
        f"{unit}_per_second_by_round": rates,
    }


def compare(measured: Mapping[str, Mapping[str, Any]], *, name: str, peer: str) -> dict[str, Any]:
    """Returns the ratio of rates over the rounds, by wall and by processor time; above 1, `name` beats `peer`."""
    pairs = list(zip(measured[name]["rounds"], measured[peer]["rounds"], strict=True))
    return {
        "by_wall_time": spread([ours.rate / theirs.rate for ours, theirs in pairs]),
        "by_core_time": spread(
            [ours.amount / ours.core_seconds * theirs.core_seconds / theirs.amount for ours, theirs in pairs]
        ),
    }


def print_result(
    benchmark: str,
    *,
    machine: Mapping[str, Any],
    work: Mapping[str, Any],
    sides: Mapping[str, Any],
    ratios: Mapping[str, Any],
) -> None:
    """Prints what a benchmark has measured as JSON, with the time."""
    result = {
        "benchmark": benchmark,
        "created_utc": runtime.now_utc(),
        "machine": machine,
        "work": work,
        "sides": sides,
        "ratios": ratios,
    }
    print(json.dumps(result, indent=2))


@contextlib.contextmanager
def _worker(make: Callable[[], Side], threads: int) -> Iterator[Connection]:
    # Spawned, not forked: neither library may inherit the threads or the settings of another.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, make, threads), daemon=True)
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()  # ends the worker's loop
        process.join(timeout=10)
        process.kill()


def _serve(connection: Connection, make: Callable[[], Side], threads: int) -> None:
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # stdout is for the result alone
    # Before any library is loaded: thread pools are as large as the cores that their process may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # all sides share the accelerator, if there is one
    try:
        side = make()
        connection.send(side.facts)
        while True:
            number = connection.recv()
            core_started, started = time.process_time(), time.perf_counter()
            amount, notes = side.run(number)
            seconds, core_seconds = time.perf_counter() - started, time.process_time() - core_started
            peak_memory_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            connection.send((Round(amount, seconds, core_seconds, notes), peak_memory_bytes))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # the measurement is over
    except InputError as error:
        connection.send(error)
    except Exception:
        connection.send(RuntimeError(traceback.format_exc()))


def _receive(name: str, connection: Connection, question: int | None = None) -> Any:
    """Returns a worker's next answer, after asking if there is something to ask."""
    try:
        if question is not None:
            connection.send(question)
        answer = connection.recv()
    except (EOFError, BrokenPipeError):
        raise RuntimeError(f"the process of {name} ended without an answer; was its memory taken?") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
