"""A grid of settings: its cells, their names and commands, and what a folder holds of them already."""

import dataclasses
import hashlib
import itertools
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import configuration
from lingjax.errors import InputError, nearest
from lingjax.files import find_paths
from lingjax.sealed import read_sealed, write_sealed
from lingjax.study.config import differences, parts

DEFAULT_CONFIGS = {"transfer": "transfer", "pretrain": "pretrain_gpt2", "finetune": "finetune_pairs"}
"""The commands that a cell can be, each with its shipped configuration."""

_CELLS = "cells"
_RECORD = "cell.json"
_LONGEST_VALUE = 48  # characters of a value in a cell's name
_LONGEST_NAME = 200  # file systems allow 255


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """One command of a grid.

    Attributes:
      experiment: the command's name, a key of `DEFAULT_CONFIGS`.
      folder: its workdir; the folder's name is the cell's.
      varied: its values of the settings that vary, by flag: `config` or `config.KEY`.
      flags: its `--config` and `--config.KEY=VALUE`, and whatever else all cells are given.
      settings: the whole configuration that results.
    """

    experiment: str
    folder: Path
    varied: dict[str, str]
    flags: tuple[str, ...]
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """What the cell is called: the settings that vary, readable, and equal in every grid that has the cell."""
        return self.folder.name

    @property
    def arguments(self) -> list[str]:
        """The process to start."""
        return [sys.executable, "-m", f"experiments.{self.experiment}", f"--workdir={self.folder}", *self.flags]

    @property
    def command(self) -> str:
        """The same command as it is typed."""
        return shlex.join(["python", *self.arguments[1:]])

    def record(self) -> None:
        """Writes into the cell's folder what it is."""
        described = {"experiment": self.experiment, "command": self.command}
        write_sealed(self.folder / _RECORD, described | {"varied": self.varied, "settings": self.settings})


def parse_varied(texts: Sequence[str]) -> dict[str, list[str]]:
    """Reads the values of `--vary`.

    Args:
      texts: `KEY=VALUE,VALUE` each, or `KEY=[...]` with a JSON list, whose strings may hold commas.

    Raises:
      InputError: a text is neither, has no value or one value twice, or a key is named twice.
    """
    varied = {}
    for text in texts:
        key, _, values = text.partition("=")
        if key != "config" and not key.startswith("config."):
            raise InputError(f"--vary={text}: expected config.KEY=VALUE,VALUE, or config=FILE,FILE")
        if key in varied:
            raise InputError(f"--vary={key} is given twice; list all of its values in one")
        varied[key] = _json_list(text, values) if values.startswith("[") else parts(values)
        if not varied[key] or len(set(varied[key])) < len(varied[key]):
            raise InputError(f"--vary={text}: expected values that differ, at least one")
    return varied


def make_cells(
    experiment: str, varied: Mapping[str, Sequence[str]], *, flags: Sequence[str], workdir: Path
) -> list[Cell]:
    """Returns every combination of values as a cell, the last setting varying fastest.

    Args:
      experiment: the command.
      varied: values by flag, as from `parse_varied`.
      flags: what all cells are given besides.
      workdir: where the grid lives.

    Raises:
      InputError: the command is unknown, nothing varies, a flag both varies and is set, or a cell's configuration
        cannot be; the cells' problems are found before any cell runs.
    """
    if experiment not in DEFAULT_CONFIGS:
        raise InputError(f"--experiment={experiment} is not known, {nearest(experiment, DEFAULT_CONFIGS)}")
    if not varied:
        raise InputError("nothing varies: give at least one --vary=config.KEY=VALUE,VALUE")
    given = {flag.lstrip("-").partition("=")[0] for flag in flags}
    both = sorted(given & varied.keys())
    if both:
        raise InputError(f"--{both[0]} is set for all cells and varies by --vary; choose one")
    shipped = f"--config=experiments/configs/{DEFAULT_CONFIGS[experiment]}.py"
    cells = []
    for values in itertools.product(*varied.values()):
        mine = dict(zip(varied, values, strict=True))
        all_flags = [*flags, *(f"--{key}={value}" for key, value in mine.items())]
        if not given & {"config"} and "config" not in mine:
            all_flags.append(shipped)
        # A configuration is named before what it is changed by.
        all_flags.sort(key=lambda flag: not flag.startswith("--config="))
        settings = configuration.resolve([flag for flag in all_flags if flag.startswith("--config")])
        cells.append(Cell(experiment, workdir / _CELLS / _name(mine), mine, tuple(all_flags), settings))
    return cells


def check_recorded(workdir: Path, cells: Sequence[Cell]) -> None:
    """Refuses a folder with cells of another grid; more or fewer values of the same grid are welcome.

    Raises:
      InputError: other settings vary there, or what does not vary is different; names the difference.
    """
    now = {cell.name: cell for cell in cells}
    keys = [*cells[0].varied]
    for path in find_paths(workdir / _CELLS, f"*/{_RECORD}"):
        record = read_sealed(path, needed=("experiment", "varied", "settings"))
        if (record["experiment"], sorted(record["varied"])) != (cells[0].experiment, sorted(keys)):
            others = f"{record['experiment']} over {', '.join(sorted(record['varied']))}"
            raise InputError(f"{workdir} holds the cells of another grid ({others}); take another --workdir")
        same = now.get(path.parent.name)
        if same is None and "config" in keys:
            continue
        changes = differences(record["settings"], (same or cells[0]).settings)
        changed = [
            f"{key} {change}" for key, change in changes.items() if same is not None or f"config.{key}" not in keys
        ]
        if changed:
            raise InputError(
                f"{path.parent} was made with other settings: {', '.join(changed)}; "
                "take another --workdir, or remove this one"
            )


def _json_list(text: str, values: str) -> list[str]:
    try:
        parsed = json.loads(values)
    except json.JSONDecodeError as error:
        raise InputError(f"--vary={text}: not a JSON list ({error})") from error
    return [value if isinstance(value, str) else json.dumps(value) for value in parsed]


def _name(varied: Mapping[str, str]) -> str:
    """A folder's name without comma or space; by the cell's own values alone, so that a grid can grow."""
    name = "+".join(f"{key.rpartition('.')[2]}={_short(value)}" for key, value in varied.items())
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}-{_hash(name)}"


def _short(value: str) -> str:
    """The ends of paths; with a hash of the value where something of it was left out."""
    ends = "_".join(part.rstrip("/").rpartition("/")[2] for part in value.split(","))
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", ends)[:_LONGEST_VALUE]
    return readable if readable == value else f"{readable}-{_hash(value)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
