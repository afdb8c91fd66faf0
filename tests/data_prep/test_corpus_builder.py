import gzip
import random
import re
from pathlib import Path

import numpy as np
import pytest

from data_prep.builders import corpus
from data_prep.corpora import open_corpus
from data_prep.documents import make_reader
from data_prep.engines import LocalEngine
from data_prep.packing import pack
from data_prep.splits import choose_split
from data_prep.tokenizer_training import train_tokenizer
from lingjax.data import TFRecordSource, load_tokenizer, open_packed, open_split, parse_example
from lingjax.errors import InputError
from lingjax.sealed import read_sealed


@pytest.fixture
def files(tmp_path):
    """Writes files into a folder and returns their paths as texts."""

    def write(**contents):
        paths = []
        for name, text in contents.items():
            path = tmp_path / "source" / name.replace("__", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(gzip.compress(text.encode(), mtime=0) if name.endswith("gz") else text.encode())
            paths.append(str(path))
        return paths

    return write


def build(tmp_path, domain, source, *, splits=("train:1.0",), data="data", **flags):
    (folder,) = corpus.build(tmp_path / data, domain=domain, name=f"a_{domain}", source=source, splits=splits, **flags)
    return folder


def info(folder):
    content = read_sealed(folder / "lingjax.json")
    for split in content["splits"].values():
        assert sum(shard["rows"] for shard in split.pop("shards")) == split["rows"]
    return content


def records(folder, split="train"):
    source = TFRecordSource(open_split(f"{folder}@{split}", default=()).shard_paths())
    return [{name: value[0].decode() for name, value in parse_example(record).items()} for record in source]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def words(count, *, seed):
    return " ".join(random.Random(seed).choices(["the", "cat", "sat", "on", "a", "mat", "near", "river"], k=count))


def sequence(count, *, seed, letters="ACGT"):
    return "".join(random.Random(seed).choices(letters, k=count))


def fasta(count, length, *, letters="ACGT"):
    return "".join(f">r{number}\n{sequence(length, seed=number, letters=letters)}\n" for number in range(count))


def test_documents_of_all_files_become_records_in_order(files, tmp_path):
    source = files(b__txt="one\n\ntwo\n", a__jsonl__gz='{"text": "three"}\n')
    folder = build(tmp_path, "english", source)
    assert records(folder) == [
        {"document_id": "b.txt:1", "text": "one"},
        {"document_id": "b.txt:3", "text": "two"},
        {"document_id": "a.jsonl:1", "text": "three"},
    ]


def test_lingjax_json_says_what_was_read_dropped_changed_and_written(files, tmp_path):
    source = files(a__fna=">one\nacgtACGTAC\nNNGG\n>two\nTTTTT\n")
    content = info(build(tmp_path, "dna", source, window=4, min_length=2))
    (split,) = content.pop("splits").values()
    (described,) = content.pop("sources")
    assert (split["rows"], described["path"]) == (5, "a.fna")
    assert content == {
        "kind": "corpus",
        "dataset": "corpus",
        "domain": "dna",
        "synthetic": False,
        "reading": {"window": 4, "stride": 4, "both_strands": False, "min_length": 2},
        "split_fractions": [["train", 1.0]],
        "counts": {"train": {"documents": 5, "characters": 16}},
        "read": {"files": 1, "records": 2, "letters": 19},
        "changed": {"lower-case letters raised": 4},
        "dropped": {
            "ambiguous letters": 2,
            "letters of pieces shorter than min_length": 1,
            "pieces shorter than min_length": 1,
        },
    }


def test_without_splits_a_twentieth_is_held_out_by_the_hash_of_the_id(files, tmp_path):
    source = files(a__txt="\n".join(f"line {number}" for number in range(999)))
    (folder,) = corpus.build(tmp_path / "data", domain="english", name="a", source=source, document="line")
    assert list(info(folder)["splits"]) == ["train", "validation"]
    fractions = {"train": 0.95, "validation": 0.05}
    for split in fractions:
        assert {choose_split(record["document_id"], fractions) for record in records(folder, split)} == {split}
    counts = info(folder)["counts"]
    assert counts["train"]["documents"] + counts["validation"]["documents"] == 999
    assert counts["validation"]["documents"] == pytest.approx(50, abs=21)  # three standard deviations


def test_no_letter_of_overlapping_windows_is_in_two_splits(files, tmp_path):
    source = files(a__fa=f">a\n{sequence(9001, seed=1)}\n")
    splits = ("train:0.6", "validation:0.4")
    folder = build(tmp_path, "dna", source, splits=splits, window=40, stride=7, min_length=1, both_strands=True)
    positions = {}
    for split in ("train", "validation"):
        spans = [re.search(r":(\d+)-(\d+)", record["document_id"]).groups() for record in records(folder, split)]
        positions[split] = {position for first, last in spans for position in range(int(first), int(last) + 1)}
    assert not positions["train"] & positions["validation"]
    assert len(positions["train"] | positions["validation"]) == 9001


def test_copies_are_dropped_wherever_they_are_and_the_first_stays(files, tmp_path):
    source = files(a__faa=">a\nMKVL*\n>b\nMAAU\n>c\nmkvl\n", b__faa=">d\nMAAU\n>e\nMKV\n")
    folder = build(tmp_path, "protein", source)
    assert [record["document_id"] for record in records(folder)] == ["a.faa:a", "a.faa:b", "b.faa:e"]
    assert info(folder)["dropped"] == {"copies of an earlier document": 2, "letters of copies": 8, "stop signs": 1}


def test_what_a_limit_makes_equal_is_a_copy(files, tmp_path):
    folder = build(tmp_path, "protein", files(a__faa=">a\nMKVL\n>b\nMKVA\n"), max_length=3)
    assert [record["text"] for record in records(folder)] == ["MKV"]


@pytest.mark.parametrize(
    ("domain", "text", "flags"),
    [
        ("english", "One.\n\nTwo\nlines.\n", [{}, {"document": "line"}, {"document": "file"}]),
        ("dna", ">a\nACGTTGCAAT\n", [{"window": 4, "min_length": 1}, {"window": 5, "min_length": 1},
                                     {"window": 4, "min_length": 3}, {"window": 4, "min_length": 1, "stride": 2},
                                     {"window": 4, "min_length": 1, "both_strands": True}]),
        ("protein", ">a\nMKVL\n", [{}, {"max_length": 2}]),
    ],
)  # fmt: skip
def test_every_flag_changes_the_documents_and_is_part_of_the_request(files, tmp_path, domain, text, flags):
    source = files(**{"a__txt" if domain == "english" else "a__fa": text})
    seen = []
    for number, given in enumerate(flags):
        folder = build(tmp_path, domain, source, data=f"data{number}", **given)
        assert given.items() <= info(folder)["reading"].items()
        seen.append([record["text"] for record in records(folder)])
    assert len({tuple(texts) for texts in seen}) == len(flags)
    build(tmp_path, domain, source, data="data0", **flags[0])
    with pytest.raises(InputError, match="other reading"):
        build(tmp_path, domain, source, data="data0", **flags[1])


def test_problems_of_all_records_of_all_files_are_reported_together(files, tmp_path):
    source = files(a__fna=">good\nACGT\n>bad\nMKVLEF\n", b__fa="no fasta\n", c__fa="", d__fa__gz=">worse\nAC-GT\n")
    with pytest.raises(InputError) as caught:
        build(tmp_path, "dna", source, min_length=1)
    folder = tmp_path / "source"
    for problem in (
        "a_dna cannot be built: ",
        f"{folder}/a.fna: record 2 (bad): 'L' at letter 4",
        f"{folder}/b.fa:1: FASTA begins with a line '>NAME'",
        f"{folder}/c.fa is empty",
        f"{folder}/d.fa.gz: record 1 (worse): '-' at letter 3",
    ):
        assert problem in str(caught.value)
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize("domain", ["dna", "protein"])
def test_a_file_of_the_wrong_kind_is_not_read_to_its_end(files, tmp_path, domain):
    with pytest.raises(
        InputError, match=r"a.fa is not read to its end, because of 1,000 problems; .*record 1 .*; and 991 more$"
    ):
        build(tmp_path, domain, files(a__fa=">x\n1\n" * 5000))


@pytest.mark.parametrize(
    ("domain", "flags", "message"),
    [
        (
            "protein",
            {"window": 4, "field": "x"},
            "--domain=protein: --field is for --domain=english; --window is for --domain=dna",
        ),
        ("dna", {"max_length": 9}, "--domain=dna: --max_length is for --domain=protein"),
        ("dna", {"window": 0}, "--window=0: expected 1 or more"),
        ("rna", {}, "--domain=rna is unknown; did you mean 'dna'?"),
        ("dna", {"splits": ["train:0.9"]}, "--splits: the fractions sum to 0.9, not to 1"),
        ("dna", {"engine": "beem"}, "--engine=beem is unknown; did you mean 'beam'?"),
        ("dna", {"beam_options": ["runner=x"]}, "--beam_options is for --engine=beam"),
        ("english", {}, "a.fna holds sequences; read it with --domain=dna or --domain=protein"),
    ],
)
def test_flags_that_cannot_be_used_are_named_and_nothing_is_written(files, tmp_path, domain, flags, message):
    with pytest.raises(InputError) as caught:
        build(tmp_path, domain, files(a__fna=">one\nACGT\n"), **flags)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("domain", "flags", "text", "said"),
    [
        (
            "english",
            {},
            "one\n" * 400,
            "1 document found (paragraphs are parted by blank lines); --document=line makes",
        ),
        (
            "english",
            {"document": "file"},
            "a\n\nb\n",
            "1 document found (each file is one); --document=paragraph makes",
        ),
        ("english", {"document": "line"}, "one\n", "1 document found (each line is one); give more input, or other"),
        (
            "dna",
            {"window": 1500},
            ">a\n" + "ACGT" * 300,
            "1 document found (windows have 1,500 letters); a lower --window",
        ),
        ("dna", {"min_length": 32}, ">a\nACGT\n", "0 documents found (windows have 1,024 letters)"),
        ("protein", {}, ">a\nMKV\n", "1 document found (each sequence is one); give more input"),
    ],
)
def test_a_split_that_no_document_falls_into_says_what_a_document_is(files, tmp_path, domain, flags, text, said):
    source = files(a__txt=text) if domain == "english" else files(a__fasta=text)
    with pytest.raises(InputError, match=r"split '\w+' of the corpus has no rows") as caught:
        corpus.build(tmp_path / "data", domain=domain, name="a", source=source, **flags)
    assert said in str(caught.value)
    assert not (tmp_path / "data" / "a").exists()


