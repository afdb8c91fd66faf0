"""Records of NCBI's nucleotide database, through Biopython's Entrez client.

The client does not wait before it asks again after an HTTP error, and waits for ever for a server that falls silent. So
each call is one attempt, and `Patience` decides about more. The client keeps NCBI's rate.
"""

import contextlib
import http.client
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from data_prep.downloads.cache import Cache, Wanted
from data_prep.downloads.contents import check_genbank_record
from data_prep.downloads.fetch import Partial, claim_partial
from data_prep.downloads.patience import TRANSIENT_STATUS, DownloadError, Patience, TransientError
from data_prep.downloads.web import CHUNK_BYTES
from lingjax.errors import InputError

_TIMEOUT_SECONDS = 60
_OFFICIAL = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"


def want_record(name: str, accession: str, cache: Cache) -> Wanted:
    """Returns how the GenBank record of an accession is had.

    Args:
      name: as the user gave it.
      accession: for example NC_004829.1; without a version, the latest one is fetched and noted.
      cache: brings e-mail address, server and patience.
    """

    def download(path: Path) -> dict[str, str]:
        email = cache.email or os.environ.get("NCBI_EMAIL")
        if not email:
            raise InputError(
                f"{name}: NCBI asks for an address to write to; give --email=YOU@EXAMPLE.ORG or set NCBI_EMAIL"
            )
        with claim_partial(path) as partial:
            if partial is None:
                return check_genbank_record(path, accession)
            try:
                facts = cache.patience.persist(
                    lambda: _download(accession, partial, email, cache.addresses.eutils, cache.patience)
                )
            except DownloadError:
                partial.file.truncate(0)
                raise
            partial.put_in_place()
        return facts

    return Wanted(
        name,
        f"nuccore/{accession}.gbk",
        f"https://www.ncbi.nlm.nih.gov/nuccore/{accession}",
        "Send to, File, GenBank (full)",
        check=lambda path: check_genbank_record(path, accession),
        download=download,
    )


def _download(accession: str, partial: Partial, email: str, address: str, patience: Patience) -> dict[str, str]:
    """Makes one attempt: NCBI writes the record anew for each request, so there is nothing to go on with."""
    partial.file.truncate(0)
    try:
        with (
            _client(email, address) as entrez,
            contextlib.closing(
                entrez.efetch(db="nuccore", id=accession, rettype="gbwithparts", retmode="text")
            ) as answer,
        ):
            # Text or bytes, as the answer's content type says.
            while chunk := answer.read(CHUNK_BYTES):
                partial.file.write(chunk if isinstance(chunk, bytes) else chunk.encode())
        partial.file.flush()
    except urllib.error.HTTPError as error:
        with error:
            reason = f"NCBI says {error.code} {error.reason}"
            pause = patience.read_retry_after(error.headers.get("Retry-After"))
        if error.code in TRANSIENT_STATUS:
            raise TransientError(reason, pause_seconds=pause) from error
        raise DownloadError(f"{reason}; is {accession} the right accession?") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, (socket.gaierror, ConnectionRefusedError)):
            raise DownloadError(f"NCBI cannot be reached ({error.reason.strerror}); is there a network?") from error
        raise TransientError(f"NCBI cannot be reached ({error.reason})") from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise TransientError("the connection broke off") from error
    except UnicodeDecodeError as error:
        raise TransientError("what came is not text") from error
    try:
        return check_genbank_record(partial.path, accession)
    except DownloadError as error:
        # NCBI reports trouble of its own with status 200, as a text, a page or half a record.
        raise TransientError(str(error)) from error


@contextlib.contextmanager
def _client(email: str, address: str) -> Iterator[ModuleType]:
    """Yields `Bio.Entrez` set up for one call; its settings are globals of the module."""
    from Bio import Entrez

    def urlopen(request: urllib.request.Request) -> http.client.HTTPResponse:
        # The client knows one address and no time limit.
        if address != _OFFICIAL:
            request.full_url = request.full_url.replace(_OFFICIAL, address)
        return urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)

    settings = {
        "email": email,
        "api_key": os.environ.get("NCBI_API_KEY") or None,
        "tool": "lingjax",
        "max_tries": 1,
        "urlopen": urlopen,
    }
    before = {name: getattr(Entrez, name) for name in settings}
    try:
        for name, value in settings.items():
            setattr(Entrez, name, value)
        yield Entrez
    finally:
        for name, value in before.items():
            setattr(Entrez, name, value)
