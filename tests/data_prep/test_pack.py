import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep import packing
from data_prep.builders import synthetic
from data_prep.corpora import open_corpus
from data_prep.packing import pack, pack_rows
from data_prep.tokenizer_training import train_tokenizer
from data_prep.writer import summarize, write_dataset
from lingjax.data import load_tokenizer
from lingjax.data.packed import open_packed
from lingjax.errors import InputError

ROOT = Path(__file__).parents[2]
LENGTH = 61


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return synthetic.build(tmp_path_factory.mktemp("packing"), seed=2, scale=0.03)[0].parent.parent


@pytest.fixture(scope="module")
def tokenizers(data_dir):
    corpora = [(f"{data_dir}/synthetic_{domain}", 1.0) for domain in ("english", "dna")]
    return {
        kind: load_tokenizer(
            str(train_tokenizer(data_dir / kind, kind=kind, corpora=corpora, vocab_size=300, max_word_characters=limit))
        )
        for kind, limit in (("bpe", 100), ("wordpiece", 9999))
    }


@pytest.fixture(scope="module")
def tokenizer(tokenizers):
    return tokenizers["bpe"]


@pytest.fixture(scope="module")
def packed(data_dir, tokenizer):
    return pack(data_dir, name="packed", corpus=f"{data_dir}/synthetic_dna", tokenizer=tokenizer, length=LENGTH)


def info(folder):
    return json.loads((folder / "lingjax.json").read_text())


def test_the_line_about_a_packed_corpus_counts_its_tokens(packed, tokenizer):
    source, rows = open_all(packed, tokenizer, "train")
    filled = sum(int(np.count_nonzero(row.document_ids)) for row in rows)
    assert f"train {len(source):,} rows ({filled:,} tokens)" in summarize(packed)


def open_all(folder, tokenizer, split):
    source = open_packed(f"{folder}@{split}", tokenizer_fingerprint=tokenizer.fingerprint)
    return source, [source[number] for number in range(len(source))]


def remove_starts(row, tokenizer):
    """Returns a row without the [CLS] with which each of its documents must begin, and with nowhere else one."""
    begins = np.diff(row.document_ids, prepend=0) > 0
    begins &= row.document_ids > 0
    assert begins[0]
    np.testing.assert_array_equal(row.token_ids == tokenizer.start_id, begins)
    return dataclasses.replace(row, token_ids=row.token_ids[~begins], document_ids=row.document_ids[~begins])


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_token_of_every_document_is_there_in_order(data_dir, tokenizers, kind, split):
    tokenizer = tokenizers[kind]
    folder = pack(
        data_dir, name=f"{kind}_packed", corpus=f"{data_dir}/synthetic_dna", tokenizer=tokenizer, length=LENGTH
    )
    _, rows = open_all(folder, tokenizer, split)
    if kind == "wordpiece":
        rows = [remove_starts(row, tokenizer) for row in rows]
    stream = np.concatenate([row.token_ids[row.document_ids > 0] for row in rows])
    texts = open_corpus(f"{data_dir}/synthetic_dna@{split}", default=())
    expected = [token for ids in tokenizer.encode(list(texts)) for token in (*ids.tolist(), tokenizer.separator_id)]
    assert stream.tolist() == expected
    counts = info(folder)["counts"][split]
    assert counts["tokens"] == len(expected)
    assert counts["documents"] == len(texts)
    assert counts["characters"] == sum(map(len, texts))
    assert counts["tokens"] + counts["padding_tokens"] + counts.get("start_tokens", 0) == len(rows) * LENGTH


def test_only_the_last_row_is_padded(packed, tokenizer):
    _, rows = open_all(packed, tokenizer, "train")
    assert all((row.document_ids > 0).all() for row in rows[:-1])
    padding = rows[-1].document_ids == 0
    assert padding.sum() == info(packed)["counts"]["train"]["padding_tokens"]
    assert (rows[-1].token_ids[padding] == tokenizer.pad_id).all()


def test_the_folder_says_what_it_is_made_of(packed, tokenizer):
    content = info(packed)
    assert content["tokenizer"] == {"name": "bpe", "fingerprint": tokenizer.fingerprint}
    assert (content["kind"], content["domain"], content["length"]) == ("packed", "dna", LENGTH)
    assert content["vocab_size"] == 300
    assert content["synthetic"] is True


