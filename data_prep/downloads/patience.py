"""How often a server is asked, and how often again where it fails."""

import dataclasses
import datetime
import email.utils
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

# Answers that may be others a moment later: time-out, too many requests, and the server's own troubles.
TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})


class DownloadError(Exception):
    """A download failed for good; the text says why, in a few words."""


class TransientError(DownloadError):
    """A download failed in a way that may pass.

    Attributes:
      pause_seconds: how long the server asks to wait; None if it does not say.
      progressed: whether some of the file has come since the failure before.
    """

    def __init__(self, reason: str, *, pause_seconds: float | None = None, progressed: bool = False):
        super().__init__(reason)
        self.pause_seconds = pause_seconds
        self.progressed = progressed


@dataclasses.dataclass(frozen=True)
class Patience:
    """How many failures in a row are borne, and how long the pauses between them are.

    Attributes:
      attempts: in all; one that brings some of a file does not count.
      first_pause_seconds: each further pause is twice as long, unless the server names one.
      longest_pause_seconds: a server that asks for more is not waited for.
      sleep: waits for some seconds.
      clock: seconds since some moment.
      now: the time of day, with its zone.
    """

    attempts: int = 6
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 120.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)

    def persist(self, work: Callable[[], Result]) -> Result:
        """Returns what `work` does, which is called again after a pause whenever it raises `TransientError`.

        Raises:
          DownloadError: it failed for good, too often, or the server asks for too long a pause.
        """
        failures = 0
        while True:
            try:
                return work()
            except TransientError as error:
                failures = 1 if error.progressed else failures + 1
                if failures >= self.attempts:
                    raise DownloadError(f"{error}, {failures} times in a row") from error
                pause = error.pause_seconds
                if pause is None:
                    pause = min(self.first_pause_seconds * 2 ** (failures - 1), self.longest_pause_seconds)
                if pause > self.longest_pause_seconds:
                    raise DownloadError(f"{error}, and the server asks to wait {pause:.0f} seconds") from error
                self.sleep(pause)

    def read_retry_after(self, value: str | None) -> float | None:
        """Returns the seconds that a `Retry-After` header asks to wait; None if there is none that can be read.

        Source: RFC 9110, section 10.2.3: a number of seconds, or a date.
        """
        if value is None:
            return None
        if value.strip().isdigit():
            return float(value)
        try:
            moment = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        # A date without a zone is not allowed; it cannot be compared either.
        return None if moment.tzinfo is None else max((moment - self.now()).total_seconds(), 0.0)


class RateLimit:
    """Keeps requests at least so many seconds apart."""

    def __init__(self, seconds: float, patience: Patience):
        self._seconds = seconds
        self._patience = patience
        self._next = -float("inf")

    def wait(self) -> None:
        """Returns when the next request may be made."""
        early = self._next - self._patience.clock()
        if early > 0:
            self._patience.sleep(early)
        self._next = self._patience.clock() + self._seconds
