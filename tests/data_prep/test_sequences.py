import gzip
import io
from pathlib import Path

import pytest
from Bio import SeqIO
from Bio.Seq import Seq
from Bio.SeqFeature import SeqFeature, SimpleLocation
from Bio.SeqRecord import SeqRecord

from data_prep.formats.sequences import extension, read_sequences
from lingjax.errors import InputError

RECORDS = [
    SeqRecord(
        Seq("ACGTNACGTAC" * 13),
        id="AB000001.2",
        name="AB000001",
        description="of two lines, as long descriptions are in files that come from GenBank itself",
        annotations={"molecule_type": "DNA"},
        features=[SeqFeature(SimpleLocation(3, 61), type="CDS", qualifiers={"note": ["// ORIGIN LOCUS"]})],
    ),
    SeqRecord(Seq("GATTACA"), id="AB000002.1", name="AB000002", annotations={"molecule_type": "DNA"}),
]
RELEASE_HEADER = "GBBCT1.SEQ          Genetic Sequence Data Bank\n                August 15 2026\n\n"


def text_of(file_format):
    file = io.StringIO()
    SeqIO.write(RECORDS, file, file_format)
    return file.getvalue()


GENBANK, FASTA = text_of("genbank"), text_of("fasta")


def read(tmp_path, name, text):
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return list(read_sequences(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.fna", FASTA),
        ("x.FA.gz", FASTA),
        ("unnamed", FASTA),
        ("crlf.fasta", "\ufeff\r\n" + FASTA.replace("\n", "\r\n")),
        ("blanks.fasta", FASTA.replace("\n", "\n\n")),
        ("x.gb", GENBANK),
        ("x.GBK.gz", GENBANK),
        ("unnamed.txt", GENBANK),
        ("crlf.gbff", "\r\n" + GENBANK.replace("\n", "\r\n") + "\r\n"),
        ("release.seq.gz", RELEASE_HEADER + GENBANK),
    ],
)
def test_every_format_gives_what_biopython_wrote(tmp_path, name, text):
    found = [(record.number, record.name, record.letters) for record in read(tmp_path, name, text)]
    assert found == [(number, record.id, str(record.seq)) for number, record in enumerate(RECORDS, start=1)]


def test_fasta_keeps_the_case_of_letters_and_names_records_by_their_first_word(tmp_path):
    records = read(tmp_path, "x.fa", ">sp|P1| two words\nacGT n\n>\nA\n> spaced\n")
    assert [(record.name, record.letters) for record in records] == [("sp|P1|", "acGTn"), ("2", "A"), ("spaced", "")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.fa", "", "x.fa is empty"),
        ("x.gb", " \n\n", "x.gb is empty"),
        ("x.fa", "\nACGT\n>a\nACGT\n", "x.fa:2: FASTA begins with a line '>NAME', not with 'ACGT'"),
        ("x.fa", ">a\rACGT\r>b\rACGT\r", "x.fa: lines end in CR alone"),
        ("x.txt", "Call me Ishmael.\n", "x.txt begins with 'Call me Ishmael.', which is neither FASTA"),
        ("x.gb", FASTA.removeprefix(">"), "x.gb: record 1 begins with 'AB000001.2 of two lines"),
        ("x.gb", GENBANK.replace("\nLOCUS", "\nLOCVS"), "x.gb: record 2 begins with 'LOCVS"),
        ("x.gb", GENBANK[: GENBANK.index("ORIGIN")], "x.gb: record 1 is no GenBank record: Premature end"),
        ("x.gb", GENBANK.replace("acgtnacgta", "", 1), "x.gb: record 1 (AB000001.2) announces 143 letters"),
        ("x.gb", GENBANK[:-20], "x.gb: record 2 (AB000002.1) announces 7 letters and holds 0; download it in full"),
    ],
)
def test_what_cannot_be_read_is_named_with_file_and_record(tmp_path, name, text, message):
    with pytest.raises(InputError) as caught:
        read(tmp_path, name, text)
    assert message in str(caught.value)


def test_a_genbank_record_without_its_sequence_says_so(tmp_path):
    without = GENBANK.replace("ORIGIN\n        1 gattaca", "CONTIG      join(AB000003.1:1..7)")
    with pytest.raises(InputError, match=r"record 2 .* holds 0; download it in full, with its sequence"):
        read(tmp_path, "x.gb", without)


def test_records_are_read_one_by_one(tmp_path):
    (tmp_path / "x.fa").write_bytes(b">a\nACGT\n>b\n\xff\n")
    records = read_sequences(tmp_path / "x.fa")
    assert next(records).name == "a"
    with pytest.raises(InputError, match=r"x.fa:4: byte 0xff"):
        next(records)


def test_the_extension_is_that_below_gz():
    assert [extension(Path(name)) for name in ("a.FNA.gz", "a.b.gbk", "a", "a.gz")] == [".fna", ".gbk", "", ""]


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        (
            "LOCUS       NODE_1_length_463_cov_13.6631463 bp    DNA     linear       01-JAN-2024",
            r"its line 'LOCUS NODE_1_length_463_cov_13.6631463 bp .*' cannot be read; if name and length run together",
        ),
        (
            "LOCUS       JAAAAA010000000         53 rc    DNA     linear   BCT 01-JAN-2024",
            r"JAAAAA010000000 53 rc .* a master record of a whole-genome project .* download its contigs",
        ),
    ],
)
def test_a_locus_line_that_cannot_be_read_is_shown_with_advice(tmp_path, line, advice):
    with pytest.raises(InputError, match=advice):
        read(tmp_path, "x.gb", "\n".join([line, *GENBANK.splitlines()[1:], ""]))


def test_what_is_wrong_with_a_line_of_genbank_is_said_once(tmp_path):
    (tmp_path / "x.gb").write_bytes(GENBANK.replace("of two lines", "façade").encode("latin-1"))
    with pytest.raises(InputError) as caught:
        list(read_sequences(tmp_path / "x.gb"))
    assert str(caught.value).startswith(f"{tmp_path / 'x.gb'}:2: byte 0xe7")
    assert str(caught.value).count("x.gb") == 1


def test_a_genbank_record_is_called_by_its_locus_where_version_is_no_name(tmp_path):
    for version in ("VERSION", "VERSION     .", "VERSION     <unknown id>"):
        text = GENBANK.replace("VERSION     AB000001.2", version)
        assert [record.name for record in read(tmp_path, "x.gb", text)] == ["AB000001", "AB000002.1"]