def test_rows_by_hand():
    documents = [np.array([5, 6, 9]), np.array([7, 9]), np.array([1, 2, 3, 4, 9])]
    rows = list(pack_rows(iter(documents), length=4, pad_id=0))
    assert [ids.tolist() for ids, _ in rows] == [[5, 6, 9, 7], [9, 1, 2, 3], [4, 9, 0, 0]]
    assert [documents.tolist() for _, documents in rows] == [[1, 1, 1, 2], [1, 2, 2, 2], [1, 1, 0, 0]]


def test_rows_of_bert_by_hand():
    documents = [np.array([5, 6, 9]), np.array([7, 9]), np.array([1, 2, 3, 4, 9]), np.array([8, 9])]
    rows = list(pack_rows(iter(documents), length=5, pad_id=0, start_id=90))
    assert [ids.tolist() for ids, _ in rows] == [
        [90, 5, 6, 9, 0],  # one place is too few for [CLS] and a token
        [90, 7, 9, 90, 1],
        [90, 2, 3, 4, 9],
        [90, 8, 9, 0, 0],
    ]
    assert [documents.tolist() for _, documents in rows] == [
        [1, 1, 1, 1, 0],
        [1, 1, 1, 2, 2],
        [1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0],
    ]


def test_a_folder_says_whether_its_rows_begin_with_cls(data_dir, tokenizers, packed):
    arguments = {"corpus": f"{data_dir}/synthetic_english@validation", "length": 19}
    folder = pack(data_dir, name="starts", tokenizer=tokenizers["wordpiece"], **arguments)
    source = open_packed(f"{folder}@validation", tokenizer_fingerprint=tokenizers["wordpiece"].fingerprint)
    assert source.start_id == tokenizers["wordpiece"].start_id == 2
    assert open_packed(str(packed), tokenizer_fingerprint=tokenizers["bpe"].fingerprint).start_id is None


def test_rows_packed_without_cls_are_read_and_not_taken_for_new_ones(data_dir, tokenizers, tmp_path, monkeypatch):
    tokenizer = tokenizers["wordpiece"]
    arguments = {"corpus": f"{data_dir}/synthetic_english@validation", "tokenizer": tokenizer, "length": 19}
    with monkeypatch.context() as earlier:
        earlier.setattr(packing, "find_start", lambda _: None)
        folder = pack(tmp_path, name="old", **arguments)
    source, rows = open_all(folder, tokenizer, "validation")
    assert source.start_id is None
    assert not any((row.token_ids == tokenizer.start_id).any() for row in rows)
    with pytest.raises(InputError, match=r"start_id.*--overwrite"):
        pack(tmp_path, name="old", **arguments)


def test_rows_that_fill_exactly_leave_no_empty_row():
    rows = list(pack_rows([np.arange(6)], length=3, pad_id=0))
    assert [ids.tolist() for ids, _ in rows] == [[0, 1, 2], [3, 4, 5]]


@pytest.fixture(scope="module")
def sharded(data_dir):
    """A corpus of several shards."""
    texts = open_corpus(f"{data_dir}/synthetic_dna@train", default=())
    documents = [{"document_id": str(number), "text": text} for number, text in enumerate(texts)]
    folder = write_dataset(
        data_dir,
        "sharded",
        {"train": documents, "validation": documents[:1]},
        kind="corpus",
        description="",
        request={"domain": "dna"},
        shard_bytes=3000,
    )
    assert len(list(folder.glob("sharded-train.tfrecord-?????-of-?????"))) == 3
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_shard_of_a_corpus_is_packed_by_itself(data_dir, tokenizer, sharded):
    folder = pack(data_dir, name="packed_shards", corpus=str(sharded), tokenizer=tokenizer, length=LENGTH)
    _, rows = open_all(folder, tokenizer, "train")
    expected = []
    for shard in open_corpus(f"{sharded}@train", default=()).shards():
        documents = [np.append(ids, tokenizer.separator_id) for ids in tokenizer.encode(list(shard))]
        expected += [ids.tolist() for ids, _ in pack_rows(documents, length=LENGTH, pad_id=tokenizer.pad_id)]
    assert [row.token_ids.tolist() for row in rows] == expected
    padded = [number for number, row in enumerate(rows) if (row.document_ids == 0).any()]
    assert len(padded) == 3
    assert info(folder)["counts"]["train"]["padding_tokens"] == sum((row.document_ids == 0).sum() for row in rows)


