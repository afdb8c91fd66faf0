"""Training a tokenizer on a mixture of corpora, with a report on what it was trained on and how it cuts each domain."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import tokenizers

from data_prep.corpora import CorpusSample, draw_samples, open_corpus
from data_prep.tokenizer_kinds import save_tokenizer, train_bpe, train_wordpiece
from lingjax.errors import InputError, nearest

KINDS = ("bpe", "wordpiece")
REPORT_NAME = "tokenizer_report.json"
_BATCH_DOCUMENTS = 256


def train_tokenizer(
    out: Path | str,
    *,
    kind: str,
    corpora: Sequence[tuple[str, float]],
    vocab_size: int,
    lowercase: bool = False,
    max_word_characters: int = 100,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Trains a tokenizer, writes it to `out` and returns that folder; one trained by the same call is left alone.

    The largest mixture is used that keeps the wanted shares without repeating a document. The same arguments give the
    same bytes.

    Args:
      out: the folder; complete or absent, whatever happens.
      kind: "bpe" or "wordpiece".
      corpora: corpus references with their shares of characters; shares need not sum to 1.
      vocab_size: tokens wanted, special ones included. There may be fewer if the texts give no more.
      lowercase: for WordPiece, whether case and accents are removed first.
      max_word_characters: for WordPiece, the longest word that is not replaced by one unknown token.
      seed: decides which documents are taken.
      overwrite: whether a folder with something else in it is replaced.

    Raises:
      InputError: an argument cannot be used, or `out` exists and may not be replaced.
    """
    out = Path(out).expanduser()
    if kind not in KINDS:
        raise InputError(f"--kind={kind} is unknown; {nearest(kind, KINDS)}")
    if max_word_characters < 1 or seed < 0:
        raise InputError(
            f"--max_word_characters={max_word_characters} must be 1 or more, and --seed={seed} must be 0 or more"
        )
    opened = [(open_corpus(reference, default=["train"]), weight) for reference, weight in corpora if weight > 0]
    if not opened:
        raise InputError("--corpora: give at least one corpus a weight above 0")
    request = {
        "kind": kind,
        "vocab_size": vocab_size,
        "seed": seed,
        "corpora": [
            {"name": corpus.split.name, "fingerprint": corpus.split.fingerprint, "weight": weight}
            for corpus, weight in opened
        ],
    }
    if kind == "wordpiece":
        request |= {"lowercase": lowercase, "max_word_characters": max_word_characters}
    if _is_built(out, request, overwrite=overwrite):
        return out

    samples = draw_samples(opened, seed=seed)

    def read_texts() -> Iterator[str]:
        return (sample.corpus[number] for sample in samples for number in sample.numbers)

    if kind == "bpe":
        tokenizer = train_bpe(read_texts, vocab_size=vocab_size)
    else:
        tokenizer = train_wordpiece(
            read_texts, vocab_size=vocab_size, lowercase=lowercase, max_word_characters=max_word_characters
        )
    report = {
        "request": request,
        "vocab_size": tokenizer.get_vocab_size(),
        "corpora": [_describe(sample, samples, tokenizer) for sample in samples],
    }
    try:
        _write(out, tokenizer, report)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror or error}") from error
    return out


def _write(out: Path, tokenizer: tokenizers.Tokenizer, report: dict[str, object]) -> None:
    incomplete = out.with_name(f".{out.name}.incomplete")
    shutil.rmtree(incomplete, ignore_errors=True)
    try:
        incomplete.mkdir(parents=True)
        save_tokenizer(tokenizer, incomplete)
        (incomplete / REPORT_NAME).write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        incomplete.rename(out)
    finally:
        shutil.rmtree(incomplete, ignore_errors=True)


def _is_built(out: Path, request: dict, *, overwrite: bool) -> bool:
    if not out.exists():
        return False
    report = out / REPORT_NAME
    try:
        if json.loads(report.read_text(encoding="utf-8"))["request"] == request:
            return True
    except (OSError, ValueError, KeyError, TypeError) as error:
        # Not a tokenizer of ours: not even --overwrite deletes a folder that may hold anything.
        raise InputError(f"{out} exists and is no tokenizer that this command wrote; choose another --out") from error
    if overwrite:
        return False
    raise InputError(f"{out} holds a tokenizer that was trained otherwise; choose another --out, or use --overwrite")


def _describe(
    sample: CorpusSample, samples: Sequence[CorpusSample], tokenizer: tokenizers.Tokenizer
) -> dict[str, object]:
    """Returns a corpus's part in the training, and how the tokenizer cuts its held-out texts."""
    held_out = open_corpus(str(sample.corpus.split.path), default=["validation", "test", "train"])
    unknown_id = tokenizer.token_to_id("[UNK]")
    characters = tokens = unknown = 0
    for texts in held_out.batches(_BATCH_DOCUMENTS):
        for text, encoding in zip(texts, tokenizer.encode_batch_fast(texts, add_special_tokens=False), strict=True):
            characters += len(text)
            tokens += len(encoding.ids)
            unknown += 0 if unknown_id is None else encoding.ids.count(unknown_id)
    return {
        "name": sample.corpus.split.name,
        "domain": sample.corpus.domain,
        "documents": len(sample.numbers),
        "characters": sample.characters,
        "wanted_share": sample.weight / sum(other.weight for other in samples),
        "share": sample.characters / sum(other.characters for other in samples),
        "measured_on": {
            "split": held_out.split.split,
            "characters": characters,
            "tokens": tokens,
            "characters_per_token": characters / tokens if tokens else None,
            "unknown_token_fraction": unknown / tokens if tokens else None,
        },
    }