def test_the_same_files_give_the_same_bytes_and_are_not_read_again(files, tmp_path, capsys):
    source = files(a__fna=fasta(20, 101))
    first, second = (build(tmp_path, "dna", source, data=data, window=32) for data in ("first", "second"))
    assert contents(first) == contents(second)
    assert build(tmp_path, "dna", source, data="first", window=32) == first
    assert "nothing to do" in capsys.readouterr().out


def test_how_files_are_divided_changes_no_record(files, tmp_path, monkeypatch):
    source = files(a__faa=fasta(9, 61, letters="MKVLE"), b__faa=fasta(13, 61, letters="MKVLE"), c__faa=">x\nMKV\n")
    whole = build(tmp_path, "protein", source, data="whole")
    monkeypatch.setattr(corpus, "_PART_BYTES", 1)
    divided = build(tmp_path, "protein", source, data="divided")
    assert len(list(divided.glob("*-of-00003"))) == 3
    assert info(divided) == info(whole)
    assert info(whole)["dropped"]["copies of an earlier document"] == 9


def test_parts_are_consecutive_files_of_a_size(tmp_path):
    paths = []
    for name, size in (("a", 7), ("b", 2), ("c", 9), ("d", 3)):
        paths.append(tmp_path / name)
        paths[-1].write_bytes(bytes(size))
    parts = corpus.divide(paths, part_bytes=8)
    assert [([label for _, label in part.files], part.size) for part in parts] == [
        (["a", "b"], 9), (["c"], 9), (["d"], 3),
    ]  # fmt: skip


