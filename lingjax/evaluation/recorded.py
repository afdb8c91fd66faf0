"""What measurements have in common: a report holds their fields as they stand."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A measurement whose fields are the keys of the report."""

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as plain values."""
        return dataclasses.asdict(self)