def test_how_many_texts_are_tokenized_together_changes_no_byte(data_dir, tokenizer, sharded, tmp_path, monkeypatch):
    arguments = {"name": "x", "corpus": str(sharded), "tokenizer": tokenizer, "length": LENGTH}
    together = pack(tmp_path / "a", **arguments)
    monkeypatch.setattr(packing, "_BATCH_CHARACTERS", 1)
    assert contents(pack(tmp_path / "b", **arguments)) == contents(together)


def test_progress_is_told_in_documents(tokenizer, sharded, tmp_path):
    class Engine:
        def map(self, work, items, *, total, unit):
            self.total, self.unit, self.done = total, unit, 0
            return [work(item, self.advance) for item in items]

        def advance(self, amount):
            self.done += amount

    engine = Engine()
    folder = pack(tmp_path, name="x", corpus=str(sharded), tokenizer=tokenizer, length=9, engine=engine)
    documents = sum(counts["documents"] for counts in info(folder)["counts"].values())
    assert (engine.total, engine.done, engine.unit) == (documents, documents, " documents")


KILLED = """
import os, signal, sys
from data_prep import parts, writer
from data_prep.engines import LocalEngine
from data_prep.packing import pack
from lingjax.data import load_tokenizer

data_dir, corpus, tokenizer, length, moment = sys.argv[1:]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

class Engine:
    def map(self, work, items, **_):
        if moment == "in a part":
            work(items[0], lambda _: None)
            work(items[1], die)
        return [work(item, lambda _: None) for item in items]

if moment == "after the shards":
    writer._write_tfds_info = die
if moment == "before the last rename":
    writer.put_in_place = die
pack(
    data_dir, name="x", corpus=corpus, tokenizer=load_tokenizer(tokenizer), length=int(length), engine=Engine(),
    overwrite=True, shard_bytes=2000,
)
"""


