"""Swiss-Prot releases and single entries of UniProtKB."""

import contextlib
import re
import shutil
import tarfile
import xml.etree.ElementTree
import zlib
from pathlib import Path
from typing import BinaryIO

from data_prep.downloads.cache import Cache, Wanted
from data_prep.downloads.contents import check_fasta
from data_prep.downloads.fetch import Expected, claim_partial, fetch
from data_prep.downloads.patience import DownloadError
from lingjax.errors import InputError

_FASTA = "uniprot_sprot.fasta.gz"
_METALINK = "RELEASE.metalink"
_KEPT = "swissprot_{}.fasta.gz"
CURRENT = "current"


def want_swissprot(name: str, release: str, cache: Cache) -> Wanted:
    """Returns how the sequences of a Swiss-Prot release are had, compared with UniProt's list of checksums.

    Former releases lie in an archive of more than a gigabyte that also holds the annotation; it is not kept.

    Args:
      name: as the user gave it.
      release: for example 2025_03, or "current", which is looked up.
      cache: brings server and patience.

    Raises:
      InputError: "current" cannot be looked up.

    Source: https://ftp.uniprot.org/pub/databases/uniprot/, whose README files describe it.
    """
    current = f"{cache.addresses.uniprot_files}/current_release/knowledgebase/complete"
    if release == CURRENT:
        release = _look_up_current(name, current, cache)
    former = f"{cache.addresses.uniprot_files}/previous_releases/release-{release}/knowledgebase"
    archive = f"uniprot_sprot-only{release}.tar.gz"
    advice = f"{_FASTA} in it; the current release has {current}/{_FASTA}"

    def check(path: Path) -> dict[str, str]:
        check_fasta(path, ">sp|")
        return {"version": release}

    def download(path: Path) -> dict[str, str]:
        metalink = _Metalink(cache.web.get_text(f"{current}/{_METALINK}")[0])
        if metalink.release == release:
            fetch(cache.web, f"{current}/{_FASTA}", path, expected=metalink.expected(_FASTA), check=check)
            return {"version": release, "url": f"{current}/{_FASTA}"}
        metalink = _Metalink(cache.web.get_text(f"{former}/{_METALINK}")[0])
        kept = path.with_name(archive)
        with claim_partial(path) as partial:
            if partial is not None:
                fetch(cache.web, f"{former}/{archive}", kept, expected=metalink.expected(archive))
                partial.file.truncate(0)
                _unpack(kept, _FASTA, partial.file)
                partial.file.flush()
                check(partial.path)
                partial.put_in_place()
                kept.unlink()
        return {"version": release, "url": f"{former}/{archive}"}

    return Wanted(name, f"uniprot/{_KEPT.format(release)}", f"{former}/{archive}", advice, check, download)


def want_entry(name: str, accession: str, cache: Cache) -> Wanted:
    """Returns how the sequence of one UniProtKB entry is had.

    Args:
      name: as the user gave it.
      accession: for example P04637.
      cache: brings server and patience.
    """
    url = f"{cache.addresses.uniprot_entries}/{accession}.fasta"

    def check(path: Path) -> dict[str, str]:
        title = check_fasta(path)
        found = re.match(r">(?:sp|tr)\|(\w+)\|", title)
        if found is None or found[1] != accession:
            raise DownloadError(f"it begins with {title.strip()[:60]!r}; look the entry up, it may have been merged")
        organism, version = re.search(r"OS=(.+?) \w\w=", title), re.search(r"SV=(\d+)", title)
        facts = {"organism": organism and organism[1], "version": version and f"{accession}, sequence {version[1]}"}
        return {"accession": accession, **{key: value for key, value in facts.items() if value}}

    def download(path: Path) -> dict[str, str]:
        fetch(cache.web, url, path, check=check)
        return check(path)

    return Wanted(name, f"uniprot/{accession}.fasta", url, "FASTA", check, download)


class _Metalink:
    """What UniProt says of the files of a release.

    Raises:
      DownloadError: the text is no metalink.
    """

    def __init__(self, text: str):
        try:
            self._root = xml.etree.ElementTree.fromstring(text)
        except xml.etree.ElementTree.ParseError as error:
            raise DownloadError(f"{_METALINK} is no XML ({error})") from error
        self.release = (self._root.findtext("{*}version") or "").strip()

    def expected(self, file: str) -> Expected:
        """Returns size and checksum of a file, as far as they are given."""
        for element in self._root.iterfind(".//{*}file"):
            if element.get("name", "").rpartition("/")[2] == file:
                size = element.findtext("{*}size") or ""
                md5 = element.findtext(".//{*}hash[@type='md5']")
                return Expected(int(size) if size.isdigit() else None, md5.strip().lower() if md5 else None)
        raise DownloadError(f"{_METALINK} of release {self.release or 'unknown'} does not list {file}")


def _look_up_current(name: str, current: str, cache: Cache) -> str:
    if cache.offline:
        kept = sorted(path.name for path in (cache.folder / "uniprot").glob(_KEPT.format("*_*")))
        releases = ", ".join(file.removeprefix("swissprot_").partition(".")[0] for file in kept)
        has = f"the cache has {releases}" if kept else "the cache has none"
        raise InputError(f"{name}: which release is current is known online only; name one, {has}")
    try:
        release = _Metalink(cache.web.get_text(f"{current}/{_METALINK}")[0]).release
        if not re.fullmatch(r"\d{4}_\d\d", release):
            raise DownloadError(f"{_METALINK} names no release")
    except DownloadError as error:
        raise InputError(f"{name}: cannot look up the current release at {current}: {error}; name a release") from error
    return release


def _unpack(archive: Path, member: str, file: BinaryIO) -> None:
    """Copies one member of an archive."""
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for entry in opened:
                if entry.name.rpartition("/")[2] == member:
                    with contextlib.closing(opened.extractfile(entry)) as content:
                        shutil.copyfileobj(content, file)
                    return
    except (tarfile.TarError, EOFError, zlib.error) as error:
        archive.unlink()
        raise DownloadError(f"{archive.name} is damaged ({error})") from error
    raise DownloadError(f"{archive.name} holds no {member}")
