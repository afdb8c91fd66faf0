"""A small sound example of every kind of file that lingjax reads, and what reads it."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from data_prep.corpora import open_corpus
from data_prep.downloads import Cache, Wanted, describe_file
from data_prep.packing import pack
from data_prep.tokenizer_training import train_tokenizer
from data_prep.writer import write_dataset
from lingjax.data import PairSource, load_tokenizer, open_packed, open_split
from lingjax.models import load_pretrained
from lingjax.reporting import read_report
from lingjax.reporting.compare import read_judged_run
from lingjax.training.checkpoint import Checkpointer
from lingjax.training.mesh import make_mesh
from lingjax.training.metrics import read_metrics
from lingjax.training.run_folder import read_result, read_run_description
from lingjax.training.start import restore_run
from tests.faults.damage import Kind
from tests.training.test_checkpoint import PROGRESS, make_state


def plain(value: Any) -> Any:
    """Returns arrays as their bytes, so that values can be compared."""
    return [
        (jax.tree_util.keystr(path), np.asarray(leaf).tobytes() if hasattr(leaf, "dtype") else leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(value)
    ]


def _pairs(folder: Path) -> Any:
    split = open_split(f"{folder}@train", default=())
    source = PairSource(split)
    return split.name, split.fingerprint, source.label_counts, list(source)


def _corpus(folder: Path) -> Any:
    corpus = open_corpus(f"{folder}@train", default=())
    return corpus.domain, corpus.split.fingerprint, list(corpus)


def _tokenizer(folder: Path) -> Any:
    loaded = load_tokenizer(str(folder), offline=True)
    ids = [array.tolist() for array in loaded.encode(["red green ACGT", "MKVL [CLS] <|endoftext|>"])]
    return loaded.fingerprint, loaded.special_ids, loaded.pad_id, loaded.end_id, loaded.separator_id, ids


def _model(folder: Path) -> Any:
    loaded = load_pretrained(folder, head="language_model", offline=True)
    return loaded.config, loaded.head, plain(loaded.parameters), loaded.report.sha256, _tokenizer(folder)


def _resumed(folder: Path) -> Any:
    with Checkpointer(folder, keep=2) as checkpointer:
        restored = checkpointer.restore(make_state(9))
        checkpointer.check_scores({1: 0.5, 2: 0.25})
    words = jax.random.key_data(restored.state.dropout_key)
    return plain((restored.state.step, restored.state.parameters, restored.state.optimizer_state, words))


def _run(folder: Path) -> Any:
    restored = restore_run(folder, mesh=make_mesh(""), changes={})
    return restored.config, restored.init, plain(restored.parameters), _tokenizer(folder / "tokenizer")


def _books(folder: Path) -> Any:
    return read_run_description(folder), read_result(folder), read_metrics(folder)


def _download(folder: Path) -> Any:
    wanted = Wanted("some", "some.fa", "https://x", "", lambda path: {}, lambda path: {})
    path = Cache(folder, offline=True).obtain(wanted)
    return path.read_bytes(), describe_file(path)


def all_kinds(scratch: Path, *, pairs: Path, model: Path, workdir: Path) -> Iterator[Kind]:
    """Makes the examples, from a dataset, a model folder and the workdir of a transfer."""
    yield Kind("pairs", pairs, ["*/*"], _pairs)
    rng = random.Random(1)
    texts = [" ".join(rng.choices(["red", "green", "blue", "stone", "river"], k=rng.randint(3, 9))) for _ in range(60)]
    records = [{"document_id": str(number), "text": text} for number, text in enumerate(texts)]
    options = {"kind": "corpus", "description": "words", "request": {}, "info": {"domain": "english"}}
    corpus = write_dataset(scratch, "words", {"train": records}, shard_bytes=900, **options).parent
    yield Kind("corpus", corpus, ["*/*"], _corpus)
    tokenizer = train_tokenizer(scratch / "bpe", kind="bpe", corpora=[(str(corpus), 1.0)], vocab_size=290)
    yield Kind("tokenizer", tokenizer, ["*"], _tokenizer)
    loaded = load_tokenizer(str(tokenizer))
    packed = pack(scratch, name="packed", corpus=str(corpus), tokenizer=loaded, length=8, shard_bytes=900).parent

    def read_packed(folder: Path) -> Any:
        source = open_packed(f"{folder}@train", tokenizer_fingerprint=loaded.fingerprint)
        described = source.domain, source.vocab_size, source.characters_per_token, source.split.fingerprint
        return described, [
            (row.token_ids.tolist(), row.document_ids.tolist()) for row in map(source.__getitem__, range(len(source)))
        ]

    yield Kind("packed", packed, ["*/*"], read_packed)
    yield Kind("model folder", model, ["*"], _model)
    checkpoints = scratch / "checkpoints"
    with Checkpointer(checkpoints, keep=2) as checkpointer:
        for step, score in ((1, 0.5), (2, 0.25)):
            checkpointer.save(make_state(step, step=step), progress=PROGRESS, score=score)
    yield Kind("checkpoint, resumed", checkpoints, ["2/**/*"], _resumed)
    run = workdir / "seed0"
    target = pairs.name
    yield Kind("checkpoint, evaluated", run, ["checkpoints/*/**/*", "tokenizer/*"], _run)
    yield Kind("run folder", run, ["model.json", "result.json", "metrics.jsonl"], _books)
    yield Kind("report", workdir / "reports", ["*.json"], lambda folder: read_report(folder / f"{target}.json"))

    def read_judged(folder: Path) -> Any:
        judged = read_judged_run(folder / "reports" / f"{target}.json")
        return judged.pair_ids, judged.labels.tolist(), judged.scores.tolist()

    yield Kind("predictions", workdir, ["predictions/*"], read_judged)
    downloads = scratch / "downloads"
    downloads.mkdir()
    (downloads / "some.fa").write_text(">one\nACGT\n" * 9)
    cache = Cache(downloads)
    wanted = Wanted("some", "some.fa", "https://x", "", lambda path: {"organism": "a"}, lambda path: {})
    cache.obtain(wanted)
    yield Kind("download", downloads, ["*"], _download)
