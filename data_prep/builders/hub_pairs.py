"""Dataset `hub_pairs`: pairs that a dataset repository of the Hugging Face hub holds, read as those of `pairs`."""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep import writer
from data_prep.builders.dataset import NAME, OFFLINE, SHARES, SPLIT, as_function, flag
from data_prep.builders.pairs import read_pairs
from data_prep.builders.table_dataset import TASK, Rows, TableDataset, divide
from data_prep.card import CardFacts
from data_prep.downloads import HubFiles, fetch_subset
from data_prep.sources import DOWNLOADS
from data_prep.splits import choose_fractions
from lingjax.errors import InputError


@dataclasses.dataclass(frozen=True)
class HubPairs(TableDataset):
    """A subset of a repository, its revision resolved to a commit, which is recorded; its own splits are kept."""

    dataset = "hub_pairs"

    repo: str = flag("dataset repository OWNER/NAME on the hub, or on the server that HF_ENDPOINT names")
    subset: str | None = flag("a configuration, folder or file stem in it; needed if there is more than one", None)
    revision: str = flag("branch, tag or commit", "main")
    name: str | None = flag(f"{NAME}; without it, that of the subset", None)
    published_splits: Sequence[str] | None = flag("the repository's splits to read; without it, all", None)
    split: str | None = flag(f"{SPLIT}; without it or --splits, the repository's own splits are kept", None)
    splits: Sequence[str] | None = flag(SHARES, None)
    offline: bool = flag(OFFLINE, False)

    @property
    def stored_name(self) -> str:
        """The name under which the dataset is stored."""
        return self.name or re.sub(r"\W", "_", self.subset or self.repo.rpartition("/")[2])

    @property
    def fractions(self) -> dict[str, float] | None:
        """The share of each split; None keeps those of the repository."""
        return choose_fractions(self.split, self.splits) if self.split or self.splits else None

    def check(self) -> None:
        """Checks the flags; as `TableDataset.check`."""
        choose_fractions(self.split, self.splits)

    def find(self) -> HubFiles:
        """Downloads the files; as `TableDataset.find`."""
        notes = Path(self.data_dir).expanduser() / DOWNLOADS / "hub"
        return fetch_subset(
            self.repo,
            self.subset,
            revision=self.revision,
            splits=self.published_splits,
            notes=notes,
            offline=self.offline,
        )

    def request(self, found: HubFiles) -> dict[str, object]:
        """Returns all that decides the content; as `TableDataset.request`."""
        return {
            "repo": self.repo,
            "subset": self.subset,
            "commit": found.commit,
            **({"published_splits": sorted(self.published_splits)} if self.published_splits else {}),
            "sources": writer.describe_sources([path for paths in found.paths.values() for path in paths]),
            "split_fractions": self.fractions and [*map(list, self.fractions.items())],
        }

    def read(self, found: HubFiles) -> Rows:
        """Reads the rows; as `TableDataset.read`."""
        return _read_splits(found, self.fractions)

    def card(self, found: HubFiles, sources: Sequence[Mapping[str, str]]) -> CardFacts:
        """Returns what the card says; as `TableDataset.card`."""
        page = f"https://huggingface.co/datasets/{self.repo}"
        told = {"name": self.stored_name, "repo": self.repo, "subset": self.subset, "revision": found.commit}
        return CardFacts(
            title=f"{self.subset or self.repo}: pairs from the hub",
            task=TASK,
            command=self.command(
                {**told, "published_splits": self.published_splits, "split": self.split, "splits": self.splits}
            ),
            sources=[{**source, "version": found.commit, "url": page} for source in sources],
            licences=[f"{page} states: {found.licence}." if found.licence else f"{page} states none."],
        )

    def describe(self, found: HubFiles) -> str:
        """Returns one sentence for TFDS."""
        subset = f", {self.subset}" if self.subset else ""
        return f"Pairs of {self.repo}{subset}, at commit {found.commit[:12]}."


build = as_function(HubPairs)


def _read_splits(fetched: HubFiles, fractions: Mapping[str, float] | None) -> Rows:
    published, dropped, optional, label_names = {}, Counter(), None, {}
    for split, paths in fetched.paths.items():
        table = read_pairs(paths, published=True)
        records = table.records
        if not records:
            dropped.update({f"{reason}, all of split '{split}'": count for reason, count in table.dropped.items()})
            continue
        if len(fetched.paths) > 1:
            # Rows are often numbered anew in each split.
            records = [{**record, "pair_id": f"{split}:{record['pair_id']}"} for record in records]
        published[split] = records
        dropped.update(table.dropped)
        label_names.update(dict.fromkeys(table.label_names))
        optional = [
            feature for feature in (table.optional if optional is None else optional) if feature in table.optional
        ]
    if not published:
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())
        raise InputError(f"no split of {', '.join(fetched.paths)} has a labelled pair ({left_out})")
    for records in published.values():
        for record in records:
            for feature in ("identity", "source"):
                if feature in record and feature not in optional:
                    del record[feature]
                    dropped[f"values of column '{feature}', which not every split has"] += 1
    if fractions is not None:
        published = divide([record for records in published.values() for record in records], fractions)
    return Rows(published, optional, dict(dropped), tuple(label_names))
