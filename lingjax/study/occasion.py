"""When and how a study was asked for."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Occasion:
    """What a report holds of the call that made it.

    Attributes:
      command: what was typed, or called.
      created_utc: when.
      config: the settings as plain values.
    """

    command: str
    created_utc: str
    config: Mapping[str, Any]

    @staticmethod
    def now(command: str, config: Mapping[str, Any]) -> "Occasion":
        """Returns the occasion of a call at this moment."""
        return Occasion(command, now_utc(), config)


def now_utc() -> str:
    """Returns the time as the report writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
