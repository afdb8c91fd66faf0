"""Dataset `paws_x`: PAWS-X in one of its seven languages, downloaded from its official address and checked.

Source: Yang et al. 2019, https://github.com/google-research-datasets/paws/tree/master/pawsx
"""

import dataclasses
import tarfile
import urllib.request
from collections import Counter
from pathlib import Path

from data_prep import writer
from data_prep.atomic_folder import incomplete_folder
from data_prep.builders.pair_rows import read_pair
from data_prep.formats.tables import Row, parse_table
from lingjax.errors import InputError, nearest

LANGUAGES = ("de", "en", "es", "fr", "ja", "ko", "zh")
DOWNLOADS = "downloads"
# Some human translations are missing; the official files say so by this word, or by nothing.
_UNTRANSLATED = ("NS", "")
_CONNECT_SECONDS = 20


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
    downloads = Path(data_dir).expanduser() / DOWNLOADS
    try:
        path = _download(archive, downloads)
    except OSError as error:
        raise InputError(f"cannot write {downloads}: {error.strerror or error}") from error
    dropped = Counter()
    splits = _read_splits(path, language, dropped)
    folder = writer.write_dataset(
        data_dir,
        name,
        splits,
        kind="pairs",
        description=f"PAWS-X, language {language}: pairs of sentences, labelled 1 for paraphrases and 0 for others.",
        request=request,
        info={"dropped": dict(dropped), "synthetic": False},
        overwrite=overwrite,
    )
    return [folder]


def _download(archive: Archive, downloads: Path) -> Path:
    """Returns the archive's path in `downloads`; fetches it if it is not there, compares its checksum always."""
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import checksums

    kept = downloads / archive.name
    url_info = checksums.UrlInfo(size=archive.size, checksum=archive.sha256, filename=archive.name)
    by_hand = f"or fetch the file elsewhere and put it by hand at {kept}"
    if not kept.exists():
        _check_reachable(archive.url, by_hand)
    with incomplete_folder(downloads, archive.name) as folder:
        manager = tfds.download.DownloadManager(
            download_dir=folder,
            manual_dir=downloads,
            url_infos={archive.url: url_info},
            force_checksums_validation=True,
        )
        try:
            fetched = Path(manager.download(archive.url))
        except tfds.download.DownloadError as error:
            raise InputError(f"cannot download {archive.url}: {error}; try again, {by_hand}") from error
        except requests.RequestException as error:
            raise InputError(
                f"the download of {archive.url} broke off ({type(error).__name__}); try again, {by_hand}"
            ) from error
        except tfds.core.download.download_manager.NonMatchingChecksumError as error:
            where = f"{kept} is not the file" if kept.exists() else "what came is not the file"
            advice = "remove it and try again" if kept.exists() else "try again"
            raise InputError(
                f"{archive.url}: {where} of {archive.size:,} bytes with SHA-256 {archive.sha256[:12]}... "
                f"that it must be; {advice}"
            ) from error
        if fetched != kept:
            fetched.rename(kept)
    return kept


def _check_reachable(url: str, by_hand: str) -> None:
    """Fails at once where there is no network: TFDS would try ten times over several minutes."""
    try:
        urllib.request.urlopen(url, timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise InputError(f"cannot reach {url} ({reason}); try again with a network, {by_hand}") from error


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
