"""Packed rows back to the characters that they were made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt32

from lingjax.data.packed import PackedRow, PackedSource, PackedSubset, read_rows, rows_in_equal_steps
from lingjax.data.tokenizer import Tokenizer

END_OF_DOCUMENT = 0x110000  # one more than the last code point of Unicode


@dataclass(frozen=True)
class Passage:
    """What one row holds of one document.

    Attributes:
      symbols: code points, and last END_OF_DOCUMENT where the document ends in this row.
      given: how many of them, from the first, are the row's first token of the document. No causal model is asked to
        predict it.
    """

    symbols: UInt32[np.ndarray, " length"]
    given: int


def read_passages(sources: Sequence[PackedSource], tokenizer: Tokenizer, *, most_tokens: int) -> Iterator[Passage]:
    """Yields the passages of packed rows; characters are those that the tokenizer decodes.

    A document that goes on in another row is a passage in each. A character whose bytes two rows share is a
    replacement character in both.

    Args:
      sources: packed with the tokenizer.
      tokenizer: its separator ends documents.
      most_tokens: how many of a source are read, in rows in equal steps; at least one row is.
    """
    for source in sources:
        for row in rows_in_equal_steps(source, most_rows=max(1, most_tokens // source.length)):
            yield from (_passage(token_ids, tokenizer) for token_ids in _documents(row))


def count_characters(source: PackedSource | PackedSubset, tokenizer: Tokenizer) -> tuple[int, int]:
    """Returns how many characters and how many tokens the rows of a source hold; ends of documents are tokens only."""
    characters = tokens = 0
    for row in read_rows((source, place) for place in range(len(source))):
        for token_ids in _documents(row):
            tokens += len(token_ids)
            characters += len(tokenizer.decode(token_ids))
    return characters, tokens


def _documents(row: PackedRow) -> Iterator[np.ndarray]:
    """Yields the tokens that a row holds of each of its documents."""
    is_text = row.document_ids > 0
    first_tokens = np.flatnonzero(np.diff(row.document_ids[is_text])) + 1
    yield from (token_ids for token_ids in np.split(row.token_ids[is_text], first_tokens) if len(token_ids))


def _passage(token_ids: np.ndarray, tokenizer: Tokenizer) -> Passage:
    symbols = _code_points(tokenizer.decode(token_ids))
    if token_ids[-1] == tokenizer.separator_id:
        symbols = np.append(symbols, np.uint32(END_OF_DOCUMENT))
    # A first token without characters is the separator of a document that filled the row before.
    return Passage(symbols, given=max(1, len(tokenizer.decode(token_ids[:1]))))


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.uint32)
