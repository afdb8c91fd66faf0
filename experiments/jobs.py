"""Runs a grid's cells, each a process of its own, as jobs of submitit: on this machine or on SLURM."""

import contextlib
import dataclasses
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from tqdm import tqdm

from experiments.grid import Cell, check_recorded
from lingjax.errors import InputError
from lingjax.sealed import read_sealed, write_sealed

CLUSTERS = ("local", "slurm", "debug")

_OUTCOME = "outcome.json"
_STOPPED = 128 + signal.SIGTERM  # exit code of a command that saved and ended
_SECONDS_BETWEEN_LOOKS = 0.5


@dataclasses.dataclass(frozen=True)
class CellOutcome:
    """How a cell ended.

    Attributes:
      cell: which.
      error: the last line that it wrote to stderr, or what ended it; empty if it is finished.
      seconds: its last process took.
    """

    cell: Cell
    error: str
    seconds: float | None


@dataclasses.dataclass
class CellJob:
    """What a job does: starts the cell's command, waits for it, and writes down how it ended.

    Attributes:
      arguments: the process.
      folder: the cell's; its output is added to `stdout.log` and `stderr.log` there.
      gpus: those that the cell may see, as CUDA_VISIBLE_DEVICES names them; None leaves that to the cluster.
    """

    arguments: list[str]
    folder: Path
    gpus: str | None = None

    def __call__(self) -> int:
        """Returns the exit code; a cell that is being run elsewhere is waited for."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (
            _exit_on_sigterm(),
            (self.folder / "lock").open("w") as lock,
            (self.folder / "stdout.log").open("a") as stdout,
            (self.folder / "stderr.log").open("a") as stderr,
        ):
            # The cell's process holds the lock too, so it stays locked if this one alone is killed.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if read_outcome(self.folder).get("exit_code") == 0:
                return 0
            began = time.monotonic()
            # SLURM sends its warning before a job's end to the cell as well, which it would kill.
            before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            environment = os.environ if self.gpus is None else {**os.environ, "CUDA_VISIBLE_DEVICES": self.gpus}
            self._process = subprocess.Popen(
                self.arguments, stdout=stdout, stderr=stderr, env=environment, pass_fds=[lock.fileno()]
            )
            signal.signal(signal.SIGUSR2, before)
            try:
                exit_code = self._process.wait()
            finally:
                self._stop()
        error = _why(exit_code, self.folder / "stderr.log") if exit_code else ""
        seconds = round(time.monotonic() - began, 1)
        write_sealed(self.folder / _OUTCOME, {"exit_code": exit_code, "error": error, "seconds": seconds})
        return exit_code

    def checkpoint(self) -> Any:
        """Stops the cell when its time on the cluster is up, and has it queued again; submitit calls it."""
        from submitit.helpers import DelayedSubmission

        self._stop()
        return DelayedSubmission(CellJob(self.arguments, self.folder, self.gpus))

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()  # which makes it save
            # `Popen.wait` would wait for itself where a signal interrupted it.
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)


def define_flags() -> dict[str, flags.FlagHolder]:
    """Defines where cells run; returns the flags' holders by name."""
    return {
        "workdir": flags.DEFINE_string("workdir", None, "Folder of the grid, made if need be.", required=True),
        "cell_flag": flags.DEFINE_multi_string(
            "cell_flag", [], "A flag for every cell; --config=FILE and --config.KEY=VALUE are handed on as they are."
        ),
        "dry_run": flags.DEFINE_bool("dry_run", False, "Print the cells' commands, and do nothing."),
        "cluster": flags.DEFINE_enum(
            "cluster", "local", CLUSTERS, "Where: jobs on this machine, on SLURM, or (debug) in this process, in turn."
        ),
        "max_parallel": flags.DEFINE_integer(
            "max_parallel", 0, "Most cells at a time; 0: one on this machine, all on SLURM.", lower_bound=0
        ),
        "minutes": flags.DEFINE_integer(
            "minutes", 24 * 60, "Longest time of a job; then its cell saves and is queued again.", lower_bound=1
        ),
        "cpus": flags.DEFINE_integer("cpus", None, "slurm: processors of a cell.", lower_bound=1),
        "gpus": flags.DEFINE_integer(
            "gpus",
            1,
            "GPUs of a cell, 0 hides them; cells that run together on this machine get different ones.",
            lower_bound=0,
        ),
        "partition": flags.DEFINE_string("partition", None, "slurm: the partition."),
        "slurm": flags.DEFINE_list("slurm", [], "slurm: further options of sbatch, as in account=NAME,qos=NAME."),
    }


def hand_on_config(arguments: list[str]) -> list[str]:
    """Turns `--config...` on a grid's command line into `--cell_flag=--config...`.

    Raises:
      InputError: one is not written with `=`.
    """
    taken = []
    for argument in arguments:
        name, equals, _ = argument.lstrip("-").partition("=")
        is_config = argument.startswith("-") and name.removeprefix("no").partition(".")[0] == "config"
        if is_config and not equals:
            raise InputError(f"{argument}: write --{name}=VALUE here")
        taken.append(f"--cell_flag=--{argument.lstrip('-')}" if is_config else argument)
    return taken


