"""Tasks of pairs that are made from sequences: their common flags, and the order in which all of them work."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from data_prep import writer
from data_prep.biology import blast
from data_prep.biology.pair_dataset import write_pairs
from data_prep.biology.pair_requests import (
    GENBANK_LICENCE,
    check_choice,
    check_evalue,
    check_num_pairs,
    shorten_references,
)
from data_prep.biology.pair_splits import SPLIT_BY
from data_prep.biology.regions import REGIONS
from data_prep.builders.dataset import EMAIL, NAME, OFFLINE, SHARES, SPLIT, Dataset, flag
from data_prep.card import CardFacts
from data_prep.sources import DOWNLOADS, distinct_names, find_files
from data_prep.splits import choose_fractions
from data_prep.stages import tell_stage

IDENTITY = "least and greatest identity of a positive, 0 to 1; 0.3,0.6 are remote homologs, 0.6,1 close ones"
IDENTICAL = "drop or keep pairs of equal texts"
_SEQUENCES = "files, glob patterns, or names such as nuccore:NC_004829.1"


@dataclasses.dataclass(frozen=True)
class InputFiles:
    """The files that each of some flags stands for."""

    by_flag: Mapping[str, Sequence[Path]]

    @property
    def paths(self) -> list[Path]:
        """All files, each once."""
        return list(dict.fromkeys(path for paths in self.by_flag.values() for path in paths))

    def describe(self) -> dict[str, list[dict[str, str]]]:
        """Returns what a request holds of them."""
        return {flag: writer.describe_sources(paths) for flag, paths in self.by_flag.items()}

    def names(self, flag: str) -> list[str] | None:
        """Returns the names of a flag's files without folders, None if there are no files."""
        names = dict(zip(self.paths, distinct_names(self.paths), strict=True))
        return [names[path] for path in self.by_flag[flag]] or None


@dataclasses.dataclass(frozen=True)
class MadePairs:
    """Pairs before they are divided, with what a card says of where they come from.

    Attributes:
      records: positives and negatives of all splits.
      sources: what is known of each file.
      filters: what came in and what was left out, in order.
      assigned: the split of each cluster or organism, if it has been decided.
      licences: what the sources are under.
    """

    records: Sequence[Mapping[str, object]]
    sources: Sequence[Mapping[str, object]]
    filters: Mapping[str, int]
    assigned: Mapping[str, str] | None = None
    licences: Sequence[str] = (GENBANK_LICENCE,)


