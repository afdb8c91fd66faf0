"""What the target's data look like to the model: unknown tokens, truncation, duplicates, leakage, doubtful labels."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from lingjax.data import PairRecord, TokenStatistics, encoding_fractions
from lingjax.errors import InputError
from lingjax.evaluation.giveaways.findings import RowAudit
from lingjax.evaluation.near_copies import rows_similar_to_source
from lingjax.evaluation.pair_sides import folded
from lingjax.evaluation.shortcuts import PredictedLabel
from lingjax.evaluation.text_groups import TextGroups, text_groups

LARGEST_UNKNOWN_FRACTION = 0.01


@runtime_checkable
class PairRecords(Protocol):
    """Random access to pair records: a `PairSource`, a subset of one, or a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> PairRecord: ...


@dataclasses.dataclass(frozen=True)
class TargetAudit:
    """The report's `audit`; None where it does not apply.

    `duplicate_rows` repeat an earlier row's pair; `conflicting_label_rows` belong to a pair that occurs with both
    labels; `rows_shared_with_source` hold a pair of the source's training set (None without a source). Pairs are
    compared after case folding and with white space collapsed; the order of the two sentences does not matter.
    `rows_similar_to_source` hold a near-copy of one of its texts (see `near_copies.rows_similar_to_source`).
    The two `_encode_fraction`s exist for DNA-protein targets only (see `lingjax.data.encoding_fractions`); the two
    `_predicts_label` come from `label_shortcuts` and are missing if a class has too few rows; `giveaways` is what
    `audit_rows` says of the same rows.
    """

    unknown_token_fraction: float
    rows_all_unknown: int
    truncated_rows: int
    cut_rows: int
    tokens_per_row: dict[str, float]
    characters_per_token: float | None
    duplicate_rows: int
    conflicting_label_rows: int
    rows_shared_with_source: int | None
    rows_similar_to_source: int | None = None
    negatives_that_encode_fraction: float | None = None
    positives_that_encode_fraction: float | None = None
    length_predicts_label: PredictedLabel | None = None
    composition_predicts_label: PredictedLabel | None = None
    groups: TextGroups | None = None
    giveaways: RowAudit | None = None

    def to_json(self) -> dict[str, Any]:
        """The audit as the report holds it: keys that not every target has are left out where they do not apply."""
        parts = ("groups", "giveaways")
        entry = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name not in parts}
        if self.giveaways is not None:
            entry["giveaways"] = self.giveaways.to_json()
        if self.groups is not None:
            entry |= {"rows_that_share_a_text": self.groups.rows_that_share_a_text, "groups": self.groups.to_json()}
        for name in ("length_predicts_label", "composition_predicts_label"):
            predicted = getattr(self, name)
            if predicted is None:
                del entry[name]
            else:
                entry[name] = predicted.to_json()
        if self.negatives_that_encode_fraction is None and self.positives_that_encode_fraction is None:
            del entry["negatives_that_encode_fraction"], entry["positives_that_encode_fraction"]
        return entry


