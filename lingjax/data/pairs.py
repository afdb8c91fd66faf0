"""Text pairs to token ids: pair formats, trimming, and the counts of what was lost or unknown."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32

from lingjax.data.dataset import PairRecord
from lingjax.data.tokenizer import Tokenizer
from lingjax.errors import InputError, nearest, raise_problems

PAIR_FORMATS = ("concat", "separated", "bert")
_SPECIAL_TOKENS = {"concat": 0, "separated": 2, "bert": 3}


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedPair:
    """One pair as the model reads it, and what became of its text.

    Attributes:
      pool_position: index of the token whose state is classified.
      row_id: index of the pair in its source.
      truncated_tokens: tokens of the text dropped to fit the maximum length.
      truncated_characters: characters dropped by `max_characters`, before tokenizing.
      unknown_tokens: unknown tokens of the text, before trimming.
      text_tokens: tokens of the text, special tokens not included, before trimming.
      characters: characters tokenized.
      first_tokens: tokens of the first sentence that are left; -1 where the two are one text.
    """

    token_ids: Int32[np.ndarray, " tokens"]
    segment_ids: Int32[np.ndarray, " tokens"]
    pool_position: int
    label: int
    row_id: int
    truncated_tokens: int
    truncated_characters: int
    unknown_tokens: int
    text_tokens: int
    characters: int
    first_tokens: int = -1


def _longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Returns how many tokens of two sentences to keep: the longer one gives way until both are equally long.

    The spare token of an odd room goes to the sentence that was longer, or to the second of two equal ones, as in the
    Hugging Face tokenizers, whose "longest_first" this is (https://huggingface.co/docs/transformers/pad_truncation).
    """
    if first + second <= room:
        return first, second
    if first > second:
        second = min(second, room // 2)
        return room - second, second
    first = min(first, room // 2)
    return first, room - first


class PairEncoder:
    """Turns text pairs into token ids in one of three formats.

    - "concat": the two texts with nothing between, tokenized as one; the last token is classified; too long texts lose
      their end. This is the published recipe for GPT-2.
    - "separated": `a END b END`; the last END is classified; trimmed longest first.
    - "bert": `[CLS] a [SEP] b [SEP]` with segments 0 and 1; [CLS] is classified; trimmed longest first.

    Args:
      pair_format: one of `PAIR_FORMATS`.
      max_length: most tokens of a pair, special tokens included.
      max_characters: each sentence is cut to this many characters first; None leaves them whole.
      text: what is done to texts before they are tokenized; see `prepare_texts`.

    Raises:
      InputError: the format is unknown or needs a token that the tokenizer lacks, or a limit is too small.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        pair_format: str,
        max_length: int,
        max_characters: int | None = None,
        text: str = "",
    ):
        if pair_format not in PAIR_FORMATS:
            raise InputError(f"pair_format='{pair_format}' is unknown; {nearest(pair_format, PAIR_FORMATS)}")
        if pair_format == "separated" and tokenizer.end_id is None:
            raise InputError(
                f"pair_format='separated' needs an end-of-text token, which '{tokenizer.name}' lacks; use 'bert'"
            )
        if pair_format == "bert" and None in (tokenizer.start_id, tokenizer.separator_id):
            raise InputError(f"pair_format='bert' needs [CLS] and [SEP], which '{tokenizer.name}' lacks; use 'concat'")
        shortest = _SPECIAL_TOKENS[pair_format] + 2
        if max_length < shortest:
            raise InputError(
                f"max_length={max_length} is too small for pair_format='{pair_format}'; at least {shortest}"
            )
        if max_characters is not None and max_characters < 1:
            raise InputError(f"max_characters={max_characters} must be at least 1, or None for whole sentences")
        self.tokenizer = tokenizer.reading(text)
        self.pair_format = pair_format
        self.max_length = max_length
        self.max_characters = max_characters

    def encode(self, records: Sequence[PairRecord], *, row_ids: Sequence[int] | None = None) -> list[EncodedPair]:
        """Encodes pairs in one call of the tokenizer.

        Args:
          row_ids: index of each pair in its source; 0, 1, 2, ... if None.

        Raises:
          InputError: pairs without any token, by `pair_id`.
        """
        row_ids = range(len(records)) if row_ids is None else row_ids
        firsts = [record.sentence1[: self.max_characters] for record in records]
        seconds = [record.sentence2[: self.max_characters] for record in records]
        if self.pair_format == "concat":
            texts = self.tokenizer.encode([first + second for first, second in zip(firsts, seconds, strict=True)])
            sentences = [(ids,) for ids in texts]
        else:
            texts = self.tokenizer.encode(firsts + seconds)
            sentences = list(zip(texts[: len(records)], texts[len(records) :], strict=True))
        empty = [
            f"pair_id '{record.pair_id}'"
            for record, parts in zip(records, sentences, strict=True)
            if not any(len(part) for part in parts)
        ]
        raise_problems("pairs whose two texts give no token at all; remove them from the dataset", empty)
        return [
            self._assemble(record, parts, characters=len(first) + len(second), row_id=int(row_id))
            for record, parts, first, second, row_id in zip(records, sentences, firsts, seconds, row_ids, strict=True)
        ]

    def _assemble(
        self, record: PairRecord, parts: tuple[np.ndarray, ...], *, characters: int, row_id: int
    ) -> EncodedPair:
        room = self.max_length - _SPECIAL_TOKENS[self.pair_format]
        tokenizer, boundary, pool_position, keep_first = self.tokenizer, None, -1, -1
        if self.pair_format == "concat":
            token_ids = parts[0][:room]
        else:
            first, second = parts
            keep_first, keep_second = _longest_first(len(first), len(second), room)
            first, second = first[:keep_first], second[:keep_second]
            if self.pair_format == "separated":
                end = [tokenizer.end_id]
                token_ids = np.concatenate([first, end, second, end], dtype=np.int32)
            else:
                start, separator = [tokenizer.start_id], [tokenizer.separator_id]
                token_ids = np.concatenate([start, first, separator, second, separator], dtype=np.int32)
                boundary, pool_position = keep_first + 2, 0
        segment_ids = np.zeros(len(token_ids), np.int32)
        if boundary is not None:
            segment_ids[boundary:] = 1
        text_tokens = sum(len(part) for part in parts)
        unknown_id = tokenizer.unknown_id
        return EncodedPair(
            token_ids=token_ids,
            segment_ids=segment_ids,
            pool_position=pool_position % len(token_ids),
            label=record.label,
            row_id=row_id,
            truncated_tokens=max(0, text_tokens - room),
            truncated_characters=len(record.sentence1) + len(record.sentence2) - characters,
            unknown_tokens=sum(int(np.count_nonzero(part == unknown_id)) for part in parts)
            if unknown_id is not None
            else 0,
            text_tokens=text_tokens,
            characters=characters,
            first_tokens=keep_first,
        )


@dataclasses.dataclass(frozen=True)
class TokenStatistics:
    """What tokenizing did to a dataset, as counts over its rows.

    Attributes:
      text_tokens: tokens of the texts before trimming, special tokens not included.
      unknown_tokens: how many of them are unknown.
      rows_all_unknown: rows of which the model sees nothing but unknown tokens.
      truncated_rows: rows that lost tokens to the maximum length.
      cut_rows: rows that lost characters to `max_characters`.
      characters: characters tokenized.
      tokens_per_row: tokens of each row as the model reads it, special tokens included.
    """

    rows: int
    text_tokens: int
    unknown_tokens: int
    rows_all_unknown: int
    truncated_rows: int
    cut_rows: int
    characters: int
    tokens_per_row: Int32[np.ndarray, " rows"]

    def percentiles(self) -> dict[str, float]:
        """Returns the 5th, 50th and 95th percentile and the maximum of `tokens_per_row`."""
        p5, p50, p95 = np.percentile(self.tokens_per_row, [5, 50, 95])
        return {"p5": float(p5), "p50": float(p50), "p95": float(p95), "max": float(self.tokens_per_row.max())}
