"""Reading a mixture of packed corpora beside TensorFlow's tf.data: the same files, rows and shares, by turns.

With `--latency=0.03` lingjax reads the files from a stand-in for a bucket too, each request to which takes so many
seconds; a round includes the copying of the shards that it reads.

Prints JSON: tokens per second of every round, the ratio lingjax / tf.data with its range, and each corpus' share of the
tokens beside the one that was asked for. Commands and how to read the result: benchmarks/README.md.
"""

import collections
import contextlib
import functools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from benchmarks import side_by_side, slow_bucket
from benchmarks.side_by_side import Side
from experiments import runtime
from lingjax import command
from lingjax.data import PackedSource, open_packed, open_split, parse_mixture
from lingjax.files import copy_folder

_MIXTURE = flags.DEFINE_string(
    "mixture", None, "Packed folders and their shares, as in DIR/english:1,DIR/dna:1.", required=True
)
_TOKENIZER = flags.DEFINE_string("tokenizer", None, "Tokenizer folder that packed them.", required=True)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Rows of a batch.", lower_bound=1)
_BATCHES = flags.DEFINE_integer("batches", 1000, "Batches a round.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each side.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", 0, "Cores each side may use; 0: all.", lower_bound=0)
_LATENCY = flags.DEFINE_float("latency", None, "Seconds a request to a bucket takes; none: no bucket.", lower_bound=0)

_PEER = "tf_data"
_BUCKET = "lingjax, bucket"


def main(_: list[str]) -> None:
    """Measures and prints."""
    threads = side_by_side.choose_threads(_THREADS.value)
    machine = side_by_side.describe_machine(threads)
    work = {
        "mixture": _MIXTURE.value,
        "tokenizer": _TOKENIZER.value,
        "batch_size": _BATCH_SIZE.value,
        "batches": _BATCHES.value,
    }
    sides = {"lingjax": functools.partial(_lingjax_side, work), _PEER: functools.partial(_tf_data_side, work)}
    if _LATENCY.value is not None:
        work["latency_seconds"] = _LATENCY.value
        sides[_BUCKET] = functools.partial(_bucket_side, work)
    measured = side_by_side.alternate(sides, rounds=_ROUNDS.value, threads=threads)
    result = {
        "benchmark": "input_pipeline",
        "created_utc": runtime.now_utc(),
        "machine": machine,
        "work": work | {"mixture": [name.rsplit("/", 1)[-1] for name in _MIXTURE.value.split(",")]},
        "sides": {
            name: side_by_side.describe_side(side, unit="tokens")
            | {
                "shares_by_round": [done.notes["shares"] for done in side["rounds"]],
            }
            for name, side in measured.items()
        },
        "ratios": {
            f"{name} / {_PEER}": side_by_side.compare(measured, name=name, peer=_PEER)
            for name in measured
            if name != _PEER
        },
    }
    print(json.dumps(result, indent=2))


def _open(work: dict[str, Any]) -> list[tuple[PackedSource, float]]:
    from lingjax.data import load_tokenizer

    fingerprint = load_tokenizer(work["tokenizer"]).fingerprint
    return [
        (open_packed(reference, tokenizer_fingerprint=fingerprint), weight)
        for reference, weight in parse_mixture(work["mixture"])
    ]


def _facts(parts: Sequence[tuple[PackedSource, float]]) -> dict[str, Any]:
    total = sum(weight for _, weight in parts)
    return {"wanted_shares": [weight / total for _, weight in parts], "row_length": parts[0][0].length}


def _shares(rows: collections.Counter, count: int) -> list[float]:
    return [rows[part] / sum(rows.values()) for part in range(count)]


def _lingjax_side(work: dict[str, Any]) -> Side:
    """Batches as pretraining gets them: every checksum verified, globally shuffled, resumable at any row."""
    from lingjax.data import NextToken, mixture_batches

    parts = _open(work)
    batches = mixture_batches(parts, objective=NextToken(), batch_size=work["batch_size"], seed=0)
    next(batches)

    def run(_: int) -> tuple[int, dict[str, Any]]:
        tokens, rows = 0, collections.Counter()
        for _ in range(work["batches"]):
            batch = next(batches)
            tokens += batch.token_ids.size
            rows.update(batch.domain_ids.tolist())
        return tokens, {"shares": _shares(rows, len(parts))}

    return Side(_facts(parts), run)


def _bucket_side(work: dict[str, Any]) -> Side:
    """The same from a bucket: every round opens the folders anew, so that it copies their shards anew."""
    from lingjax.data import NextToken, mixture_batches

    open_bucket = contextlib.ExitStack()
    open_bucket.enter_context(slow_bucket.stand_in(latency=work["latency_seconds"]))
    parts = []
    for reference, weight in parse_mixture(work["mixture"]):
        copied = f"gs://bucket/{len(parts)}"
        folder = open_split(reference, default=("train",))
        copy_folder(folder.path, copied)
        parts.append(f"{copied}@{folder.split}:{weight}")
    there = work | {"mixture": ",".join(parts)}

    def run(_: int) -> tuple[int, dict[str, Any]]:
        tokens, rows = 0, collections.Counter()
        batches = mixture_batches(_open(there), objective=NextToken(), batch_size=work["batch_size"], seed=0)
        for _ in range(work["batches"]):
            batch = next(batches)
            tokens += batch.token_ids.size
            rows.update(batch.domain_ids.tolist())
        return tokens, {"shares": _shares(rows, len(parts))}

    return Side(_facts(_open(there)), run)


def _tf_data_side(work: dict[str, Any]) -> Side:
    """The usual input pipeline of TFRecords: a shuffle buffer a corpus, then drawn by weight, parsed and batched."""
    import tensorflow as tf

    parts = _open(work)
    length = parts[0][0].length

    def parse(payload: Any, part: Any) -> dict[str, Any]:
        features = {name: tf.io.FixedLenFeature([], tf.string) for name in ("token_ids", "document_ids")}
        rows = tf.io.parse_example(payload, features)
        decoded = {name: tf.reshape(tf.io.decode_raw(rows[name], tf.int32), [-1, length]) for name in features}
        token_ids, document_ids = decoded["token_ids"], decoded["document_ids"]
        # What a causal language model needs: the next token, and whether it belongs to the same document.
        target_ids = tf.concat([token_ids[:, 1:], tf.zeros_like(token_ids[:, :1])], axis=1)
        same = tf.concat([document_ids[:, 1:] == document_ids[:, :-1], tf.zeros_like(token_ids[:, :1], bool)], axis=1)
        return {**decoded, "target_ids": target_ids, "counted": same & (document_ids > 0), "part": part}

    datasets = []
    for number, (source, _) in enumerate(parts):
        records = tf.data.TFRecordDataset([str(path) for path in source.split.shard_paths()])
        records = records.shuffle(len(source), seed=number).repeat()
        datasets.append(records.map(lambda payload, number=number: (payload, number)))
    total = sum(weight for _, weight in parts)
    mixed = tf.data.Dataset.sample_from_datasets(datasets, [weight / total for _, weight in parts], seed=0)
    batches = iter(
        mixed.batch(work["batch_size"]).map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    )
    next(batches)

    def run(_: int) -> tuple[int, dict[str, Any]]:
        tokens, rows = 0, collections.Counter()
        for _ in range(work["batches"]):
            batch = next(batches)
            tokens += int(np.prod(batch["token_ids"].shape))
            rows.update(batch["part"].numpy().tolist())
        return tokens, {"shares": _shares(rows, len(parts))}

    return Side({**_facts(parts), "tensorflow": tf.__version__}, run)


if __name__ == "__main__":
    command.run(main)
