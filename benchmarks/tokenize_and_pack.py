"""Packing a corpus beside the `tokenizers` library alone: the same documents and tokenizer, the same cores, by turns.

Prints JSON: tokens and characters per second of every round, and the ratios with their range. Commands and how to read
the result: benchmarks/README.md.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from benchmarks import side_by_side
from benchmarks.side_by_side import Side
from experiments import runtime
from lingjax import command
from lingjax.errors import InputError

if TYPE_CHECKING:
    import tokenizers

_CORPUS = flags.DEFINE_string("corpus", None, "Corpus folder and split, as in DIR/english@train.", required=True)
_TOKENIZER = flags.DEFINE_string("tokenizer", None, "Hugging Face tokenizer folder.", required=True)
_LENGTH = flags.DEFINE_integer("length", 1024, "Tokens of a packed row.", lower_bound=2)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each side.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", 0, "Cores each side may use; 0: all.", lower_bound=0)

# The library is given texts of so many characters together: enough for its threads, and not all ids at once in memory.
_PEER_CHARACTERS = 2**22


@dataclasses.dataclass(frozen=True)
class Work:
    """What every side is given.

    Attributes:
      corpus: reference of one split.
      tokenizer: Hugging Face folder.
      length: tokens of a row.
    """

    corpus: str
    tokenizer: str
    length: int


def main(_: list[str]) -> None:
    """Measures and prints."""
    if "@" not in _CORPUS.value:
        raise InputError(f"--corpus={_CORPUS.value}: name the split as well, as in DIR/english@train")
    threads = side_by_side.choose_threads(_THREADS.value)
    machine = side_by_side.describe_machine(threads)
    work = Work(corpus=_CORPUS.value, tokenizer=_TOKENIZER.value, length=_LENGTH.value)
    sides = {
        "data_prep_pack": functools.partial(pack_side, work),
        "tokenizers_ids": functools.partial(tokenizers_side, work, read_ids=True),
        "tokenizers": functools.partial(tokenizers_side, work, read_ids=False),
    }
    measured = side_by_side.alternate(sides, rounds=_ROUNDS.value, threads=threads)
    _check_same_work(measured)
    ours, *peers = measured
    facts = measured[ours]["facts"]
    result = {
        "benchmark": "tokenize_and_pack",
        "created_utc": runtime.now_utc(),
        "machine": machine,
        "work": {
            "corpus": Path(work.corpus).name,
            "tokenizer": Path(work.tokenizer).name,
            "length": work.length,
            **{name: facts[name] for name in ("documents", "characters", "tokens")},
        },
        "sides": {name: _described(side) for name, side in measured.items()},
        "ratios": {f"{ours} / {peer}": side_by_side.compare(measured, name=ours, peer=peer) for peer in peers},
    }
    print(json.dumps(result, indent=2))


def pack_side(work: Work) -> Side:
    """Returns what `data_prep.pack` runs: reads records from disk, tokenizes, packs, writes and describes a folder."""
    from data_prep.packing import pack
    from lingjax.data import TFRecordSource, load_tokenizer, open_packed, open_split

    tokenizer = load_tokenizer(work.tokenizer, offline=True)
    folder = tempfile.TemporaryDirectory()  # removed when the process ends

    def run(_: int) -> tuple[int, dict[str, Any]]:
        shutil.rmtree(Path(folder.name, "packed"), ignore_errors=True)
        packed = pack(
            folder.name,
            name="packed",
            corpus=work.corpus,
            tokenizer=tokenizer,
            length=work.length,
            allow_unknown=True,
        )
        (counts,) = json.loads((packed / "lingjax.json").read_text())["counts"].values()
        return counts["tokens"] - counts["documents"], counts  # without the separators, which the library does not make

    tokens, counts = run(0)
    rows = open_packed(str(Path(folder.name, "packed")), tokenizer_fingerprint=tokenizer.fingerprint)
    digest = hashlib.sha256()
    for row in rows:
        ids = row.token_ids[row.document_ids > 0]
        digest.update(ids[(ids != tokenizer.separator_id) & (ids != rows.start_id)].astype("<i4").tobytes())
    shards = open_split(work.corpus, default=()).shard_paths()
    facts = {
        "documents": len(TFRecordSource(shards)),
        "characters": counts["characters"],
        "tokens": tokens,
        "ids_sha256": digest.hexdigest(),
    }
    return Side(facts, run)


def tokenizers_side(work: Work, *, read_ids: bool) -> Side:
    """Returns the library on documents that lie in memory, with as many threads as it likes.

    Args:
      work: what to do.
      read_ids: whether the ids are read as Python integers; otherwise they stay where the library made them.
    """
    from data_prep.corpora import open_corpus
    from lingjax.data import load_tokenizer

    tokenizer = _backend(work.tokenizer)
    separator = load_tokenizer(work.tokenizer, offline=True).separator_id
    texts = list(open_corpus(work.corpus, default=()))
    batches = list(_batches(texts))

    def run(_: int) -> tuple[int, dict[str, Any]]:
        tokens = 0
        for batch in batches:
            encodings = tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            tokens += sum(len(encoding.ids) if read_ids else len(encoding) for encoding in encodings)
        return tokens, {"characters": sum(map(len, texts))}

    import numpy as np

    digest, tokens = hashlib.sha256(), 0
    for batch in batches:
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            ids = np.array(encoding.ids, "<i4")
            digest.update(ids[ids != separator].tobytes())
            tokens += len(ids)
    facts = {
        "versions": {"tokenizers": importlib.metadata.version("tokenizers")},
        "documents": len(texts),
        "characters": sum(map(len, texts)),
        "tokens": tokens,
        "ids_sha256": digest.hexdigest(),
    }
    return Side(facts, run)


def _backend(folder: str) -> "tokenizers.Tokenizer":
    import tokenizers

    backend = tokenizers.Tokenizer.from_file(str(Path(folder, "tokenizer.json")))
    backend.no_truncation()
    backend.no_padding()
    return backend


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch, characters = [], 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if characters >= _PEER_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _check_same_work(measured: dict[str, dict[str, Any]]) -> None:
    for fact in ("documents", "characters", "tokens", "ids_sha256"):
        seen = {name: side["facts"][fact] for name, side in measured.items()}
        if len(set(seen.values())) > 1:
            raise RuntimeError(f"the sides do not do the same: {fact} {seen}")


def _described(side: dict[str, Any]) -> dict[str, Any]:
    described = side_by_side.describe_side(side, unit="tokens")
    characters = [done.notes["characters"] / done.seconds for done in side["rounds"]]
    return described | {"characters_per_second": side_by_side.spread(characters)}


if __name__ == "__main__":
    command.run(main)
