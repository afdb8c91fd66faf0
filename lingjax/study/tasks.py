"""The tasks of a study: pairs, where they come from, and how the report describes them. Costs no JAX."""

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from lingjax.data import (
    PairRecord,
    PairSource,
    SubsetSource,
    fingerprint_records,
    open_split,
    split_by_hash,
    split_reference,
)
from lingjax.errors import InputError
from lingjax.study.config import StudyConfig

_TRAINING = ("train",)
_DEV = ("validation", "dev")
_TARGET = ("test", "validation", "dev")

Pair = tuple[str, str, int]
"""Two texts, and 1 if they are alike or 0 if not."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Pairs and where they come from.

    Attributes:
      reference: what named it, `DIR/NAME` or `DIR/NAME@SPLIT`.
      name: the dataset's.
      split: which of its splits the rows are from.
      split_name: the same for people, who are told what was held out.
      fingerprint: hash of all records of the split.
      rows: the pairs.
      synthetic: whether a simulator of ours made them.
      splits: all that the dataset has.
    """

    reference: str
    name: str
    split: str
    split_name: str
    fingerprint: str
    rows: PairSource | SubsetSource
    synthetic: bool
    splits: Collection[str]

    def to_json(self) -> dict[str, Any]:
        """Returns the dataset's entry in the report."""
        return {
            "dataset": self.name,
            "split": self.split_name,
            "fingerprint": self.fingerprint,
            "rows": len(self.rows),
            "label_counts": self.rows.label_counts,
            "synthetic": self.synthetic,
        }


@dataclasses.dataclass(frozen=True)
class StudyTasks:
    """The tasks of a transfer: training pairs, those that choose the best checkpoint, and targets by name."""

    source: Task
    dev: Task
    targets: Mapping[str, Task]


def open_tasks(config: StudyConfig) -> StudyTasks:
    """Opens the datasets that a configuration names.

    Raises:
      InputError: one is missing, damaged, or named twice.
    """
    source, dev = open_source(config.source, config.dev, dev_fraction=config.dev_fraction, seed=config.seed)
    return StudyTasks(source, dev, open_targets(config.targets))


def pairs_task(name: str, pairs: Sequence[Pair]) -> Task:
    """Makes a task of pairs in memory.

    Raises:
      InputError: there is no pair, or an entry is not two texts and a label of 0 or 1.

    >>> pairs_task("mine", [("red", "redder", 1), ("red", "green", 0)]).to_json()["label_counts"]
    {'0': 1, '1': 1}
    """
    records = []
    for row, pair in enumerate(pairs):
        try:
            first, second, label = pair
        except (TypeError, ValueError):
            first = second = label = None
        if not isinstance(first, str) or not isinstance(second, str) or label not in (0, 1):
            raise InputError(f"pair {row} of '{name}' is {pair!r}; expected two texts and a label, 0 or 1")
        records.append(PairRecord(str(row), first, second, int(label)))
    if not records:
        raise InputError(f"'{name}' has no pairs")
    lines = [json.dumps([one.sentence1, one.sentence2, one.label]).encode() for one in records]
    rows = SubsetSource(records, np.arange(len(records)))
    return Task(name, name, "given", "given", fingerprint_records(lines), rows, synthetic=False, splits=())


def open_source(source: str, dev: str, *, dev_fraction: float, seed: int) -> tuple[Task, Task]:
    """Opens the training pairs and the dev pairs.

    Args:
      source: reference of the training pairs.
      dev: reference of the dev pairs; empty takes the source's own validation split, and where there is none, holds out
        a share of the training pairs by the hash of their ids.
      dev_fraction: that share.
      seed: decides the hash.
    """
    if not source:
        raise InputError("no training pairs: set --config.source=DATA_DIR/NAME (python -m data_prep.build makes one)")
    training = _open(source, _TRAINING)
    if dev:
        return training, _open(dev, _DEV + _TRAINING)
    folder, _ = split_reference(source)
    for name in _DEV:
        if name in training.splits and name != training.split:
            return training, _open(f"{folder}@{name}", (name,))
    if not 0 < dev_fraction < 1:
        raise InputError(f"--config.dev_fraction={dev_fraction} must lie between 0 and 1, or set --config.dev")
    rest, held_out = split_by_hash(training.rows, fraction=dev_fraction, seed=seed)
    if not len(rest) or not len(held_out):
        raise InputError(
            f"{source}: {len(training.rows)} rows cannot be split for --config.dev_fraction={dev_fraction}"
        )
    share = f"{dev_fraction:g} held out"
    return (
        dataclasses.replace(training, rows=rest, split_name=f"{training.split} without {share}"),
        dataclasses.replace(training, rows=held_out, split_name=f"{training.split} ({share}, seed {seed})"),
    )


def open_targets(references: Sequence[str]) -> dict[str, Task]:
    """Opens targets by the name under which their reports are written.

    Raises:
      InputError: there is none, one is named twice, or one cannot be opened.
    """
    if not references:
        raise InputError("no targets: name at least one dataset, as in DATA_DIR/NAME or DATA_DIR/NAME@SPLIT")
    tasks = [_open(reference, _TARGET) for reference in references]
    names = [task.name for task in tasks]
    targets = {}
    for name, task in zip(names, tasks, strict=True):
        unique = name if names.count(name) == 1 else f"{name}@{task.split}"
        if unique in targets:
            raise InputError(f"target '{task.reference}' is named twice")
        targets[unique] = task
    return targets


def open_training_split(target: Task) -> Task:
    """Opens the training pairs of a target's dataset.

    Raises:
      InputError: there are none beside those that the target is evaluated on.
    """
    (name,) = _TRAINING
    if name not in target.splits or name == target.split_name:
        raise InputError(f"{target.name} has no split '{name}' beside the evaluated '{target.split_name}'")
    return _open(f"{split_reference(target.reference)[0]}@{name}", _TRAINING)


def _open(reference: str, default: tuple[str, ...]) -> Task:
    split = open_split(reference, default=default)
    return Task(
        reference=reference,
        name=split.name,
        split=split.split,
        split_name=split.split,
        fingerprint=split.fingerprint,
        rows=PairSource(split),
        synthetic=bool(split.info.get("synthetic", False)),
        splits=tuple(split.info["splits"]),
    )
