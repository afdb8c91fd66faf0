"""Corpora as rows of tokens: documents end to end, cut into rows of equal length."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from data_prep.corpora import Corpus, open_corpus
from data_prep.writer import find_built, write_dataset
from lingjax.data import Tokenizer, open_split
from lingjax.errors import InputError

_BATCH_DOCUMENTS = 256
_UNKNOWN_ALLOWED = 0.01


def pack(
    data_dir: Path | str,
    *,
    name: str,
    corpus: str,
    tokenizer: Tokenizer,
    length: int,
    allow_unknown: bool = False,
    overwrite: bool = False,
) -> Path:
    """Tokenizes a corpus, packs it into rows and returns the folder; one packed by the same call is left alone.

    Every document is followed by the tokenizer's separator. A document that does not end in a row goes on in the next,
    so no token is lost; only the last row of a split is padded. `lingjax.json` counts documents, tokens, padding and
    unknown tokens of each split.

    Args:
      data_dir: folder of all datasets.
      name: of the packed dataset.
      corpus: a corpus reference; all its splits are packed unless it names one.
      tokenizer: must have an end-of-text or [SEP] token.
      length: tokens of a row, at least 2.
      allow_unknown: whether more than 1 % unknown tokens are accepted.
      overwrite: whether a dataset packed otherwise is replaced.

    Raises:
      InputError: an argument cannot be used, the dataset exists and may not be replaced, or too much is unknown.
    """
    if length < 2:
        raise InputError(f"--length={length}: expected 2 or more, as a row of one token has nothing to predict")
    if tokenizer.separator_id is None:
        raise InputError(
            f"tokenizer '{tokenizer.name}' has no token to put after a document: neither [SEP] nor end of text"
        )
    corpora = _open_splits(corpus)
    first = next(iter(corpora.values())).split
    request = {
        "corpus": {split: opened.split.fingerprint for split, opened in corpora.items()},
        "dataset": "packed",
        "length": length,
        "tokenizer": {"name": Path(tokenizer.name).name, "fingerprint": tokenizer.fingerprint},
    }
    folder = find_built(data_dir, name, request, overwrite=overwrite)
    if folder is not None:
        return folder
    # Filled while the rows are written; lingjax.json is written after them.
    counts: dict[str, dict[str, int]] = {}

    def pack_split(split: str) -> Iterator[dict[str, bytes]]:
        counts[split] = dict.fromkeys(("documents", "tokens", "padding_tokens", "unknown_tokens"), 0)
        documents = _tokenize(corpora[split], tokenizer, counts[split])
        for token_ids, document_ids in pack_rows(documents, length=length, pad_id=tokenizer.pad_id):
            counts[split]["padding_tokens"] += int((document_ids == 0).sum())
            yield {"token_ids": token_ids.astype("<i4").tobytes(), "document_ids": document_ids.astype("<i4").tobytes()}
        if not allow_unknown:
            _check_unknown(split, counts[split], tokenizer)

    return write_dataset(
        data_dir,
        name,
        {split: pack_split(split) for split in corpora},
        kind="packed",
        description=f"Corpus {first.name} in rows of {length} tokens.",
        request=request,
        info={
            "counts": counts,
            "domain": first.info["domain"],
            "synthetic": first.info.get("synthetic", False),
            "vocab_size": tokenizer.vocab_size,
        },
        overwrite=overwrite,
    )


def pack_rows(documents: Iterable[np.ndarray], *, length: int, pad_id: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Lays documents end to end and cuts them into rows: token ids and document ids, int32 `[length]` each.

    Document ids count 1, 2, ... within a row and are 0 for the padding at the end of the last row.
    """

    def empty_row() -> tuple[np.ndarray, np.ndarray]:
        return np.full(length, pad_id, np.int32), np.zeros(length, np.int32)

    (token_ids, document_ids), filled = empty_row(), 0
    for document in documents:
        while len(document):
            piece, document = np.split(document, [length - filled])
            token_ids[filled : filled + len(piece)] = piece
            document_ids[filled : filled + len(piece)] = document_ids.max() + 1
            filled += len(piece)
            if filled == length:
                yield token_ids, document_ids
                (token_ids, document_ids), filled = empty_row(), 0
    if filled:
        yield token_ids, document_ids


def _open_splits(reference: str) -> dict[str, Corpus]:
    if "@" in reference:
        opened = [open_corpus(reference, default=())]
    else:
        splits = open_split(reference, default=["train"]).info["splits"]
        opened = [open_corpus(f"{reference}@{split}", default=()) for split in splits]
    return {corpus.split.split: corpus for corpus in opened}


def _tokenize(corpus: Corpus, tokenizer: Tokenizer, counts: dict[str, int]) -> Iterator[np.ndarray]:
    """Yields the ids of each document, separator included, and adds to the counts."""
    for texts in corpus.batches(_BATCH_DOCUMENTS):
        for ids in tokenizer.encode(texts):
            counts["documents"] += 1
            counts["tokens"] += len(ids) + 1
            counts["unknown_tokens"] += 0 if tokenizer.unknown_id is None else int((ids == tokenizer.unknown_id).sum())
            yield np.append(ids, np.int32(tokenizer.separator_id))


def _check_unknown(split: str, counts: dict[str, int], tokenizer: Tokenizer) -> None:
    fraction = counts["unknown_tokens"] / counts["tokens"]
    if fraction > _UNKNOWN_ALLOWED:
        raise InputError(
            f"{fraction:.1%} of the tokens of split '{split}' are unknown to tokenizer '{tokenizer.name}'; raise "
            "--max_word_characters if it is WordPiece (a DNA or protein sequence is one word), choose another "
            "tokenizer, or accept it with --allow_unknown"
        )