@pytest.mark.parametrize("moment", ["in a part", "after the shards", "before the last rename"])
def test_a_run_after_a_kill_starts_clean_and_mixes_nothing(tokenizer, sharded, tmp_path, moment):
    arguments = {"name": "x", "corpus": str(sharded), "tokenizer": tokenizer, "shard_bytes": 2000}
    fresh = contents(pack(tmp_path / "fresh", length=LENGTH, **arguments))
    command = [sys.executable, "-c", KILLED, tmp_path / "data", sharded, tokenizer.name, str(LENGTH + 2), moment]
    killed = subprocess.run(command, cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list((tmp_path / "data").glob(".x-1.0.0.incomplete/**/*train*"))
    assert not (tmp_path / "data" / "x").exists()
    # Rows of another length than the killed run's: any that were left would show.
    assert contents(pack(tmp_path / "data", length=LENGTH, **arguments)) == fresh
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["x"]


def test_a_kill_while_replacing_keeps_the_old_rows(tokenizer, sharded, tmp_path):
    arguments = {"name": "x", "corpus": str(sharded), "tokenizer": tokenizer, "shard_bytes": 2000}
    folder = pack(tmp_path, length=LENGTH, **arguments)
    before = contents(folder)
    command = [sys.executable, "-c", KILLED, tmp_path, sharded, tokenizer.name, "17", "before the last rename"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert pack(tmp_path, length=LENGTH, **arguments) == folder
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_one_named_split_is_packed_alone(data_dir, tokenizer):
    reference = f"{data_dir}/synthetic_english@validation"
    folder = pack(data_dir, name="one", corpus=reference, tokenizer=tokenizer, length=7)
    assert list(info(folder)["splits"]) == ["validation"]


def test_the_same_call_keeps_the_folder_and_another_length_is_refused(data_dir, packed, tokenizer, capsys):
    arguments = {"name": "packed", "corpus": f"{data_dir}/synthetic_dna", "tokenizer": tokenizer}
    assert pack(data_dir, length=LENGTH, **arguments) == packed
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"length.*--overwrite"):
        pack(data_dir, length=LENGTH + 1, **arguments)


def test_unknown_dna_stops_packing_and_leaves_nothing(data_dir, tmp_path):
    corpora = [(f"{data_dir}/synthetic_english", 1.0)]
    folder = train_tokenizer(tmp_path / "short", kind="wordpiece", corpora=corpora, vocab_size=300)
    arguments = {"name": "dna", "corpus": f"{data_dir}/synthetic_dna", "length": 9}
    with pytest.raises(InputError, match=r"50\.0%.*unknown.*--max_word_characters.*--allow_unknown"):
        pack(tmp_path / "data", tokenizer=load_tokenizer(str(folder)), **arguments)
    assert not list((tmp_path / "data").iterdir())
    packed = pack(tmp_path / "data", tokenizer=load_tokenizer(str(folder)), allow_unknown=True, **arguments)
    counts = info(packed)["counts"]["train"]
    assert counts["unknown_tokens"] == counts["documents"]


def test_a_row_needs_two_tokens(data_dir, tokenizer):
    with pytest.raises(InputError, match="length=1"):
        pack(data_dir, name="x", corpus=f"{data_dir}/synthetic_dna", tokenizer=tokenizer, length=1)


def test_another_tokenizer_is_refused_by_name_and_fingerprint(packed, tokenizer):
    with pytest.raises(InputError, match=rf"'bpe', fingerprint\s+{tokenizer.fingerprint}.*has fingerprint 0123"):
        open_packed(str(packed), tokenizer_fingerprint="0123")


def test_a_corpus_is_no_packed_folder(data_dir, tokenizer):
    with pytest.raises(InputError, match="holds corpus, not packed token rows"):
        open_packed(f"{data_dir}/synthetic_dna", tokenizer_fingerprint=tokenizer.fingerprint)


def test_a_flipped_byte_is_noticed(data_dir, tokenizer, tmp_path):
    corpus = f"{data_dir}/synthetic_english@validation"
    folder = pack(tmp_path, name="damaged", corpus=corpus, tokenizer=tokenizer, length=16)
    shard = next(folder.glob("*-of-00001"))
    content = bytearray(shard.read_bytes())
    content[60] ^= 1
    shard.write_bytes(content)
    with pytest.raises(InputError, match=r"record 0.*checksum"):
        open_all(folder, tokenizer, "validation")


def test_the_command_names_missing_flags():
    result = subprocess.run(
        [sys.executable, "-m", "data_prep.pack", "--length=8"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "missing: --corpus, --tokenizer, --data_dir, --name" in result.stderr


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
@pytest.mark.parametrize("tokens", [1, 1000, 2345])
def test_a_budget_of_tokens_is_met_to_a_row_and_spread_over_the_corpus(data_dir, tokenizers, kind, tokens, tmp_path):
    tokenizer = tokenizers[kind]
    corpus = f"{data_dir}/synthetic_dna"
    whole = pack(tmp_path, name="whole", corpus=corpus, tokenizer=tokenizer, length=LENGTH)
    folder = pack(tmp_path, name="some", corpus=corpus, tokenizer=tokenizer, length=LENGTH, tokens=tokens)
    _, every = open_all(whole, tokenizer, "train")
    _, rows = open_all(folder, tokenizer, "train")
    if kind == "wordpiece":
        every, rows = ([remove_starts(row, tokenizer) for row in some] for some in (every, rows))
    held = [int(np.count_nonzero(row.document_ids)) for row in rows]
    assert tokens <= sum(held) < tokens + LENGTH
    places = [
        next(place for place, other in enumerate(every) if np.array_equal(row.token_ids, other.token_ids))
        for row in rows
    ]
    assert places == [number * len(every) // len(rows) for number in range(len(rows))]
    counts, all_counts = info(folder)["counts"]["train"], info(whole)["counts"]["train"]
    assert counts["tokens"] == sum(held)
    assert counts["tokens"] + counts["tokens_left_out"] == all_counts["tokens"]
    assert counts["rows_left_out"] == len(every) - len(rows)
    decoded = sum(
        len(tokenizer.decode(row.token_ids[row.document_ids == number]))
        for row in rows
        for number in range(1, row.document_ids.max() + 1)
    )
    if kind == "bpe":  # WordPiece puts spaces between the pieces that it decodes
        assert counts["characters"] == decoded
    assert {**info(folder)["counts"]["validation"], "rows_left_out": 0, "tokens_left_out": 0} == {
        **info(whole)["counts"]["validation"],
        "rows_left_out": 0,
        "tokens_left_out": 0,
    }


@pytest.mark.parametrize(("tokens", "line"), [(0, "at least 1"), (10**9, "split 'train' has only [0-9]+ tokens")])
def test_a_budget_that_cannot_be_met_is_refused(data_dir, tokenizer, tokens, line, tmp_path):
    with pytest.raises(InputError, match=line):
        pack(
            tmp_path,
            name="some",
            corpus=f"{data_dir}/synthetic_dna",
            tokenizer=tokenizer,
            length=LENGTH,
            tokens=tokens,
        )
