"""The log of a run: one JSON object a line for programs, TensorBoard for people."""

import functools
import logging
import math
import re
from typing import Any, Protocol

import jax
from etils import epath

from lingjax.errors import InputError
from lingjax.files import write_text
from lingjax.sealed import read_sealed_lines, sealed_line
from lingjax.training.run_folder import is_finished, read_result

_LOG = logging.getLogger(__name__)


class MetricsLog:
    """Writes `FOLDER/metrics.jsonl`, TensorBoard's `FOLDER/tensorboard/` and, if asked, Weights & Biases.

    A resumed run repeats the steps after its checkpoint; their first lines are removed on opening, so that each step
    stands in the log once. Of several processes, the first writes. In a bucket there is no TensorBoard log.

    Args:
      folder: the run's folder, made if need be.
      resumed_step: the step that the run goes on from; 0 starts anew.
      wandb_project: a project of Weights & Biases; empty for none.

    Raises:
      InputError: a project is named and wandb is not installed.
    """

    def __init__(self, folder: epath.PathLike, *, resumed_step: int, wandb_project: str = ""):
        self._sinks: list[_Sink] = []
        if jax.process_index():
            return
        folder = epath.Path(folder)
        self._sinks.append(_Lines(folder, resumed_step=resumed_step))
        if not _in_bucket(folder):
            self._sinks.append(_TensorBoard(folder, resumed_step=resumed_step))
        if wandb_project:
            self._sinks.append(_Wandb(folder, project=wandb_project))

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *_):
        for sink in self._sinks:
            sink.close()

    def prepare(self) -> None:
        """Does what the first line would otherwise wait for."""
        for sink in self._sinks:
            sink.prepare()

    def write(self, step: int, values: dict[str, float | None]) -> None:
        """Logs named numbers of one step; one that is not known or not finite is written as null, or not at all."""
        for sink in self._sinks:
            sink.write(step, values)


class _Sink(Protocol):
    def prepare(self) -> None: ...

    def write(self, step: int, values: dict[str, float | None]) -> None: ...

    def close(self) -> None: ...


class _Lines:
    def __init__(self, folder: epath.Path, *, resumed_step: int):
        self._path = folder / "metrics.jsonl"
        self._appends = not _in_bucket(folder)
        kept = [line for line in read_metrics(folder) if line["step"] <= resumed_step] if resumed_step else []
        self._lines: list[str] = []
        self._before = 0
        for line in kept:
            self._lines.append(self._next(line))
        write_text(self._path, "".join(self._lines))

    def prepare(self) -> None:
        """The file is there."""

    def write(self, step: int, values: dict[str, float | None]) -> None:
        finite = {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}
        line = self._next({"step": step, **finite})
        if self._appends:
            with self._path.open("a") as file:
                file.write(line)
            return
        # A bucket's objects are whole: nothing can be appended.
        self._lines.append(line)
        write_text(self._path, "".join(self._lines))

    def close(self) -> None:
        """Every line is written at once."""

    def _next(self, values: dict[str, Any]) -> str:
        line, self._before = sealed_line(values, self._before)
        return line


class _TensorBoard:
    def __init__(self, folder: epath.Path, *, resumed_step: int):
        self._folder, self._resumed_step = folder, resumed_step

    @functools.cached_property
    def _writer(self) -> Any:
        # Imports torch where that is installed, which takes seconds: training need not wait for it.
        from tensorboardX import SummaryWriter

        return SummaryWriter(str(self._folder / "tensorboard"), purge_step=self._resumed_step or None)

    def prepare(self) -> None:
        _ = self._writer

    def write(self, step: int, values: dict[str, float | None]) -> None:
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        if "_writer" in vars(self):
            self._writer.close()


class _Wandb:
    def __init__(self, folder: epath.Path, *, project: str):
        try:
            import wandb
        except ImportError as error:
            raise InputError(
                f"wandb={project}: wandb is not installed; pip install wandb, or leave it empty"
            ) from error
        # The folder's name as id: a resumed run goes on in the same chart.
        identity = re.sub(r"[^\w-]+", "-", str(folder)).strip("-")[-120:]
        self._run = wandb.init(project=project, id=identity, name=str(folder), resume="allow")

    def prepare(self) -> None:
        """The run is there."""

    def write(self, step: int, values: dict[str, float | None]) -> None:
        self._run.log({name: value for name, value in values.items() if value is not None}, step=step)

    def close(self) -> None:
        self._run.finish()


def _in_bucket(folder: epath.Path) -> bool:
    return "://" in str(folder)


def read_metrics(folder: epath.PathLike) -> list[dict[str, Any]]:
    """Reads a run's `metrics.jsonl`; empty if there is none. A last line that a kill cut off is left out.

    Raises:
      InputError: another line is not JSON, or not what was written there.
    """
    path = epath.Path(folder) / "metrics.jsonl"
    lines = read_sealed_lines(path, may_be_cut=True) if path.exists() else []
    for number, line in enumerate(lines, start=1):
        if not isinstance(line.get("step"), int):
            raise InputError(f"{path}: line {number} names no step; remove the file or the line")
    if is_finished(folder):
        last = (read_result(folder).get("history") or [{"step": 0}])[-1]
        written = set().union(*(line for line in lines if line["step"] >= last["step"]))
        if not last.keys() - {"score"} <= written:
            _LOG.warning("%s: its end is missing, up to step %d; what is drawn of it is incomplete", path, last["step"])
    return lines
