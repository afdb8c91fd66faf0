"""One sequence of a file, whatever the file's format."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class SequenceRecord:
    """A named sequence; `number` is its place in the file, from 1."""

    number: int
    name: str
    letters: str
