"""Annotated genome assemblies from NCBI's genomes site."""

import re
from pathlib import Path

from data_prep.downloads.cache import Cache, Wanted
from data_prep.downloads.contents import check_genbank_file
from data_prep.downloads.fetch import Expected, fetch
from data_prep.downloads.patience import DownloadError

_CHECKSUMS = "md5checksums.txt"
_CHECKSUM_LINE = re.compile(r"([0-9a-f]{32})\s+\./(\S+)")


def want_assembly(name: str, accession: str, cache: Cache) -> Wanted:
    """Returns how the GenBank file of an assembly is had, compared with NCBI's list of checksums.

    Args:
      name: as the user gave it.
      accession: for example GCF_000286675.1.
      cache: brings server and patience.

    Source: https://ftp.ncbi.nlm.nih.gov/genomes/all/README.txt
    """
    digits = re.findall("...", accession.partition("_")[2].partition(".")[0])
    parent = "/".join([cache.addresses.genomes, accession.partition("_")[0], *digits])

    def check(path: Path) -> dict[str, str]:
        return {"accession": accession, "version": accession, **check_genbank_file(path)}

    def download(path: Path) -> dict[str, str]:
        folder = _find_folder(cache, parent, accession)
        file = f"{folder}_genomic.gbff.gz"
        text, _ = cache.web.get_text(f"{parent}/{folder}/{_CHECKSUMS}")
        checksums = {match[2]: match[1] for match in map(_CHECKSUM_LINE.fullmatch, text.splitlines()) if match}
        if file not in checksums:
            raise DownloadError(f"{parent}/{folder}/{_CHECKSUMS} lists no {file}, so there is no GenBank file")
        fetch(cache.web, f"{parent}/{folder}/{file}", path, expected=Expected(md5=checksums[file]), check=check)
        return check(path)

    return Wanted(name, f"assembly/{accession}.gbff.gz", f"{parent}/", "*_genomic.gbff.gz", check, download)


def _find_folder(cache: Cache, parent: str, accession: str) -> str:
    """Returns the folder of an assembly, whose name goes on with one that the submitter chose."""
    listing, _ = cache.web.get_text(f"{parent}/")
    folders = sorted(set(re.findall(rf'href="({re.escape(accession)}_[^"/]+)/?"', listing)))
    if not folders:
        versions = sorted(set(re.findall(rf'href="({accession.partition(".")[0]}\.\d+)_', listing)))
        known = f"; there are {', '.join(versions)}" if versions else ""
        raise DownloadError(f"NCBI lists no assembly {accession} at {parent}/{known}")
    return folders[0]