def test_copies_are_found_across_parts_without_a_document(files):
    source = files(a__faa=">a\n*\n", b__faa=">b\nMK\n>c\nMK\n", c__faa=">d\nMK\n")
    parts = corpus.divide(list(map(Path, source)), part_bytes=1)
    marked = corpus.mark_duplicates(parts, make_reader("protein", {}), name="x", engine=LocalEngine(), total=1)
    assert [part.repeated.tolist() for part in marked] == [[], [False, True], [True]]


def test_a_tokenizer_is_trained_on_a_corpus_and_packs_it(files, tmp_path):
    source = files(a__txt="\n\n".join(words(20, seed=seed) for seed in range(99)))
    folder = build(tmp_path, "english", source, splits=("train:0.8", "validation:0.2"))
    out = train_tokenizer(tmp_path / "tokenizer", kind="bpe", corpora=[(str(folder), 1.0)], vocab_size=300)
    tokenizer = load_tokenizer(str(out))
    packed = pack(tmp_path / "data", name="packed", corpus=str(folder), tokenizer=tokenizer, length=31)
    for split in ("train", "validation"):
        rows = open_packed(f"{packed}@{split}", tokenizer_fingerprint=tokenizer.fingerprint)
        ids = np.concatenate([row.token_ids[row.document_ids > 0] for row in (rows[i] for i in range(len(rows)))])
        assert tokenizer.decode(ids) == "".join(open_corpus(f"{folder}@{split}", default=()))
        assert rows.domain == "english"
