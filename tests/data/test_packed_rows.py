"""A packed split has the rows that its card says, also where the card is of an older version without checksums."""

import json
import struct

import pytest
from etils import epath

from lingjax.data import describe_shard
from lingjax.data.packed import open_packed
from lingjax.errors import InputError
from lingjax.sealed import write_sealed

ROWS, LENGTH = 9, 4


@pytest.fixture(params=["with checksums", "older card"])
def folder(request, tmp_path, write_shard, serialize):
    folder = epath.Path(tmp_path) / "packed" / "1.0.0"
    folder.mkdir(parents=True)
    rows = [
        serialize({"token_ids": struct.pack("<4i", *[row] * LENGTH), "document_ids": struct.pack("<4i", *[1] * LENGTH)})
        for row in range(ROWS)
    ]
    path = write_shard(folder / "packed-train.tfrecord-00000-of-00001", rows)
    split = {"rows": ROWS, "fingerprint": "0" * 64}
    if request.param == "with checksums":
        split["shards"] = [describe_shard(path)]
    card = {"kind": "packed", "tokenizer": {"name": "t", "fingerprint": "f"}, "length": LENGTH, "domain": "dna"}
    write_sealed(folder / "lingjax.json", {**card, "vocab_size": 10, "splits": {"train": split}})
    (folder / "dataset_info.json").write_text(json.dumps({"name": "packed"}))
    return folder


def test_whole_rows_are_read(folder):
    source = open_packed(str(folder), tokenizer_fingerprint="f")
    assert [source[row].token_ids[0] for row in range(len(source))] == list(range(ROWS))


@pytest.mark.parametrize("rows", [0, 1, ROWS - 1])
def test_a_shard_with_fewer_rows_than_the_card_says_is_refused(folder, rows):
    (path,) = folder.glob("*.tfrecord-*")
    content = path.read_bytes()
    path.write_bytes(content[: rows * len(content) // ROWS])
    with pytest.raises(InputError, match=r"was written with|has \d rows, lingjax.json says 9"):
        open_packed(str(folder), tokenizer_fingerprint="f")


def test_a_card_without_what_reading_needs_is_refused(folder):
    write_sealed(folder / "lingjax.json", {"kind": "packed", "splits": {"train": {"rows": 1, "fingerprint": "0"}}})
    with pytest.raises(InputError, match=r"lingjax.json: lacks tokenizer, length, domain, vocab_size"):
        open_packed(str(folder), tokenizer_fingerprint="f")
