"""Corpora as rows of tokens: documents end to end, cut into rows of equal length."""

import collections
import concurrent.futures
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from data_prep.corpora import Corpus, open_corpus
from data_prep.engines import LocalEngine
from data_prep.parts import write_in_parts
from data_prep.shards import SHARD_BYTES
from data_prep.tally import Tally
from data_prep.work import Advance, Engine
from data_prep.writer import find_built
from lingjax.data import Tokenizer, open_split, split_reference
from lingjax.errors import InputError

_COUNTS = ("documents", "characters", "tokens", "padding_tokens", "unknown_tokens")
# The tokenizer spreads the texts of a batch over all cores; more would only cost memory, about 100 bytes a token.
_BATCH_CHARACTERS = 2**20
_UNKNOWN_ALLOWED = 0.01


def pack(
    data_dir: Path | str,
    *,
    name: str,
    corpus: str,
    tokenizer: Tokenizer,
    length: int,
    tokens: int | None = None,
    allow_unknown: bool = False,
    engine: Engine | None = None,
    overwrite: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Tokenizes a corpus, packs it into rows and returns the folder; one packed by the same call is left alone.

    Every document is followed by the tokenizer's separator. A document that does not end in a row goes on in the next,
    so no token is lost. With a tokenizer of BERT's kind, whatever a row holds of one document begins with [CLS], as
    every text does that BERT reads (Devlin et al. 2019, section 3). Each shard of the corpus is packed by itself, so
    that several can be at once, and the last row of each is padded. `lingjax.json` counts documents, characters, tokens
    (but for [CLS]), [CLS] ("start_tokens"), padding and unknown tokens of each split.

    Args:
      data_dir: folder of all datasets.
      name: the packed dataset's name.
      corpus: a corpus reference; all its splits are packed unless it names one.
      tokenizer: must have an end-of-text or [SEP] token.
      length: tokens of a row, at least 2.
      tokens: how many tokens to keep of the split `train`, or of the only one: whole rows in equal steps over the
        corpus, as few as hold so many. Rows and tokens left out are counted. None keeps all.
      allow_unknown: whether more than 1 % unknown tokens are accepted.
      engine: what works on the shards, by default this process; decides nothing about the result.
      overwrite: whether a dataset packed otherwise is replaced.
      shard_bytes: a shard that has reached this size is closed.

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
    start_id = find_start(tokenizer)
    if tokens is not None and tokens < 1:
        raise InputError(f"--tokens={tokens} must be at least 1")
    request = {
        "corpus": {split: opened.split.fingerprint for split, opened in corpora.items()},
        "dataset": "packed",
        "length": length,
        "tokenizer": {"name": Path(tokenizer.name).name, "fingerprint": tokenizer.fingerprint},
    }
    if start_id is not None:
        request["start_id"] = start_id
    if tokens is not None:
        request["tokens"] = tokens
    folder = find_built(data_dir, name, request, overwrite=overwrite)
    if folder is not None:
        return folder
    engine = engine or LocalEngine()
    parts = [_Shard(shard) for opened in corpora.values() for shard in opened.shards()]
    if tokens is not None:
        parts = _within(tokens, parts, tokenizer, length=length, engine=engine)

    def finish(tally: Tally) -> dict[str, object]:
        names = _COUNTS if start_id is None else (*_COUNTS, "start_tokens")
        names = names if tokens is None else (*names, "rows_left_out", "tokens_left_out")
        counts = {split: {name: tally.counts[split][name] for name in names} for split in corpora}
        if not allow_unknown:
            for split in corpora:
                _check_unknown(split, counts[split], tokenizer)
        return {
            "counts": counts,
            "domain": first.info["domain"],
            "synthetic": first.info.get("synthetic", False),
            "vocab_size": tokenizer.vocab_size,
        }

    return write_in_parts(
        data_dir,
        name,
        _PackedRows(tokenizer, length),
        parts,
        engine=engine,
        total=sum(len(part.corpus) for part in parts),
        unit=" documents",
        splits=list(corpora),
        finish=finish,
        description=f"Corpus {first.name} in rows of {length} tokens.",
        request=request,
        overwrite=overwrite,
        shard_bytes=shard_bytes,
    )


@dataclasses.dataclass(frozen=True)
class _Shard:
    """A shard of a corpus; `kept` says of each of its rows whether it is kept, None keeps all."""

    corpus: Corpus
    kept: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class _PackedRows:
    """Makes rows of a shard of a corpus."""

    tokenizer: Tokenizer
    length: int
    kind: str = "packed"

    def records(self, part: _Shard, tally: Tally, advance: Advance) -> Iterator[tuple[str, dict[str, bytes]]]:
        """Yields the rows of a shard; as `data_prep.parts.RecordSource`."""
        split = part.corpus.split.split
        start_id = find_start(self.tokenizer)
        for number, row in enumerate(self.rows(part.corpus, tally, advance)):
            token_ids, document_ids = row
            places, starts = int(np.count_nonzero(document_ids)), 0 if start_id is None else int(document_ids.max())
            if part.kept is not None and not part.kept[number]:
                self._leave_out(row, tally.counts[split], tokens=places - starts)
                continue
            tally.add(split, "padding_tokens", self.length - places)
            if start_id is not None:
                tally.add(split, "start_tokens", starts)
            yield (
                split,
                {
                    name: values.astype("<i4").tobytes()
                    for name, values in {"token_ids": token_ids, "document_ids": document_ids}.items()
                },
            )

    def rows(self, corpus: Corpus, tally: Tally, advance: Advance) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields all rows of a shard, and adds documents, characters and tokens to the counts of its split."""
        documents = _tokenize(corpus, self.tokenizer, tally, advance)
        start_id = find_start(self.tokenizer)
        return pack_rows(documents, length=self.length, pad_id=self.tokenizer.pad_id, start_id=start_id)

    def _leave_out(self, row: tuple[np.ndarray, np.ndarray], counts: dict[str, int], *, tokens: int) -> None:
        """Takes a row out of the counts of what is written, and counts it as left out."""
        token_ids, document_ids = row
        counts["rows_left_out"] += 1
        counts["tokens_left_out"] += tokens
        counts["tokens"] -= tokens
        for number in range(1, int(document_ids.max()) + 1):
            counts["characters"] -= len(self.tokenizer.decode(token_ids[document_ids == number]))
        if self.tokenizer.unknown_id is not None:
            counts["unknown_tokens"] -= int(np.count_nonzero(token_ids[document_ids > 0] == self.tokenizer.unknown_id))


def _within(tokens: int, parts: Sequence[_Shard], tokenizer: Tokenizer, *, length: int, engine: Engine) -> list[_Shard]:
    """Returns the shards with the rows marked that hold so many tokens of the split `train`, or of the only one.

    Raises:
      InputError: the split has fewer tokens.
    """
    splits = list(dict.fromkeys(part.corpus.split.split for part in parts))
    split = splits[0] if len(splits) == 1 else "train"
    bounded = [part for part in parts if part.corpus.split.split == split]
    if not bounded:
        raise InputError(f"--tokens bounds the split train, which the corpus lacks; name one of {', '.join(splits)}")
    counted = engine.map(
        functools.partial(_count_tokens, rows=_PackedRows(tokenizer, length)),
        [part.corpus for part in bounded],
        total=sum(len(part.corpus) for part in bounded),
        unit=" documents",
    )
    held = np.concatenate(counted)
    if held.sum() < tokens:
        raise InputError(f"--tokens={tokens}: split '{split}' has only {held.sum()} tokens")
    kept = _in_equal_steps(held, tokens)
    ends = np.cumsum([len(of_part) for of_part in counted])
    marked = dict(zip(map(id, bounded), np.split(kept, ends[:-1]), strict=True))
    return [dataclasses.replace(part, kept=marked.get(id(part))) for part in parts]


def _count_tokens(corpus: Corpus, advance: Advance, *, rows: _PackedRows) -> np.ndarray:
    """Returns how many tokens each row holds, [CLS] and padding not among them."""
    has_start = find_start(rows.tokenizer) is not None
    return np.array(
        [
            np.count_nonzero(document_ids) - has_start * document_ids.max()
            for _, document_ids in rows.rows(corpus, Tally(), advance)
        ],
        np.int64,
    )


def _in_equal_steps(held: np.ndarray, tokens: int) -> np.ndarray:
    """Returns which rows are kept: the fewest that, taken in equal steps, hold so many tokens."""

    def choose(number: int) -> np.ndarray:
        chosen = np.zeros(len(held), bool)
        chosen[np.arange(number) * len(held) // number] = True
        return chosen

    number = max(1, -(-tokens * len(held) // int(held.sum())))  # as many as there are if all rows are alike
    while held[choose(number)].sum() < tokens:
        number += 1
    while number > 1 and held[choose(number - 1)].sum() >= tokens:
        number -= 1
    return choose(number)


def find_start(tokenizer: Tokenizer) -> int | None:
    """Returns [CLS] of a tokenizer that masked pretraining uses; None for one of GPT-2's kind, which needs no start."""
    return None if tokenizer.mask_id is None else tokenizer.start_id


def pack_rows(
    documents: Iterable[np.ndarray], *, length: int, pad_id: int, start_id: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Lays documents end to end and cuts them into rows: token ids and document ids, int32 `[length]` each.

    Document ids count 1, 2, ... within a row and are 0 for padding, which stands at the end of the last row, and where
    one place is left in a row, too few for a start and a token.

    Args:
      documents: the token ids of each.
      length: tokens of a row.
      pad_id: stands in places without a token.
      start_id: the token that comes before what a row holds of each document; None for none.
    """
    start = np.array([] if start_id is None else [start_id], np.int32)

    def empty_row() -> tuple[np.ndarray, np.ndarray]:
        return np.full(length, pad_id, np.int32), np.zeros(length, np.int32)

    (token_ids, document_ids), filled, number = empty_row(), 0, 0
    for document in documents:
        taken = 0
        while taken < len(document):
            if length - filled <= len(start):
                yield token_ids, document_ids
                (token_ids, document_ids), filled, number = empty_row(), 0, 0
            room = length - filled - len(start)
            piece = np.concatenate([start, document[taken : taken + room]])
            taken, first, filled, number = taken + room, filled, filled + len(piece), number + 1
            token_ids[first:filled] = piece
            document_ids[first:filled] = number
    if filled:
        yield token_ids, document_ids


def _open_splits(reference: str) -> dict[str, Corpus]:
    if split_reference(reference)[1]:
        opened = [open_corpus(reference, default=())]
    else:
        splits = open_split(reference, default=["train"]).info["splits"]
        opened = [open_corpus(f"{reference}@{split}", default=()) for split in splits]
    return {corpus.split.split: corpus for corpus in opened}


def _tokenize(corpus: Corpus, tokenizer: Tokenizer, tally: Tally, advance: Advance) -> Iterator[np.ndarray]:
    """Yields the ids of each document, separator included, and adds to the counts of the split."""
    counts = tally.counts[corpus.split.split]
    for texts, encoded in _encode(_batches(corpus), tokenizer):
        counts["documents"] += len(texts)
        counts["characters"] += sum(map(len, texts))
        for ids in encoded:
            counts["tokens"] += len(ids)
            if tokenizer.unknown_id is not None:
                counts["unknown_tokens"] += int(np.count_nonzero(ids == tokenizer.unknown_id))
            yield ids
        advance(len(texts))


def _encode(batches: Iterable[list[str]], tokenizer: Tokenizer) -> Iterator[tuple[list[str], Sequence[np.ndarray]]]:
    """Yields each batch with its ids; the tokenizer's threads are on the next two while the caller is on this one."""
    encode = functools.partial(tokenizer.encode, ending=[tokenizer.separator_id])
    # Two, so that the threads have texts while the ids of a finished batch become arrays.
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as background:
        pending = collections.deque()
        for texts in batches:
            pending.append((texts, background.submit(encode, texts)))
            if len(pending) > 2:
                texts, encoded = pending.popleft()
                yield texts, encoded.result()
        for texts, encoded in pending:
            yield texts, encoded.result()


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yields texts together until they have a number of characters that keeps all cores busy."""
    batch, characters = [], 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _check_unknown(split: str, counts: dict[str, int], tokenizer: Tokenizer) -> None:
    fraction = counts["unknown_tokens"] / counts["tokens"]
    if fraction > _UNKNOWN_ALLOWED:
        raise InputError(
            f"{fraction:.1%} of the tokens of split '{split}' are unknown to tokenizer '{tokenizer.name}'; raise "
            "--max_word_characters if it is WordPiece (a DNA or protein sequence is one word), choose another "
            "tokenizer, or accept it with --allow_unknown"
        )