def audit_target(
    records: PairRecords,
    tokens: TokenStatistics,
    *,
    source_records: PairRecords | None = None,
    shortcuts: Mapping[str, PredictedLabel | None] | None = None,
    giveaways: RowAudit | None = None,
) -> TargetAudit:
    """Audits one target.

    Args:
      records: the target's rows.
      tokens: counts over the same rows, made with the tokenizer and limits that the model sees.
      source_records: the source's training rows, None if they are not known.
      shortcuts: `label_shortcuts` of the same rows.
      giveaways: `audit_rows` of the same rows.
    """
    rows = list(_rows(records))
    pairs = [_pair_key(record) for record in rows]
    labels_of_pair: dict[frozenset[str], set[int]] = {}
    for pair, record in zip(pairs, rows, strict=True):
        labels_of_pair.setdefault(pair, set()).add(record.label)
    shared = similar = None
    if source_records is not None:
        similar = rows_similar_to_source(rows, _rows(source_records))
        source_pairs = {_pair_key(record) for record in _rows(source_records)}
        shared = sum(pair in source_pairs for pair in pairs)
    negatives_encode, positives_encode = encoding_fractions(rows)
    return TargetAudit(
        unknown_token_fraction=unknown_token_fraction(tokens),
        rows_all_unknown=int(tokens.rows_all_unknown),
        truncated_rows=int(tokens.truncated_rows),
        cut_rows=int(tokens.cut_rows),
        tokens_per_row=tokens.percentiles(),
        characters_per_token=tokens.characters / tokens.text_tokens if tokens.text_tokens else None,
        duplicate_rows=len(pairs) - len(labels_of_pair),
        conflicting_label_rows=sum(len(labels_of_pair[pair]) > 1 for pair in pairs),
        rows_shared_with_source=shared,
        rows_similar_to_source=similar,
        negatives_that_encode_fraction=negatives_encode,
        positives_that_encode_fraction=positives_encode,
        groups=text_groups(
            [folded(row.sentence1) for row in rows],
            [folded(row.sentence2) for row in rows],
            named=[row.group for row in rows],
        ),
        giveaways=giveaways,
        **(shortcuts or {}),
    )


def unknown_token_fraction(tokens: TokenStatistics) -> float:
    """Returns the share of text tokens (special ones apart) that are the unknown token; 0 for no tokens at all."""
    return tokens.unknown_tokens / tokens.text_tokens if tokens.text_tokens else 0.0


def check_unknown_tokens(
    tokens: TokenStatistics, *, target: str, tokenizer: str, allow_unknown: bool = False, wanted_text: str = ""
) -> None:
    """Stops an evaluation that would measure the tokenizer's unknown token instead of the model.

    Args:
      tokens: what the target's tokens are.
      target: its name.
      tokenizer: the tokenizer's name.
      allow_unknown: go on all the same.
      wanted_text: what the tokenizer's vocabulary wants done to texts first, where it is known.

    Raises:
      InputError: more than 1 % of the target's tokens are unknown, or more than 1 % of its rows hold nothing else, and
        `allow_unknown` is False.
    """
    fraction = unknown_token_fraction(tokens)
    # A row that is one unknown token weighs little among the tokens of long rows, so rows are counted as well.
    if allow_unknown or max(fraction, tokens.rows_all_unknown / tokens.rows) <= LARGEST_UNKNOWN_FRACTION:
        return
    raise InputError(
        f"{target}: {fraction:.1%} of its tokens are unknown to tokenizer '{tokenizer}' ({tokens.rows_all_unknown} of "
        f"{tokens.rows} rows hold nothing else), so an evaluation would say little about the model. "
        + _ways_out(wanted_text)
    )


def _ways_out(wanted_text: str) -> str:
    allow = "--config.allow_unknown=true evaluates anyway and the report warns"
    if wanted_text:
        words = "single letters" if wanted_text == "letters" else f"words of {wanted_text.partition(':')[2]} letters"
        return (
            f"Its vocabulary is one of {words}, and a sequence is one long word. Ways out: --config.text={wanted_text} "
            f"prepares texts as such a tokenizer wants them, in training and evaluation; {allow}"
        )
    return (
        "WordPiece turns a word of more than max_input_chars_per_word characters (usually 100) into one unknown token, "
        "and a biological sequence is one long word; a script that the vocabulary lacks becomes unknown too. Ways out: "
        "--config.max_characters=50 cuts each sequence; --config.max_word_characters=N raises the tokenizer's limit to "
        "N; another model's tokenizer may know the script; " + allow
    )


def _rows(records: PairRecords) -> Iterator[PairRecord]:
    return (records[row] for row in range(len(records)))


def _pair_key(record: PairRecord) -> frozenset[str]:
    return frozenset(" ".join(sentence.casefold().split()) for sentence in (record.sentence1, record.sentence2))
