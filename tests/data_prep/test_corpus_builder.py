import gzip
import json

import pytest

from data_prep.builders import corpus
from data_prep.corpora import open_corpus
from lingjax.errors import InputError


def build(tmp_path, domain, files, **flags):
    sources = []
    for name, text in files.items():
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        sources.append(str(path))
    (folder,) = corpus.build(
        tmp_path / "data", domain=domain, name=f"a_{domain}", source=sources, splits=["train:1.0"], **flags
    )
    info = json.loads((folder / "lingjax.json").read_text())
    return list(open_corpus(f"{folder.parent}@train", default=())), info


def test_dna_is_cut_at_ambiguous_letters_and_into_windows_and_all_is_counted(tmp_path):
    texts, info = build(tmp_path, "dna", {"a.fna": ">one\nacgtACGTAC\nNNGG\n>two\nTTTTT\n"}, window=4, min_length=2)
    assert sorted(texts) == sorted(["ACGT", "ACGT", "AC", "GG", "TTTT"])
    assert info["domain"] == "dna"
    assert info["dropped"]["ambiguous letters"] == 2
    assert info["dropped"]["letters of pieces shorter than min_length"] == 1
    letters = sum(map(len, texts)) + 2 + 1
    assert info["read"]["letters"] == letters == 19


def test_both_strands_add_the_reverse_complement(tmp_path):
    texts, _ = build(tmp_path, "dna", {"a.fa.gz": ">one\nAACG\n"}, window=4, min_length=2, both_strands=True)
    assert sorted(texts) == ["AACG", "CGTT"]


def test_windows_overlap_where_the_stride_is_shorter(tmp_path):
    texts, _ = build(tmp_path, "dna", {"a.fa": ">one\nACGTAC\n"}, window=4, stride=2, min_length=4)
    assert sorted(texts) == ["ACGT", "GTAC"]


def test_proteins_are_whole_and_copies_are_dropped_and_counted(tmp_path):
    texts, info = build(tmp_path, "protein", {"a.faa": ">one\nMKVL*\n>two\nMKVL\n>three\nMAAU\n"})
    assert sorted(texts) == ["MAAU", "MKVL"]
    assert info["dropped"]["copies of an earlier document"] == 1


@pytest.mark.parametrize(
    ("document", "expected"),
    [("paragraph", ["one\ntwo", "three"]), ("line", ["one", "two", "three"]), ("file", ["one\ntwo\n\nthree"])],
)
def test_english_documents_are_what_is_asked_for(tmp_path, document, expected):
    texts, _ = build(tmp_path, "english", {"a.txt": "one\r\ntwo\r\n\r\nthree\r\n"}, document=document)
    assert sorted(text.strip().replace("\r\n", "\n") for text in texts) == sorted(expected)


def test_the_field_of_json_lines_is_read(tmp_path):
    texts, _ = build(tmp_path, "english", {"a.jsonl": '{"body": "one"}\n{"body": "two"}\n'}, field="body")
    assert sorted(texts) == ["one", "two"]


@pytest.mark.parametrize(
    ("domain", "files", "flags", "line"),
    [
        ("dna", {"a.fna": ">one\nMKVLEF\n"}, {}, "a.fna"),
        ("protein", {"a.faa": ">one\nMK1L\n"}, {}, "a.faa"),
        ("protein", {"a.faa": ">one\nMKVL\n"}, {"window": 4}, "--window is for --domain=dna"),
        ("dna", {"a.fna": ">one\nACGT\n"}, {"window": 0}, "--window=0: expected 1 or more"),
        ("rna", {"a.fna": ">one\nACGU\n"}, {}, "--domain=rna is unknown"),
    ],
)
def test_what_is_no_such_corpus_is_one_line(tmp_path, domain, files, flags, line):
    with pytest.raises(InputError, match=line) as caught:
        build(tmp_path, domain, files, **flags)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("data/*"))


def test_the_same_files_give_the_same_bytes(tmp_path):
    contents = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        build(tmp_path / name, "dna", {"a.fna": ">one\n" + "ACGTTGCA" * 40 + "\n"}, window=32)
        shards = sorted((tmp_path / name / "data").rglob("*.tfrecord*"))
        contents.append([path.read_bytes() for path in shards])
    assert contents[0] == contents[1] != []
