"""The log of a run: one JSON object a line for programs, TensorBoard for people."""

import json
import math
from typing import Any

import jax
from etils import epath

from lingjax.errors import InputError
from lingjax.files import write_text


class MetricsLog:
    """Appends to `FOLDER/metrics.jsonl` and `FOLDER/tensorboard/`.

    A resumed run repeats the steps after its checkpoint; their first lines are removed on opening, so that each step
    stands in the log once. Of several processes, the first writes.

    Args:
      folder: the run's folder, made if need be.
      resumed_step: the step that the run goes on from; 0 starts anew.
    """

    def __init__(self, folder: epath.PathLike, *, resumed_step: int):
        self._is_writer = jax.process_index() == 0
        if not self._is_writer:
            return
        from tensorboardX import SummaryWriter  # imports torch where that is installed, which takes seconds

        folder = epath.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "metrics.jsonl"
        kept = [line for line in read_metrics(folder) if line["step"] <= resumed_step] if resumed_step else []
        self._lines = [_as_line(line) for line in kept]
        write_text(self._path, "".join(self._lines))
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_step or None)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *_):
        if self._is_writer:
            self._tensorboard.close()

    def write(self, step: int, values: dict[str, float | None]) -> None:
        """Logs named numbers of one step; one that is not known or not finite is written as null."""
        if not self._is_writer:
            return
        plain = {name: None if value is None or not math.isfinite(value) else value for name, value in values.items()}
        line = _as_line({"step": step, **plain})
        if "://" in str(self._path):  # buckets hold whole objects, to which nothing can be appended
            self._lines.append(line)
            write_text(self._path, "".join(self._lines))
        else:
            with self._path.open("a") as file:
                file.write(line)
        for name, value in values.items():
            if value is not None:
                self._tensorboard.add_scalar(name, value, step)


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
