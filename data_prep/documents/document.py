"""One document of a corpus, as the readers of all domains give it."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A text to learn from.

    Attributes:
      document_id: where it comes from, `FILE:PLACE`.
      split_key: its hash decides the split; documents that share letters share the key.
    """

    document_id: str
    text: str
    split_key: str
