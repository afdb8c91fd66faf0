"""Small dataset folders and tokenizers, made anew for the test session."""

import dataclasses
import json
import random
import struct

import google_crc32c
import pytest
from etils import epath

from lingjax.data import PairRecord, describe_shard, fingerprint_records, load_tokenizer, write_index
from lingjax.sealed import write_sealed

_WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "mat",
    "while",
    "a",
    "small",
    "dog",
    "ran",
    "along",
    "old",
    "river",
    "bank",
    "near",
]


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _write_shard(path, payloads):
    with open(path, "wb") as file:  # noqa: PTH123 - paths of tmp_path and of buckets both come here
        for payload in payloads:
            length = struct.pack("<Q", len(payload))
            file.write(length + struct.pack("<I", _masked_crc(length)) + payload)
            file.write(struct.pack("<I", _masked_crc(payload)))
    return path


def _field(number: int, content: bytes) -> bytes:
    """Returns a length-delimited protobuf field; lengths below 2**14 only."""
    size = len(content)
    varint = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    return bytes([number << 3 | 2]) + varint + content


def _serialize(features: dict) -> bytes:
    """Returns a tf.train.Example of texts, bytes and small non-negative integers, encoded by hand."""
    entries = b""
    for name, value in features.items():
        content = value.encode() if isinstance(value, str) else value
        is_number = isinstance(value, int)
        values = _field(3, _field(1, bytes([value]))) if is_number else _field(1, _field(1, content))
        entries += _field(1, _field(1, name.encode()) + _field(2, values))
    return _field(1, entries)


@pytest.fixture(scope="session")
def write_shard():
    """Writes payloads as one TFRecord file and returns its path."""
    return _write_shard


@pytest.fixture(scope="session")
def serialize():
    """Encodes a dict as a tf.train.Example, independently of the code under test."""
    return _serialize


@pytest.fixture(scope="session")
def make_pairs():
    """Makes random pairs of sentences: `make_pairs(count, seed=..., longest=...)`."""

    def make(count: int, *, seed: int = 0, longest: int = 17) -> list[PairRecord]:
        rng = random.Random(seed)

        def sentence() -> str:
            return " ".join(rng.choices(_WORDS, k=rng.randint(1, longest)))

        return [PairRecord(f"pair-{i}", sentence(), sentence(), rng.randint(0, 1)) for i in range(count)]

    return make


def write_dataset(data_dir, name, splits, *, version="1.0.0", shards=1):
    """Writes a dataset folder: `write_dataset(data_dir, name, {split: records}, shards=...)` and returns it."""
    folder = epath.Path(data_dir) / name / version
    folder.mkdir(parents=True)
    described = {}
    for split, records in splits.items():
        payloads = [_serialize(dataclasses.asdict(record)) for record in records]
        paths = []
        for shard in range(shards):
            first, last = (len(payloads) * edge // shards for edge in (shard, shard + 1))
            paths.append(folder / f"{name}-{split}.tfrecord-{shard:05d}-of-{shards:05d}")
            write_index(_write_shard(paths[-1], payloads[first:last]))
        labels = [record.label for record in records]
        described[split] = {
            "rows": len(records),
            "label_counts": {"0": labels.count(0), "1": labels.count(1)},
            "fingerprint": fingerprint_records(payloads),
            "shards": [describe_shard(path) for path in paths],
        }
    (folder / "dataset_info.json").write_text(json.dumps({"name": name}))
    write_sealed(folder / "lingjax.json", {"kind": "pairs", "splits": described})
    return folder


@pytest.fixture(scope="session")
def write_pairs():
    """Writes a dataset folder, as `write_dataset` does."""
    return write_dataset


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory, make_pairs):
    """A byte-level BPE tokenizer with an end token and no pad token, as GPT-2's."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = tokenizers.ByteLevelBPETokenizer()
    texts = [record.sentence1 for record in make_pairs(97)]
    backend.train_from_iterator(texts, vocab_size=331, special_tokens=["<|endoftext|>"], show_progress=False)
    folder = tmp_path_factory.mktemp("gpt2")
    end = "<|endoftext|>"
    PreTrainedTokenizerFast(
        tokenizer_object=backend._tokenizer, eos_token=end, bos_token=end, unk_token=end, model_max_length=11
    ).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory, make_pairs):
    """A WordPiece tokenizer with BERT's special tokens and template."""
    import tokenizers
    from transformers import BertTokenizerFast

    backend = tokenizers.BertWordPieceTokenizer()
    texts = [record.sentence1 for record in make_pairs(97)] + ["acgt", "tgca"]
    backend.train_from_iterator(texts, vocab_size=211, min_frequency=1, show_progress=False)
    folder = tmp_path_factory.mktemp("bert")
    backend._tokenizer.enable_truncation(13)  # as MiniLM's file has, which must not shorten anything here
    backend._tokenizer.enable_padding(length=13)
    BertTokenizerFast(tokenizer_object=backend._tokenizer).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def gpt2_tokenizer(gpt2_folder):
    return load_tokenizer(str(gpt2_folder), offline=True)


@pytest.fixture(scope="session")
def bert_tokenizer(bert_folder):
    return load_tokenizer(str(bert_folder), offline=True)
