"""The folder in which downloads are kept, each with a note of where it came from and what it is, and the databases."""

import dataclasses
import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from data_prep.downloads.patience import DownloadError, Patience
from data_prep.downloads.web import Web
from lingjax.errors import InputError
from lingjax.sealed import read_sealed, write_sealed

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Addresses:
    """Base addresses without a closing slash.

    Attributes:
      eutils: NCBI's E-utilities, with `efetch.fcgi` below it.
      genomes: NCBI's genomes, with `GCF/000/286/675/` below it.
      uniprot_files: UniProt's releases, with `current_release/` and `previous_releases/` below it.
      uniprot_entries: single entries of UniProtKB, with `P04637.fasta` below it.
    """

    eutils: str = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"
    genomes: str = "https://ftp.ncbi.nlm.nih.gov/genomes/all"
    uniprot_files: str = "https://ftp.uniprot.org/pub/databases/uniprot"
    uniprot_entries: str = "https://rest.uniprot.org/uniprotkb"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Addresses":
        """Returns the official addresses, or what `NCBI_EUTILS_URL` and the like give in their stead."""
        environment = os.environ if environment is None else environment
        variables = {
            "eutils": "NCBI_EUTILS_URL",
            "genomes": "NCBI_GENOMES_URL",
            "uniprot_files": "UNIPROT_FILES_URL",
            "uniprot_entries": "UNIPROT_ENTRIES_URL",
        }
        given = {field: environment.get(variable, "").rstrip("/") for field, variable in variables.items()}
        return cls(**{field: address for field, address in given.items() if address})


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A file that a name stands for.

    Attributes:
      name: as the user gives it.
      file: where it is kept, below the cache's folder.
      url: where it comes from, and where a person can fetch it.
      advice: what the person has to know about that page.
      check: returns facts found in the file, such as its version, or raises `DownloadError` if it is not what it must
        be.
      download: brings the file to a path, checked, unless another process has done so by then, and returns facts.
    """

    name: str
    file: str
    url: str
    advice: str
    check: Callable[[Path], Mapping[str, str]]
    download: Callable[[Path], Mapping[str, str]]


class Cache:
    """Downloads that are made once.

    Args:
      folder: made if need be.
      offline: whether to do without the network.
      email: for NCBI, which asks who is asking.
      addresses: where the databases are, by default what the environment says.
      patience: with servers.
      web: does the requests; by default with that patience.
    """

    def __init__(
        self,
        folder: Path,
        *,
        offline: bool = False,
        email: str | None = None,
        addresses: Addresses | None = None,
        patience: Patience | None = None,
        web: Web | None = None,
    ):
        self.folder = folder
        self.offline = offline
        self.email = email
        self.addresses = addresses or Addresses.from_environment()
        self.patience = patience or Patience()
        self.web = web or Web(self.patience)

    def obtain(self, wanted: Wanted) -> Path:
        """Returns the path of a file, downloaded if it is not here yet; one put here by hand is checked and noted.

        Raises:
          InputError: it cannot be had, or what is here is not what it must be; the message says what to do.
        """
        path = self.folder / wanted.file
        if path.exists():
            self._check_kept(wanted, path)
            return path
        by_hand = f"fetch {wanted.url} ({wanted.advice}) elsewhere and put it by hand at {path}"
        if self.offline:
            raise InputError(f"{wanted.name} is not in the cache; run once without --offline, or {by_hand}")
        try:
            facts = wanted.download(path)
        except DownloadError as error:
            raise InputError(f"cannot download {wanted.name}: {error}; try again, or {by_hand}") from error
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error
        self._note(wanted, path, {**facts, "fetched_utc": self.patience.now().isoformat(timespec="seconds")})
        return path

    def _check_kept(self, wanted: Wanted, path: Path) -> None:
        note = read_note(path)
        try:
            if note is None:
                _LOG.warning("%s has no note of where it came from, and is taken as put there by hand", path)
                self._note(wanted, path, wanted.check(path))
            elif (now := _hash(path)) != note["sha256"]:
                raise InputError(
                    f"{path} is not what was downloaded (SHA-256 {now[:12]}..., not {note['sha256'][:12]}...); "
                    "remove it and try again"
                )
        except DownloadError as error:
            raise InputError(f"{path} is not {wanted.name}: {error}; remove it and try again") from error
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error

    def _note(self, wanted: Wanted, path: Path, facts: Mapping[str, str]) -> None:
        size = path.stat().st_size
        write_sealed(
            note_path(path), {"name": wanted.name, "url": wanted.url, **facts, "sha256": _hash(path), "size": size}
        )


def describe_file(path: Path) -> dict[str, str]:
    """Returns what a dataset's card says of a source: name and SHA-256 of the file and, if it was downloaded, whence.

    The time of the download is not among it: it decides nothing.
    """
    kept = ("accession", "organism", "url", "version")
    note = read_note(path) or {}
    return {"path": path.name, "sha256": _hash(path), **{key: note[key] for key in kept if note.get(key)}}


def note_path(path: Path) -> Path:
    """Returns the path of the note about a file."""
    return path.with_name(f"{path.name}.json")


def read_note(path: Path) -> dict | None:
    """Returns the note about a file; None if there is none, as of a file put there by hand.

    Raises:
      InputError: the note is damaged; without it the file is checked as if put there by hand.
    """
    return read_sealed(note_path(path), needed=("sha256",)) if note_path(path).exists() else None


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
