"""Opens the datasets that a configuration names, and describes them for the report."""

import dataclasses
from typing import Any

from lingjax.data import DatasetSplit, PairSource, SubsetSource, open_split, split_by_hash
from lingjax.errors import InputError

_TRAINING = ("train",)
_DEV = ("validation", "dev")
_TARGET = ("test", "validation", "dev")


@dataclasses.dataclass(frozen=True)
class Task:
    """Pairs and where they come from."""

    reference: str
    split: DatasetSplit
    split_name: str
    rows: PairSource | SubsetSource

    @property
    def synthetic(self) -> bool:
        """Whether a simulator of ours made the pairs."""
        return bool(self.split.info.get("synthetic", False))

    def to_json(self) -> dict[str, Any]:
        """Returns the dataset's entry in the report."""
        return {
            "dataset": self.split.name,
            "split": self.split_name,
            "fingerprint": self.split.fingerprint,
            "rows": len(self.rows),
            "label_counts": self.rows.label_counts,
            "synthetic": self.synthetic,
        }


def open_source(source: str, dev: str, *, dev_fraction: float, seed: int) -> tuple[Task, Task]:
    """Opens the training pairs and the dev pairs.

    Args:
      source: reference of the training pairs.
      dev: reference of the dev pairs; empty takes the source's own validation split, and where there is none, holds out
        a share of the training pairs by the hash of their ids.
      dev_fraction: that share.
      seed: of the hash.
    """
    if not source:
        raise InputError("no training pairs: set --config.source=DATA_DIR/NAME (python -m data_prep.build makes one)")
    training = _open(source, _TRAINING)
    if dev:
        return training, _open(dev, _DEV + _TRAINING)
    folder = source.partition("@")[0]
    available = training.split.info["splits"]
    for name in _DEV:
        if name in available and name != training.split.split:
            return training, _open(f"{folder}@{name}", (name,))
    if not 0 < dev_fraction < 1:
        raise InputError(f"--config.dev_fraction={dev_fraction} must lie between 0 and 1, or set --config.dev")
    rest, held_out = split_by_hash(training.rows, fraction=dev_fraction, seed=seed)
    if not len(rest) or not len(held_out):
        raise InputError(
            f"{source}: {len(training.rows)} rows cannot be split for --config.dev_fraction={dev_fraction}"
        )
    share = f"{training.split.split} ({dev_fraction:g} held out, seed {seed})"
    return (
        Task(source, training.split, f"{training.split.split} without {dev_fraction:g} held out", rest),
        Task(source, training.split, share, held_out),
    )


def open_targets(references: list[str]) -> dict[str, Task]:
    """Opens targets by the name under which their reports are written.

    Raises:
      InputError: there is none, one is named twice, or one cannot be opened.
    """
    if not references:
        raise InputError("no targets: name at least one dataset, as in DATA_DIR/NAME or DATA_DIR/NAME@SPLIT")
    tasks = [_open(reference, _TARGET) for reference in references]
    names = [task.split.name for task in tasks]
    targets = {}
    for name, task in zip(names, tasks, strict=True):
        unique = name if names.count(name) == 1 else f"{name}@{task.split.split}"
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
    if name not in target.split.info["splits"] or name == target.split_name:
        raise InputError(f"{target.split.name} has no split '{name}' beside the evaluated '{target.split_name}'")
    return _open(f"{target.reference.partition('@')[0]}@{name}", _TRAINING)


def _open(reference: str, default: tuple[str, ...]) -> Task:
    split = open_split(reference, default=default)
    return Task(reference, split, split.split, PairSource(split))
