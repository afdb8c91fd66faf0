"""The log of a run: one JSON object a line for programs, TensorBoard for people."""

import functools
import json
import math
import re
from typing import Any, Protocol

import jax
from etils import epath

from lingjax.errors import InputError
from lingjax.files import write_text


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
        self._lines = [_as_line(line) for line in kept]
        write_text(self._path, "".join(self._lines))

    def prepare(self) -> None:
        """The file is there."""

    def write(self, step: int, values: dict[str, float | None]) -> None:
        finite = {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}
        line = _as_line({"step": step, **finite})
        if self._appends:
            with self._path.open("a") as file:
                file.write(line)
            return
        # A bucket's objects are whole: nothing can be appended.
        self._lines.append(line)
        write_text(self._path, "".join(self._lines))

    def close(self) -> None:
        """Every line is written at once."""


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
      InputError: another line is not JSON.
    """
    path = epath.Path(folder) / "metrics.jsonl"
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    read = []
    for number, line in enumerate(lines, start=1):
        try:
            read.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise InputError(f"{path}: line {number} is not JSON ({error.msg}); remove the file or the line") from error
    return read


def _as_line(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True) + "\n"
