"""Requests over HTTP: at a polite rate, again where a failure may pass, with every failure in a few words."""

import contextlib
import os
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from data_prep.downloads.patience import TRANSIENT_STATUS, DownloadError, Patience, RateLimit, TransientError

if TYPE_CHECKING:
    import requests

CHUNK_BYTES = 2**16  # a chunk during which the connection breaks off is lost
# To connect, and between two chunks. UniProt's archive may take its time to answer.
_TIMEOUT_SECONDS = (20, 60)
_AGENT = "lingjax"


def ncbi_requests_per_second() -> int:
    """Returns how many requests NCBI allows.

    Source: https://www.ncbi.nlm.nih.gov/books/NBK25497, "Usage Guidelines and Requirements".
    """
    return 10 if os.environ.get("NCBI_API_KEY") else 3


class Web:
    """Asks servers for texts and streams.

    Args:
      patience: with failures; brings the clock of the rate too.
      timeout_seconds: to connect, and between two chunks.
    """

    def __init__(self, patience: Patience | None = None, *, timeout_seconds: tuple[float, float] = _TIMEOUT_SECONDS):
        self.patience = patience or Patience()
        self._timeout_seconds = timeout_seconds
        self._limits: dict[str, RateLimit] = {}
        self._session = None

    def get_text(self, url: str) -> tuple[str, Mapping[str, str]]:
        """Returns a short text and the headers it came with.

        Raises:
          DownloadError: the server does not give it.
        """

        def get() -> tuple[str, Mapping[str, str]]:
            with self.stream(url) as response:
                response.encoding = "utf-8"
                return response.text, response.headers

        return self.patience.persist(get)

    @contextlib.contextmanager
    def stream(self, url: str, *, headers: Mapping[str, str] | None = None) -> Iterator["requests.Response"]:
        """Yields one answer of status 200, 206 or 416, whose body is read by the caller within the context.

        Raises:
          TransientError: now or while the body is read, in a way that may pass.
          DownloadError: in a way that does not.
        """
        import requests
        import urllib3

        self._limit(url).wait()
        try:
            with self._open(url, headers or {}) as response:
                self._check_status(response)
                yield response
        except requests.exceptions.ConnectTimeout as error:
            raise DownloadError(f"{_host(url)} does not answer") from error
        except requests.exceptions.ProxyError as error:
            raise DownloadError(f"the proxy does not reach {_host(url)}") from error
        except requests.exceptions.SSLError as error:
            raise DownloadError(f"the certificate of {_host(url)} is not accepted") from error
        except requests.exceptions.Timeout as error:
            raise TransientError("the server fell silent") from error
        except requests.exceptions.ConnectionError as error:
            if reason := _why_unreachable(error):
                raise DownloadError(f"{_host(url)} cannot be reached ({reason})") from error
            raise TransientError("the connection broke off") from error
        except urllib3.exceptions.ReadTimeoutError as error:
            raise TransientError("the server fell silent") from error
        except (urllib3.exceptions.HTTPError, requests.exceptions.ChunkedEncodingError) as error:
            raise TransientError("the connection broke off") from error
        except requests.exceptions.RequestException as error:
            raise DownloadError(f"{type(error).__name__}: {error}") from error

    def _open(self, url: str, headers: Mapping[str, str]) -> "requests.Response":
        import requests

        if self._session is None:
            self._session = requests.Session()
        # Without `identity`, what is counted and checked could be other bytes than those on the server.
        headers = {"Accept-Encoding": "identity", "User-Agent": _AGENT, **headers}
        return self._session.get(url, headers=headers, stream=True, timeout=self._timeout_seconds)

    def _check_status(self, response: "requests.Response") -> None:
        if response.status_code in (200, 206, 416):
            return
        reason = f"the server says {response.status_code} {response.reason}"
        if response.status_code in TRANSIENT_STATUS:
            pause = self.patience.read_retry_after(response.headers.get("Retry-After"))
            raise TransientError(reason, pause_seconds=pause)
        raise DownloadError(reason)

    def _limit(self, url: str) -> RateLimit:
        host = _host(url)
        if host not in self._limits:
            # UniProt names no rate; what NCBI allows without a key is polite anywhere.
            rate = ncbi_requests_per_second() if host.endswith("ncbi.nlm.nih.gov") else 3
            self._limits[host] = RateLimit(1 / rate, self.patience)
        return self._limits[host]


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or url


def _why_unreachable(error: Exception) -> str:
    """Says why no connection came about at all; empty if one did."""
    from urllib3.exceptions import NameResolutionError, NewConnectionError

    cause = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(cause, NameResolutionError):
        return "its name is not known; is there a network?"
    return "no connection; is there a network?" if isinstance(cause, NewConnectionError) else ""
