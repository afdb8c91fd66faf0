import pytest

from data_prep.documents.protein import ProteinReader
from data_prep.tally import Tally
from lingjax.errors import InputError


def read(tmp_path, text, **settings):
    (tmp_path / "x.faa").write_text(text)
    tally = Tally()
    documents = list(ProteinReader(**settings).read(tmp_path / "x.faa", "x.faa", tally))
    assert all(document.split_key == document.document_id for document in documents)
    return [(document.document_id, document.text) for document in documents], tally


def test_a_protein_is_a_document_and_keeps_all_26_letters(tmp_path):
    documents, tally = read(tmp_path, ">sp|P1|A_B one\nACDEFGHIKLM\nNPQRSTVWYBJOUXZ\n>two\nmvk\n")
    assert documents == [("x.faa:sp|P1|A_B", "ACDEFGHIKLMNPQRSTVWYBJOUXZ"), ("x.faa:two", "MVK")]
    assert tally.group("read") == {"records": 2, "letters": 29}
    assert tally.group("changed") == {"lower-case letters raised": 3}
    assert not tally.group("dropped")


def test_a_protein_ends_at_its_first_stop(tmp_path):
    documents, tally = read(tmp_path, ">a\nMVK*\n>b\nMV*KL*\n>c\n*\n>d\n")
    assert documents == [("x.faa:a", "MVK"), ("x.faa:b", "MV")]
    assert tally.group("dropped") == {
        "letters after a stop inside": 3,
        "records without letters": 2,
        "stop signs": 3,
    }
    assert tally.group("changed") == {"proteins ended at a stop inside": 1}


def test_letters_beyond_max_length_are_counted(tmp_path):
    documents, tally = read(tmp_path, ">a\nMVKLF\n>b\nMVK\n>c\nMVKL*\n", max_length=3)
    assert [text for _, text in documents] == ["MVK"] * 3
    assert tally.group("dropped") == {"letters beyond max_length": 3, "stop signs": 1}
    assert tally.group("changed") == {"proteins cut at max_length": 2}


@pytest.mark.parametrize(
    ("letters", "fault"),
    [
        ("MV-K", "'-' at letter 3 is not among ACDEFGHIKLMNPQRSTVWYOUBJZX*"),
        ("MV1K2", "'1' at letter 3 and 1 more are not among"),
        ("ACGT" * 13, "has only letters of DNA or RNA; read it with --domain=dna"),
        ("acgun" * 10, "has only letters of DNA or RNA"),
    ],
)
def test_what_is_no_protein_is_named_with_its_record(tmp_path, letters, fault):
    documents, tally = read(tmp_path, f">good\nMV\n>bad\n{letters}\n")
    assert [text for _, text in documents] == ["MV"]
    (problem,) = tally.problems
    assert problem.startswith(f"{tmp_path}/x.faa: record 2 (bad): {fault}")


def test_a_short_peptide_may_have_letters_of_dna_alone(tmp_path):
    assert read(tmp_path, f">a\n{'ACGT' * 12}\n")[0] == [("x.faa:a", "ACGT" * 12)]


def test_genbank_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"b.gbk.gz is GenBank; proteins are read from FASTA"):
        ProteinReader().check_sources([tmp_path / "a.faa", tmp_path / "b.gbk.gz"], {})


def test_max_length_is_positive():
    with pytest.raises(InputError, match="--max_length=0: expected 1 or more"):
        ProteinReader(max_length=0)