@dataclasses.dataclass(frozen=True)
class PairTask(Dataset):
    """A task of pairs whose labels BLAST vouches for; a subclass says what its texts are and how they are paired."""

    title: ClassVar[str]  # of the card, behind the dataset's name
    programs: ClassVar[Sequence[str]]  # of BLAST, that the task runs
    search_options: ClassVar[Sequence[str]] = ()

    name: str = flag(NAME, decides=False)
    num_pairs: int | None = flag("rows, half of them positive; without it, all that can be made", None)
    evalue: float = flag("greatest E-value of a hit between homologs, and of the two texts of a pair alone", 1e-5)
    split_by: str = flag(
        "what may not be in two splits: cluster (of homologs), organism or, by hash, neither", "cluster"
    )
    split: str | None = flag(SPLIT, None, decides=False)
    splits: Sequence[str] | None = flag(f"{SHARES}; without it, train:0.8,test:0.2", None, decides=False)
    compare_with: Sequence[str] = flag("datasets with which overlap is measured, as in DIR/paws_en@train", ())
    seed: int = flag("decides all that is drawn: windows, partners, shuffles", 0)
    offline: bool = flag(OFFLINE, False, decides=False)
    email: str | None = flag(EMAIL, None, decides=False)

    def build(self) -> list[Path]:
        """Builds the dataset; as `Dataset.build`."""
        self.check()
        version = blast.find_version(self.programs[-1])
        files = self.find()
        request = {"dataset": self.dataset, **self.request(files), "blast": version}
        if built := self.find_built(self.name, request):
            return [built]
        tell_stage(f"reading {len(files.paths):,} file{'s' * (len(files.paths) != 1)}")
        made = self.make(files)
        folder = write_pairs(
            self.data_dir,
            self.name,
            made.records,
            request=request,
            fractions=self.fractions,
            split_by=self.split_by,
            facts=self.card(files, made),
            description=self.description,
            compare_with=self.compare_with,
            evalue=self.evalue,
            program=self.measured_programs,
            assigned=made.assigned,
            num_pairs=self.num_pairs,
            overwrite=self.overwrite,
        )
        return [folder]

    def check(self) -> None:
        """Raises an InputError unless each flag has a value that it may have."""
        check_choice("split_by", self.split_by, SPLIT_BY)
        check_num_pairs(self.num_pairs)
        check_evalue(self.evalue)
        choose_fractions(self.split, self.splits)

    def told(self) -> dict[str, object]:
        """Returns the flags that decide the content, those of the task first, as request and card tell them."""
        common = {field.name for field in dataclasses.fields(PairTask)}
        fields = sorted(dataclasses.fields(self), key=lambda field: field.name in common)
        values = {field.name: getattr(self, field.name) for field in fields if field.metadata["decides"]}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {**plain, "compare_with": shorten_references(self.compare_with)}

    def request(self, files: InputFiles) -> dict[str, object]:
        """Returns all that decides the content, by which a built dataset is recognised."""
        return {**self.told(), **files.describe(), "split_fractions": [*map(list, self.fractions.items())]}

    def find(self) -> InputFiles:
        """Finds or downloads the files that the flags name."""
        raise NotImplementedError

    def find_files(self, flag: str, names: Sequence[str]) -> list[Path]:
        """Returns the files that a flag stands for; as `data_prep.sources.find_files`."""
        cache_dir = Path(self.data_dir) / DOWNLOADS
        return find_files(names, flag=f"--{flag}", cache_dir=cache_dir, offline=self.offline, email=self.email)

    def make(self, files: InputFiles) -> MadePairs:
        """Makes the pairs of all splits."""
        raise NotImplementedError

    def card(self, files: InputFiles, made: MadePairs) -> CardFacts:
        """Returns what the card says beside what is measured."""
        named = {flag: files.names(flag) for flag in files.by_flag}
        if named.get("subject") == named.get("query"):
            named["subject"] = None
        named = {"source" if flag == "sources" else flag: names for flag, names in named.items() if names}
        options = self.search_options
        return CardFacts(
            title=f"{self.name}: {self.title}",
            task=self.explain(files),
            command=self.command(
                {**named, "name": self.name, **self.told(), "split": self.split, "splits": self.splits}
            ),
            sources=made.sources,
            tools=[blast.describe(program, evalue=self.evalue, options=options) for program in self.programs],
            filters=made.filters,
            licences=made.licences,
        )

    def explain(self, files: InputFiles) -> str:
        """Returns the card's paragraph on what a pair is and what its label means."""
        raise NotImplementedError

    @property
    def description(self) -> str:
        """One sentence for TFDS."""
        raise NotImplementedError

    @property
    def measured_programs(self) -> Sequence[str]:
        """The programs that look for homologs between splits."""
        return self.programs

    @property
    def fractions(self) -> dict[str, float]:
        """The share of each split."""
        return choose_fractions(self.split, self.splits)


@dataclasses.dataclass(frozen=True)
class SourceTask(PairTask):
    """A task whose sequences come from the flag `--source` alone."""

    source: Sequence[str] = flag(_SEQUENCES, decides=False)

    def find(self) -> InputFiles:
        """Finds or downloads the files; as `PairTask.find`."""
        return InputFiles({"sources": self.find_files("source", self.source)})


@dataclasses.dataclass(frozen=True)
class SearchedTask(PairTask):
    """A task whose positives are cut from the hits of DNA in DNA."""

    query: Sequence[str] = flag(f"FASTA or GenBank whose sequences are searched for: {_SEQUENCES}", decides=False)
    subject: Sequence[str] | None = flag("the same, to search in; without it, the query", None, decides=False)
    regions: str = flag("what is searched: cds of GenBank records, or whole sequences", "cds")
    length: str | None = flag("letters of each text, or 'full' for whole aligned regions; without it, 50", None)

    def find(self) -> InputFiles:
        """Finds or downloads the files; as `PairTask.find`."""
        queries = self.find_files("query", self.query)
        # A file that has two names, as relative and absolute path, is one, or a sequence would be its own homolog.
        known = {path.resolve(): path for path in queries}
        found = self.find_files("subject", self.subject) if self.subject else queries
        return InputFiles({"query": queries, "subject": [known.get(path.resolve(), path) for path in found]})

    def check(self) -> None:
        """Checks the flags; as `PairTask.check`."""
        check_choice("regions", self.regions, REGIONS)
        super().check()
