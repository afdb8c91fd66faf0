"""Datasets whose rows are pairs already: the order in which all of them work."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from data_prep import writer
from data_prep.builders.dataset import Dataset
from data_prep.card import CardFacts, write_card
from data_prep.splits import choose_split

TASK = (
    "Label 1: the two texts say the same, or belong together in the way that the sources state. Label 0: they do not."
)
Found = TypeVar("Found")


@dataclasses.dataclass(frozen=True)
class Rows:
    """What was read.

    Attributes:
      by_split: the records of each split.
      optional: the optional features that all of them have.
      dropped: counts of what was left out.
      label_names: what files call labels 0 and 1, where they say.
    """

    by_split: Mapping[str, Sequence[Mapping[str, object]]]
    optional: Sequence[str]
    dropped: Mapping[str, int]
    label_names: Sequence[Sequence[str]] = ()


@dataclasses.dataclass(frozen=True)
class TableDataset(Dataset):
    """A dataset of pairs that are read, not made; a subclass says where they are found."""

    def build(self) -> list[Path]:
        """Builds the dataset; as `Dataset.build`."""
        self.check()
        found = self.find()
        request = {"dataset": self.dataset, **self.request(found)}
        if built := self.find_built(self.stored_name, request):
            return [built]
        rows = self.read(found)
        left_out = {f"left out: {what}": count for what, count in rows.dropped.items()}
        filters = {**left_out, "rows": sum(map(len, rows.by_split.values()))}
        facts = self.card(found, request["sources"])
        named = "".join(f" In the files label 0 is called '{no}' and label 1 '{yes}'." for no, yes in rows.label_names)
        facts = dataclasses.replace(facts, task=facts.task + named, filters=filters)
        folder = writer.write_dataset(
            self.data_dir,
            self.stored_name,
            rows.by_split,
            kind="pairs",
            description=self.describe(found),
            request=request,
            info={"dropped": dict(rows.dropped), "synthetic": False},
            optional=rows.optional,
            beside=lambda folder: write_card(folder, rows.by_split, facts),
            overwrite=self.overwrite,
        )
        return [folder]

    @property
    def stored_name(self) -> str:
        """The name under which the dataset is stored."""
        return self.name

    def check(self) -> None:
        """Raises an InputError unless each flag has a value that it may have."""
        raise NotImplementedError

    def find(self) -> Found:
        """Finds what the flags name."""
        raise NotImplementedError

    def request(self, found: Found) -> dict[str, object]:
        """Returns all that decides the content, by which a built dataset is recognised, with its `sources`."""
        raise NotImplementedError

    def read(self, found: Found) -> Rows:
        """Reads the rows."""
        raise NotImplementedError

    def card(self, found: Found, sources: Sequence[Mapping[str, str]]) -> CardFacts:
        """Returns what the card says beside counts."""
        raise NotImplementedError

    def describe(self, found: Found) -> str:
        """Returns one sentence for TFDS."""
        raise NotImplementedError


def divide(
    records: Sequence[Mapping[str, object]], fractions: Mapping[str, float]
) -> dict[str, list[Mapping[str, object]]]:
    """Returns the records of each split, which the hash of their ids decides."""
    by_split = {split: [] for split in fractions}
    for record in records:
        by_split[choose_split(record["pair_id"], fractions)].append(record)
    return by_split
