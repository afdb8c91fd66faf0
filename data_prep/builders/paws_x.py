"""Dataset `paws_x`: PAWS-X in one of its seven languages, downloaded from its official address and checked.

Source: Yang et al. 2019, https://github.com/google-research-datasets/paws/tree/master/pawsx
"""

import dataclasses
import tarfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.builders.dataset import NAME, OFFLINE, as_function, flag
from data_prep.builders.pair_rows import read_pair
from data_prep.builders.table_dataset import Rows, TableDataset
from data_prep.card import CardFacts
from data_prep.downloads import Cache, DownloadError, Expected, Received, Wanted, fetch
from data_prep.formats.tables import Row, parse_table
from data_prep.sources import DOWNLOADS
from lingjax.errors import InputError, nearest

_TASK = (
    "Two sentences with many words in common. Label 1: they are paraphrases. Label 0: they are not. The training pairs "
    "are machine translations, except in English; the others were translated by people."
)
# Source: https://github.com/google-research-datasets/paws, LICENSE.
_LICENCE = "PAWS-X: free for any purpose; acknowledging Google LLC as the data source would be appreciated."
LANGUAGES = ("de", "en", "es", "fr", "ja", "ko", "zh")
# Some human translations are missing; the official files say so by this word, or by nothing.
_UNTRANSLATED = ("NS", "")


@dataclasses.dataclass(frozen=True)
class Archive:
    """Where an archive is and what it must be; `sha256` is of the compressed file."""

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rpartition("/")[2]


# Size and checksum are those registered with TFDS's own builder of this dataset, `paws_x_wiki`.
OFFICIAL_ARCHIVE = Archive(
    url="https://storage.googleapis.com/paws/pawsx/x-final.tar.gz",
    size=30_282_057,
    sha256="4146db499101d66e68ae4c8ed3cf9dadecd625f44b7d8cf3d4a0fe93afc4fd9f",
)


@dataclasses.dataclass(frozen=True)
class PawsX(TableDataset):
    """One language, with splits train, validation and test.

    The training pairs are machine translations, except in English; the others were translated by people. A pair keeps
    its id in every language. Rows without a translation and rows that are no pairs are left out and counted.
    """

    dataset = "paws_x"

    language: str = flag(", ".join(LANGUAGES))
    name: str | None = flag(f"{NAME}; without it, paws_ and the language", None)
    offline: bool = flag(OFFLINE, False)
    archive: Archive = dataclasses.field(default=OFFICIAL_ARCHIVE, kw_only=True)  # tests bring their own

    @property
    def stored_name(self) -> str:
        """The name under which the dataset is stored."""
        return self.name or f"paws_{self.language}"

    def check(self) -> None:
        """Checks the flags; as `TableDataset.check`."""
        if self.language not in LANGUAGES:
            raise InputError(
                f"--language={self.language} is not a language of PAWS-X; {nearest(self.language, LANGUAGES)}"
            )

    def find(self) -> None:
        """Finds nothing: what the archive must be is known before it is downloaded."""

    def request(self, found: None) -> dict[str, object]:
        """Returns all that decides the content; as `TableDataset.request`."""
        sources = [{"path": self.archive.name, "sha256": self.archive.sha256}]
        return {"language": self.language, "sources": sources}

    def read(self, found: None) -> Rows:
        """Downloads the archive, if need be, and reads the rows; as `TableDataset.read`."""
        cache = Cache(Path(self.data_dir).expanduser() / DOWNLOADS, offline=self.offline)
        dropped = Counter()
        splits = _read_splits(cache.obtain(_want_archive(self.archive, cache)), self.language, dropped)
        return Rows(splits, (), dropped)

    def card(self, found: None, sources: Sequence[Mapping[str, str]]) -> CardFacts:
        """Returns what the card says; as `TableDataset.card`."""
        return CardFacts(
            title=f"PAWS-X, language {self.language}",
            task=_TASK,
            command=self.command({"language": self.language, "name": self.stored_name}),
            sources=[{**source, "url": self.archive.url} for source in sources],
            licences=[_LICENCE],
        )

    def describe(self, found: None) -> str:
        """Returns one sentence for TFDS."""
        return f"PAWS-X, language {self.language}: pairs of sentences, labelled 1 for paraphrases and 0 for others."


build = as_function(PawsX)


def _want_archive(archive: Archive, cache: Cache) -> Wanted:
    expected = Expected(size=archive.size, sha256=archive.sha256)

    def check(path: Path) -> dict[str, str]:
        if problem := expected.problem(Received.read(path)):
            raise DownloadError(problem)
        return {}

    def download(path: Path) -> dict[str, str]:
        fetch(cache.web, archive.url, path, expected=expected)
        return {}

    return Wanted("PAWS-X", archive.name, archive.url, "30 MB", check, download)


def _read_splits(path: Path, language: str, dropped: Counter) -> dict[str, list[dict]]:
    files = {
        "train": "train.tsv" if language == "en" else "translated_train.tsv",
        "validation": "dev_2k.tsv",
        "test": "test_2k.tsv",
    }
    splits = {}
    with tarfile.open(path, "r:gz") as archive:
        for split, file in files.items():
            member = f"x-final/{language}/{file}"
            try:
                content = archive.extractfile(member).read()
            except KeyError:
                raise InputError(f"{path} holds no file {member}") from None
            table = parse_table(content, member)
            records = [
                record
                for number, row in enumerate(table.rows, start=1)
                if (record := _read_row(row, number, split, dropped)) is not None
            ]
            dropped[f"malformed rows of {split}"] += len(table.problems)
            splits[split] = records
    for reason in [reason for reason, count in dropped.items() if not count]:
        del dropped[reason]
    return splits


def _read_row(row: Row, number: int, split: str, dropped: Counter) -> dict | None:
    if any(row.values.get(column) in _UNTRANSLATED for column in ("sentence1", "sentence2")):
        dropped[f"untranslated rows of {split}"] += 1
        return None
    record, faults = read_pair(row, default_id=str(number))
    if faults:
        dropped[f"malformed rows of {split}"] += 1
        return None
    # Each file counts from 1; the split keeps the ids of one dataset apart.
    return {**record, "pair_id": f"{split}:{record['pair_id']}"}
