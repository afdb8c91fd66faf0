"""What the flags `--query` and `--subject` stand for: files, their regions, and what a card says of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.biology.regions import Region, read_regions
from data_prep.sources import distinct_names, find_files
from data_prep.tally import Tally
from data_prep.writer import describe_sources
from lingjax.errors import InputError


@dataclasses.dataclass(frozen=True)
class DnaFiles:
    """The files of a search.

    Attributes:
      queries, subjects: paths; the same where no subject is given.
    """

    queries: tuple[Path, ...]
    subjects: tuple[Path, ...]

    @property
    def paths(self) -> list[Path]:
        """All files, each once."""
        return list(dict.fromkeys([*self.queries, *self.subjects]))

    def describe(self) -> dict[str, list]:
        """Returns what a request holds of them."""
        return {"query": describe_sources(self.queries), "subject": describe_sources(self.subjects)}

    def flags(self) -> dict[str, list[str] | None]:
        """Returns the flags that name them, without folders."""
        names = dict(zip(self.paths, distinct_names(self.paths), strict=True))
        subjects = None if self.subjects == self.queries else [names[path] for path in self.subjects]
        return {"query": [names[path] for path in self.queries], "subject": subjects}


def find_dna_files(
    query: Sequence[str], subject: Sequence[str] | None, *, cache_dir: Path, offline: bool, email: str | None
) -> DnaFiles:
    """Finds or downloads the files; as `find_files`."""
    settings = {"cache_dir": cache_dir, "offline": offline, "email": email}
    queries = tuple(find_files(query, flag="--query", **settings))
    # A file that has two names, as relative and absolute path, is one, or a sequence would be its own homolog.
    known = {path.resolve(): path for path in queries}
    found = find_files(subject, flag="--subject", **settings) if subject else queries
    return DnaFiles(queries, tuple(known.get(path.resolve(), path) for path in found))


def read_dna(
    files: DnaFiles, tally: Tally, *, regions: str, least_letters: int
) -> tuple[list[Region], list[Region], list[Mapping[str, object]]]:
    """Reads the regions to search for and to search in, and describes each file for a card.

    Raises:
      InputError: the files cannot be used, or no region is long enough.
    """
    by_file = read_regions(files.paths, tally, regions=regions, least_letters=least_letters)
    regions_of = dict(zip(files.paths, by_file, strict=True))
    sides = [[region for path in paths for region in regions_of[path]] for paths in (files.queries, files.subjects)]
    for flag, found in zip(("--query", "--subject"), sides, strict=True):
        if not found:
            raise InputError(f"{flag}: no sequence has the {least_letters:,} letters of a text; give a lower --length")
    described = [
        {
            **source,
            "accession": ", ".join(dict.fromkeys(region.record for region in found)),
            "organism": ", ".join(dict.fromkeys(region.organism for region in found)),
            "regions": len(found),
        }
        for source, found in zip(describe_sources(files.paths), by_file, strict=True)
    ]
    return *sides, [_shorten(source) for source in described]


def _shorten(source: Mapping[str, object], *, most: int = 200) -> dict[str, object]:
    """Returns a description without the names of the thousands of records that a FASTA file may hold."""
    return {
        key: value if not isinstance(value, str) or len(value) <= most else f"{value[:most].rpartition(', ')[0]}, ..."
        for key, value in source.items()
    }
