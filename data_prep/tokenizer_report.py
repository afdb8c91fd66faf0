"""How a tokenizer cuts a corpus: length of tokens, what is unknown, and how much of the vocabulary is in use.

Tokens a word is the fertility of Rust et al. 2021 ("How Good is Your Tokenizer?", section 3.2), a word being what
white space separates; only English has such words, so characters a token is what compares domains.
"""

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer

from data_prep.corpora import Corpus, CorpusSample

_BATCH_DOCUMENTS = 256
_DOMAIN_WITH_WORDS = "english"
_CUTTING_COLUMNS = ("characters/token", "tokens/word", "unknown", "vocabulary used")
_TEXT_COLUMNS = 3


def measure(corpus: Corpus, tokenizer: Tokenizer) -> dict[str, Any]:
    """Returns how the texts of a corpus are cut: counts, and the fractions made of them (None where nothing is)."""
    tally = _Tally(tokenizer)
    for texts in corpus.batches(_BATCH_DOCUMENTS):
        tally.add(texts)
    return _describe_texts(corpus) | tally.describe(corpus)


def compare(corpus: Corpus, before: Tokenizer, after: Tokenizer, *, first_new_id: int) -> dict[str, Any]:
    """Returns what `measure` does for `after`, the same counts for `before` under that name, and what differs.

    `new_token_fraction` is the share of the corpus's tokens with an id from `first_new_id` on;
    `changed_document_fraction` the share of documents that become other ids than before.
    """
    tally_before, tally_after = _Tally(before), _Tally(after)
    changed = new = 0
    for texts in corpus.batches(_BATCH_DOCUMENTS):
        for ids_before, ids_after in zip(tally_before.add(texts), tally_after.add(texts), strict=True):
            changed += ids_before != ids_after
            new += sum(token_id >= first_new_id for token_id in ids_after)
    return {
        **_describe_texts(corpus),
        **tally_after.describe(corpus),
        "new_token_fraction": _ratio(new, tally_after.tokens),
        "changed_document_fraction": _ratio(changed, len(corpus)),
        "before": tally_before.describe(corpus),
    }


def describe_sample(sample: CorpusSample, samples: Sequence[CorpusSample]) -> dict[str, Any]:
    """Returns a corpus's part in what a tokenizer was trained on."""
    return {
        "name": sample.corpus.split.name,
        "domain": sample.corpus.domain,
        "documents": len(sample.numbers),
        "characters": sample.characters,
        "characters_available": sample.available,
        "wanted_share": sample.weight / sum(other.weight for other in samples),
        "share": sample.characters / sum(other.characters for other in samples),
    }


def summarize(report: dict[str, Any]) -> str:
    """Returns a report as text: a line on the tokenizer, then a table with one line a corpus, or two if extended."""
    extended = "vocab_size_before" in report
    headline = f"{report['vocab_size']:,} tokens"
    if extended:
        headline += f", {report['vocab_size'] - report['vocab_size_before']:,} of them new"
        if report["max_word_characters"] != report["max_word_characters_before"]:
            headline += (
                f"; words of up to {report['max_word_characters']:,} characters are cut (before: "
                f"{report['max_word_characters_before']:,}), longer ones are one unknown token"
            )
    headline += _describe_sample(report)
    lines = _tabulate_extension(report["corpora"]) if extended else _tabulate_training(report["corpora"])
    return "\n".join([headline, *_align(lines)])


def _describe_sample(report: dict[str, Any]) -> str:
    if not report.get("max_characters"):
        return ""
    # A corpus whose texts are only kept has no part in it.
    learnt = [corpus for corpus in report["corpora"] if "characters_available" in corpus]
    used, available = (sum(corpus[key] for corpus in learnt) for key in ("characters", "characters_available"))
    return f"; learnt from {used:,} of {available:,} characters (--max_characters)"


def _tabulate_training(corpora: Sequence[dict[str, Any]]) -> list[list[str]]:
    lines = [["corpus", "split", "share", *_CUTTING_COLUMNS]]
    for corpus in corpora:
        measured = corpus["measured_on"]
        lines.append([corpus["name"], measured["split"], _percent(corpus["share"]), *_format_cutting(measured)])
    return lines


def _tabulate_extension(corpora: Sequence[dict[str, Any]]) -> list[list[str]]:
    lines = [["corpus", "split", "tokenizer", *_CUTTING_COLUMNS, "new tokens", "documents changed"]]
    for corpus in corpora:
        measured = corpus["measured_on"]
        changes = [_percent(measured[key]) for key in ("new_token_fraction", "changed_document_fraction")]
        lines.append([corpus["name"], measured["split"], "before", *_format_cutting(measured["before"]), "", ""])
        lines.append(["", "", "extended", *_format_cutting(measured), *changes])
    return lines


def _align(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if column < _TEXT_COLUMNS else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


class _Tally:
    """Counts what a tokenizer makes of texts, batch by batch."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        unknown_token = tokenizer.model.unk_token
        self._unknown_id = tokenizer.token_to_id(unknown_token) if unknown_token else None
        self._characters = self._words = self._unknown = 0
        self._used: set[int] = set()
        self.tokens = 0

    def add(self, texts: Sequence[str]) -> list[list[int]]:
        """Counts some texts and returns their ids."""
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        for text, text_ids in zip(texts, ids, strict=True):
            self._characters += len(text)
            self._words += len(text.split())
            self.tokens += len(text_ids)
            self._unknown += 0 if self._unknown_id is None else text_ids.count(self._unknown_id)
            self._used.update(text_ids)
        return ids

    def describe(self, corpus: Corpus) -> dict[str, Any]:
        words = self._words if corpus.domain == _DOMAIN_WITH_WORDS else 0
        return {
            "tokens": self.tokens,
            "characters_per_token": _ratio(self._characters, self.tokens),
            "tokens_per_word": _ratio(self.tokens, words),
            "unknown_token_fraction": _ratio(self._unknown, self.tokens),
            "vocabulary_used_fraction": len(self._used) / self._tokenizer.get_vocab_size(),
        }


def _describe_texts(corpus: Corpus) -> dict[str, Any]:
    return {"split": corpus.split.split, "documents": len(corpus), "characters": sum(len(text) for text in corpus)}


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _format_cutting(measured: dict[str, Any]) -> list[str]:
    numbers = [measured["characters_per_token"], measured["tokens_per_word"]]
    shares = [measured["unknown_token_fraction"], measured["vocabulary_used_fraction"]]
    return ["-" if number is None else f"{number:.2f}" for number in numbers] + [_percent(share) for share in shares]


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.2%}"
