import random
import re

import pytest
from Bio.Seq import reverse_complement

from data_prep.documents.dna import DnaReader
from data_prep.tally import Tally
from lingjax.errors import InputError


def read(tmp_path, text, **settings):
    (tmp_path / "x.fa").write_text(text)
    tally = Tally()
    return list(DnaReader(**settings).read(tmp_path / "x.fa", "x.fa", tally)), tally


def genome(letters, *, seed=0, alphabet="ACGT"):
    return "".join(random.Random(seed).choices(alphabet, k=letters))


def test_windows_by_hand(tmp_path):
    documents, tally = read(tmp_path, ">one\nacgtaNNRcc\n>two\nGGGGGGG\n>three\n", window=3, min_length=2)
    assert [(document.document_id, document.text) for document in documents] == [
        ("x.fa:one:1-3", "ACG"),
        ("x.fa:one:4-5", "TA"),
        ("x.fa:one:9-10", "CC"),
        ("x.fa:two:1-3", "GGG"),
        ("x.fa:two:4-6", "GGG"),
    ]
    assert tally.group("read") == {"records": 3, "letters": 17}
    assert tally.group("changed") == {"lower-case letters raised": 7}
    assert tally.group("dropped") == {
        "ambiguous letters": 3,
        "letters of pieces shorter than min_length": 1,
        "pieces shorter than min_length": 1,
        "records without letters": 1,
    }


@pytest.mark.parametrize("stride", [None, 17, 23, 5])
@pytest.mark.parametrize("min_length", [1, 13])
def test_every_letter_is_in_a_document_or_counted_as_dropped(tmp_path, stride, min_length):
    sequences = {"a": genome(997, seed=1, alphabet="ACGT" * 9 + "N"), "b": genome(1013, seed=2, alphabet="acgt")}
    text = "".join(f">{name}\n{letters}\n" for name, letters in sequences.items())
    documents, tally = read(tmp_path, text, window=17, stride=stride, min_length=min_length)
    covered = set()
    for document in documents:
        name, first, last = re.fullmatch(r"x.fa:(\w):(\d+)-(\d+)", document.document_id).groups()
        assert document.text == sequences[name][int(first) - 1 : int(last)].upper()
        assert min_length <= len(document.text) <= 17
        covered |= {(name, position) for position in range(int(first), int(last) + 1)}
    dropped = sum(count for reason, count in tally.group("dropped").items() if "letters" in reason)
    assert len(covered) + dropped == tally.group("read")["letters"] == 997 + 1013


def test_a_wider_stride_leaves_letters_between_windows_and_counts_them(tmp_path):
    documents, tally = read(tmp_path, f">a\n{genome(100)}\n", window=10, stride=15, min_length=10)
    assert [document.document_id for document in documents] == [
        f"x.fa:a:{first}-{first + 9}" for first in (1, 16, 31, 46, 61, 76, 91)
    ]
    assert tally.group("dropped") == {"letters between windows": 30}


def test_overlapping_windows_start_a_stride_apart(tmp_path):
    letters = genome(40)
    documents, tally = read(tmp_path, f">a\n{letters}\n", window=10, stride=3, min_length=1)
    assert [document.text for document in documents] == [letters[start : start + 10] for start in range(0, 31, 3)]
    assert not tally.group("dropped")


def test_windows_that_share_a_letter_share_their_split_key(tmp_path):
    documents, _ = read(tmp_path, f">a\n{genome(5003)}\n", window=11, stride=4, both_strands=True, min_length=1)
    keys = {}
    for document in documents:
        first, last = re.search(r":(\d+)-(\d+)", document.document_id).groups()
        for position in range(int(first), int(last) + 1):
            assert keys.setdefault(position, document.split_key) == document.split_key
    assert len(keys) == 5003
    assert len(set(keys.values())) == 27  # loci of 187 letters: a window and 44 strides


def test_windows_that_share_nothing_have_keys_of_their_own(tmp_path):
    documents, _ = read(tmp_path, f">a\n{genome(110)}\n", window=11, min_length=1)
    assert len({document.split_key for document in documents}) == len(documents) == 10


def test_the_other_strand_follows_each_window(tmp_path):
    documents, _ = read(tmp_path, f">a\n{genome(50)}\n", window=20, both_strands=True, min_length=1)
    assert [document.document_id for document in documents[:2]] == ["x.fa:a:1-20", "x.fa:a:1-20/rc"]
    for forward, backward in zip(documents[::2], documents[1::2], strict=True):
        assert backward.text == reverse_complement(forward.text)
        assert backward.split_key == forward.split_key


@pytest.mark.parametrize(
    ("letters", "fault"),
    [
        ("ACGTEACGTF", "'E' at letter 5 and 1 more are not among ACGTRYSWKMBDHVN; read proteins with --domain=protein"),
        ("acgu", "'U' at letter 4 is not among ACGTRYSWKMBDHVN; read RNA with its U replaced by T"),
        ("ACG-T", "'-' at letter 4 is not among ACGTRYSWKMBDHVN"),
        ("ACGé", "'É' at letter 4 is not among ACGTRYSWKMBDHVN"),
    ],
)
def test_letters_of_no_dna_are_named_with_their_record(tmp_path, letters, fault):
    documents, tally = read(tmp_path, f">good\nAC\n>bad\n{letters}\n>good2\nGT\n", min_length=1)
    assert [document.text for document in documents] == ["AC", "GT"]
    assert tally.problems == [f"{tmp_path}/x.fa: record 2 (bad): {fault}"]


def test_all_iupac_ambiguity_letters_cut(tmp_path):
    documents, tally = read(tmp_path, f">a\n{'A'.join('NRYSWKMBDHV')}\n", min_length=1)
    assert [document.text for document in documents] == ["A"] * 10
    assert tally.group("dropped") == {"ambiguous letters": 11}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "--window=0: expected 1 or more"),
        ({"stride": -3}, "--stride=-3: expected 1 or more"),
        ({"min_length": 0}, "--min_length=0: expected 1 or more"),
        ({"window": 20}, "--min_length=32 is above --window=20"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        DnaReader(**settings)


def test_every_document_of_a_file_has_an_id_of_its_own(tmp_path):
    names = ["a", "a", "a#2", "", "4", "a", "A"]
    documents, tally = read(tmp_path, "".join(f">{name}\nACG\n" for name in names), min_length=1)
    assert [document.document_id.removesuffix(":1-3") for document in documents] == [
        "x.fa:a", "x.fa:a#2", "x.fa:a#2#3", "x.fa:4", "x.fa:4#5", "x.fa:a#6", "x.fa:A"
    ]  # fmt: skip
    assert tally.group("changed") == {"records numbered, as an earlier one has their name": 4}


def test_many_names_are_told_apart(tmp_path):
    names = [str(number % 2003) for number in range(3001)]
    documents, tally = read(tmp_path, "".join(f">{name}\nACG\n" for name in names), min_length=1)
    assert len({document.document_id for document in documents}) == 3001
    assert sum(tally.group("changed").values()) == 3001 - 2003
