"""Dataset `paws_x`: PAWS-X in one of its seven languages, downloaded from its official address and checked.

Source: Yang et al. 2019, https://github.com/google-research-datasets/paws/tree/master/pawsx
"""

import dataclasses
import tarfile
from collections import Counter
from pathlib import Path

from data_prep import writer
from data_prep.builders.pair_rows import read_pair
from data_prep.builders.pairs import write_rows
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


def build(
    data_dir: Path | str,
    *,
    language: str,
    name: str | None = None,
    offline: bool = False,
    overwrite: bool = False,
    archive: Archive = OFFICIAL_ARCHIVE,
) -> list[Path]:
    """Builds one language with splits train, validation and test, and returns its folder.

    The training pairs are machine translations, except in English; the others were translated by people. A pair keeps
    its id in every language. Rows without a translation and rows that are no pairs are left out and counted.

    Args:
      data_dir: folder of all datasets; the archive is kept in its folder `downloads` for the other languages.
      language: one of `LANGUAGES`.
      name: the dataset's name; by default `paws_` and the language.
      offline: whether the archive must be there already.
      overwrite: whether an existing dataset of this name built from other input is replaced.
      archive: what to download; tests bring their own.

    Raises:
      InputError: the language is unknown, or the download fails or is not what it must be.
    """
    if language not in LANGUAGES:
        raise InputError(f"--language={language} is not a language of PAWS-X; {nearest(language, LANGUAGES)}")
    name = name or f"paws_{language}"
    sources = [{"path": archive.name, "sha256": archive.sha256}]
    request = {"dataset": "paws_x", "language": language, "sources": sources}
    if built := writer.find_built(data_dir, name, request, overwrite=overwrite):
        return [built]
    cache = Cache(Path(data_dir).expanduser() / DOWNLOADS, offline=offline)
    path = cache.obtain(_want_archive(archive, cache))
    dropped = Counter()
    splits = _read_splits(path, language, dropped)
    facts = CardFacts(
        title=f"PAWS-X, language {language}",
        task=_TASK,
        command=f"python -m data_prep.build --dataset=paws_x --language={language} --name={name} --data_dir=DIR",
        sources=[{**source, "url": archive.url} for source in sources],
        licences=[_LICENCE],
    )
    folder = write_rows(
        data_dir,
        name,
        splits,
        optional=(),
        dropped=dropped,
        description=f"PAWS-X, language {language}: pairs of sentences, labelled 1 for paraphrases and 0 for others.",
        request=request,
        facts=facts,
        overwrite=overwrite,
    )
    return [folder]


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