def run_grid(cells: Sequence[Cell], options: dict[str, flags.FlagHolder]) -> list[CellOutcome]:
    """Runs what is not finished, and returns the outcomes in the cells' order; `--dry_run` only prints, and has none.

    Raises:
      InputError: the folder holds another grid, or there is no such cluster here.
    """
    values = {name: holder.value for name, holder in options.items()}
    workdir = Path(values["workdir"])
    check_recorded(workdir, cells)
    if values["dry_run"]:
        sys.stdout.write("".join(f"{cell.command}\n" for cell in cells))
        return []
    waiting = [cell for cell in cells if read_outcome(cell.folder).get("exit_code") != 0]
    crashed = {}
    if waiting:
        executor = _open_executor(workdir / "jobs", values)
        most = values["max_parallel"] or (len(cells) if values["cluster"] == "slurm" else 1)
        bar = tqdm(desc="cells", total=len(cells), initial=len(cells) - len(waiting), dynamic_ncols=True)
        with bar, _exit_on_sigterm():
            gpus = values["gpus"] if values["cluster"] == "local" else None
            crashed = _run(waiting, executor, most=most, gpus=gpus, bar=bar)
    outcomes = []
    for cell in cells:
        end = read_outcome(cell.folder)
        error = end["error"] if end else crashed.get(cell.name) or "interrupted"
        outcomes.append(CellOutcome(cell, error, end.get("seconds")))
    return outcomes


def read_outcome(folder: Path) -> dict[str, Any]:
    """Returns what a job wrote down at its end, or nothing."""
    path = folder / _OUTCOME
    return read_sealed(path) if path.exists() else {}


def _open_executor(folder: Path, values: dict[str, Any]) -> Any:
    for_slurm = {name: values[name] for name in ("partition", "cpus", "slurm") if values[name]}
    if for_slurm and values["cluster"] != "slurm":
        raise InputError(f"--{next(iter(for_slurm))} is for --cluster=slurm, not {values['cluster']}")
    more = dict(setting.partition("=")[::2] for setting in values["slurm"])
    if not all(more.values()):
        raise InputError(f"--slurm={','.join(values['slurm'])}: expected NAME=VALUE,NAME=VALUE")
    try:
        import submitit
    except ImportError as error:
        raise InputError('grids run on submitit, which is not installed: pip install -e ".[sweep]"') from error
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=values["cluster"])
    except RuntimeError as error:
        raise InputError(f"--cluster={values['cluster']}: {error}") from error
    parameters = {"name": "lingjax", "timeout_min": values["minutes"], "gpus_per_node": values["gpus"]}
    parameters |= {"cpus_per_task": values["cpus"]} if values["cpus"] else {}
    if values["cluster"] == "slurm":
        parameters |= {"slurm_partition": values["partition"]} if values["partition"] else {}
        parameters |= {"slurm_additional_parameters": more} if more else {}
    executor.update_parameters(**parameters)
    return executor


def _run(waiting: Sequence[Cell], executor: Any, *, most: int, gpus: int | None, bar: tqdm) -> dict[str, str]:
    """Keeps `most` jobs going until all are over; returns why jobs died without a word, by cell's name.

    Args:
      waiting: the cells.
      executor: submitit's.
      most: at a time.
      gpus: how many each gets; None where the cluster gives them out, which is not this machine then.
      bar: shows what is over.
    """
    from submitit.core.utils import FailedJobError

    waiting, running, crashed, free = list(waiting), {}, {}, list(range(most))
    try:
        while waiting or running:
            while waiting and free:
                cell, slot = waiting.pop(0), free.pop(0)
                cell.record()
                (cell.folder / _OUTCOME).unlink(missing_ok=True)
                mine = None if gpus is None else _choose_gpus(slot, gpus)
                try:
                    job = executor.submit(CellJob(cell.arguments, cell.folder.resolve(), mine))
                except FailedJobError as error:
                    raise InputError(f"the cluster did not take {cell.name}: {_last_line(str(error))}") from error
                running[cell] = job, slot
                bar.set_postfix_str(", ".join(cell.name for cell in running))
            for cell in [cell for cell, (job, _) in running.items() if job.done()]:
                job, slot = running.pop(cell)
                free.append(slot)
                bar.update()
                if not read_outcome(cell.folder):
                    crashed[cell.name] = _last_line(str(job.exception() or "")) or "interrupted"
            if running:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
    finally:
        _stop_jobs([job for job, _ in running.values()], here=gpus is not None)
    return crashed


def _choose_gpus(slot: int, count: int) -> str:
    """The GPUs of one of the cells that run together, among those that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    numbers = range(slot * count, (slot + 1) * count)
    if not visible:
        return ",".join(map(str, numbers))
    names = visible.split(",")
    return ",".join(names[number % len(names)] for number in numbers)


def _stop_jobs(jobs: Sequence[Any], *, here: bool) -> None:
    """Stops what still runs, so that nothing is left behind when a grid is stopped; on this machine, waits for it."""
    for job in jobs:
        if not here:
            job.cancel(check=False)
        elif not job.done():
            os.kill(int(job.job_id), signal.SIGTERM)  # `cancel` would leave a cell one second to save
    while here and not all(job.done() for job in jobs):
        time.sleep(_SECONDS_BETWEEN_LOOKS)


@contextlib.contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Lets SIGTERM raise SystemExit, so that what was begun is ended in order."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(_STOPPED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _why(exit_code: int, log: Path) -> str:
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    if exit_code == _STOPPED:
        return "stopped by SIGTERM; the same command goes on"
    return _last_line(log.read_text(errors="replace").replace("\r", "\n")) or f"exit code {exit_code}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""
