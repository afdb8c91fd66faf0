import gzip
import textwrap

import pytest
from Bio.Seq import Seq

from data_prep.formats.genes import read_genes
from data_prep.tally import Tally
from lingjax.errors import InputError

# A record of 120 letters without a start or stop codon in its frame, into which tests write what they need.
LENGTH = 120
FILLER = "CTGACCGCATTGGCAGAC" * 7


def record(location, *, coding="", at=1, letters=None, qualifiers=(), topology="linear", name="AB000001.1", **given):
    """Writes a GenBank record with one CDS; `coding` overwrites its letters from place `at` on."""
    letters = letters or FILLER[:LENGTH]
    if coding:
        letters = letters[: at - 1] + coding + letters[at - 1 + len(coding) :]
    assert len(letters) == LENGTH
    values = {"transl_table": "11", "product": "tested protein", "locus_tag": "T_1", **given}
    lines = [f'/{key}="{value}"' for key, value in values.items() if value is not None] + list(qualifiers)
    features = f"     CDS             {location}\n" + "".join(f"{'':21}{line}\n" for line in lines)
    rows = [letters[i : i + 60].lower() for i in range(0, LENGTH, 60)]
    blocks = [" ".join(row[i : i + 10] for i in range(0, 60, 10)) for row in rows]
    origin = "".join(f"{60 * number + 1:9d} {block}\n" for number, block in enumerate(blocks))
    accession = name.partition(".")[0]
    header = textwrap.dedent(f"""\
        LOCUS       {accession:<16} {LENGTH:>11} bp    DNA     {topology:<8} BCT 01-JAN-2020
        DEFINITION  A test.
        ACCESSION   {accession}
        VERSION     {name}
        SOURCE      Testus exemplaris
          ORGANISM  Testus exemplaris
                    Bacteria.
        FEATURES             Location/Qualifiers
        """)
    return f"{header}{features}ORIGIN\n{origin}//\n"


@pytest.fixture
def read(tmp_path):
    def read_text(text, *, name="x.gb", **options):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        tally = Tally()
        genes = [gene for record in read_genes(tmp_path / name, tally, **options) for gene in record.genes]
        return genes, tally.group("dropped")

    return read_text


def reverse(dna):
    return str(Seq(dna).reverse_complement())


GENE = "ATGAAACGTTGGGATTACTAA"  # MKRWDY and a stop
PROTEIN = "MKRWDY"


@pytest.mark.parametrize(
    ("text", "coding", "protein", "location", "has_start"),
    [
        pytest.param(
            record("11..31", coding=GENE, at=11, translation=PROTEIN),
            GENE, PROTEIN, "AB000001.1:11-31(+)", True, id="one span"),
        pytest.param(
            record("complement(11..31)", coding=reverse(GENE), at=11, translation=PROTEIN),
            GENE, PROTEIN, "AB000001.1:11-31(-)", True, id="complement"),
        pytest.param(
            record("join(11..17,21..34)", coding=GENE[:7] + "GTA" + GENE[7:], at=11, translation=PROTEIN),
            GENE, PROTEIN, "AB000001.1:11-17,21-34(+)", True, id="join within a codon"),
        pytest.param(
            record("complement(join(11..24,28..34))", coding=reverse(GENE[:7] + "GTA" + GENE[7:]), at=11,
                   translation=PROTEIN),
            GENE, PROTEIN, "AB000001.1:11-24,28-34(-)", True, id="complement of a join"),
        pytest.param(
            record("join(complement(28..34),complement(11..24))", coding=reverse(GENE[:7] + "GTA" + GENE[7:]), at=11,
                   translation=PROTEIN),
            GENE, PROTEIN, "AB000001.1:11-24,28-34(-)", True, id="join of complements"),
        pytest.param(
            record("join(111..120,1..11)", letters=GENE[10:] + FILLER[: LENGTH - 21] + GENE[:10], topology="circular",
                   translation=PROTEIN),
            GENE, PROTEIN, "AB000001.1:111-120,1-11(+)", True, id="join across the origin"),
        pytest.param(
            record("complement(join(111..120,1..11))", topology="circular", translation=PROTEIN,
                   letters=reverse(GENE)[10:] + FILLER[: LENGTH - 21] + reverse(GENE)[:10]),
            GENE, PROTEIN, "AB000001.1:111-120,1-11(-)", True, id="complement across the origin"),
        pytest.param(
            record("join(complement(11..17),41..54)", translation=PROTEIN,
                   letters=FILLER[:10] + reverse(GENE[:7]) + FILLER[17:40] + GENE[7:] + FILLER[54:LENGTH]),
            GENE, PROTEIN, "AB000001.1:11-17(-),41-54(+)", True, id="trans-splicing of both strands"),
        pytest.param(
            record("<11..>28", coding=GENE[:18], at=11, translation=PROTEIN),
            GENE[:18], PROTEIN, "AB000001.1:11-28(+)", False, id="partial at both ends"),
        pytest.param(
            record("complement(<11..31)", coding=reverse(GENE), at=11, translation=PROTEIN),
            GENE, PROTEIN, "AB000001.1:11-31(-)", True, id="the 3' end of a complement is partial"),
        pytest.param(
            record("complement(11..>31)", coding=reverse(GENE), at=11, translation=PROTEIN),
            GENE, PROTEIN, "AB000001.1:11-31(-)", False, id="the 5' end of a complement is partial"),
        pytest.param(
            record("<10..31", coding="C" + GENE, at=10, translation=PROTEIN, codon_start="2"),
            GENE, PROTEIN, "AB000001.1:11-31(+)", False, id="codon_start 2"),
        pytest.param(
            record("complement(11..>33)", coding=reverse("CC" + GENE), at=11, translation=PROTEIN, codon_start="3"),
            GENE, PROTEIN, "AB000001.1:11-31(-)", False, id="codon_start 3 of a complement"),
        pytest.param(
            record("11..>33", coding=GENE[:18] + "GCTGG", at=11, translation="MKRWDYAG"),
            GENE[:18] + "GCT", "MKRWDYA", "AB000001.1:11-31(+)", True, id="two letters that settle the last residue"),
        pytest.param(
            record("11..31", coding="ATGAAATGATGGGATTACTAA", at=11, translation="MKWWDY", transl_table="4"),
            "ATGAAATGATGGGATTACTAA", "MKWWDY", "AB000001.1:11-31(+)", True, id="table 4 reads TGA as W"),
        pytest.param(
            record("11..31", coding="GTG" + GENE[3:], at=11, translation=PROTEIN),
            "GTG" + GENE[3:], PROTEIN, "AB000001.1:11-31(+)", True, id="table 11 starts with GTG"),
        pytest.param(
            record("<11..31", coding="GTG" + GENE[3:], at=11, translation="V" + PROTEIN[1:]),
            "GTG" + GENE[3:], "V" + PROTEIN[1:], "AB000001.1:11-31(+)", False, id="GTG inside a gene is V"),
        pytest.param(
            record("11..31", coding="ATGAAATGATGGGATTACTAA", at=11, translation="MKUWDY",
                   qualifiers=["/transl_except=(pos:17..19,aa:Sec)"]),
            "ATGAAATGATGGGATTACTAA", "MKUWDY", "AB000001.1:11-31(+)", True, id="selenocysteine"),
        pytest.param(
            record("complement(11..31)", coding=reverse("ATGAAATGATGGGATTACTAA"), at=11, translation="MKUWDY",
                   qualifiers=["/transl_except=(pos:complement(23..25),", "aa:Sec)"]),
            "ATGAAATGATGGGATTACTAA", "MKUWDY", "AB000001.1:11-31(-)", True, id="selenocysteine of a complement"),
        pytest.param(
            record("11..29", coding=GENE[:19], at=11, translation=PROTEIN,
                   qualifiers=["/transl_except=(pos:29,aa:TERM)"]),
            GENE[:18], PROTEIN, "AB000001.1:11-28(+)", True, id="a stop completed by the poly-A tail"),
        pytest.param(
            record("join(11..19,19..30)", coding=GENE[:9] + GENE[10:], at=11, translation=PROTEIN,
                   letters=FILLER[:10] + "ATGAAACGT" + "GGGATTACTAA" + FILLER[30:LENGTH],
                   qualifiers=["/ribosomal_slippage"]),
            GENE, PROTEIN, "AB000001.1:11-19,19-30(+)", True, id="slippage back by a letter"),
        pytest.param(
            record("11..31", coding=GENE, at=11, translation=PROTEIN, transl_table=None),
            GENE, PROTEIN, "AB000001.1:11-31(+)", True, id="no transl_table is the standard one"),
        pytest.param(
            record("11..31", coding=GENE.replace("T", "U"), at=11, translation=PROTEIN),
            GENE, PROTEIN, "AB000001.1:11-31(+)", True, id="U for T"),
        pytest.param(
            record("11..31", coding=GENE, at=11, translation=PROTEIN.lower()).replace("\n", "\r\n"),
            GENE, PROTEIN, "AB000001.1:11-31(+)", True, id="Windows line ends"),
        pytest.param(
            record("11..31", coding=GENE, at=11, letters="N" * LENGTH, translation=PROTEIN),
            GENE, PROTEIN, "AB000001.1:11-31(+)", True, id="ambiguous letters outside"),
    ],
)  # fmt: skip
def test_a_gene_is_spliced_and_translated(read, text, coding, protein, location, has_start):
    (gene,), dropped = read(text)
    assert (gene.coding, gene.protein, gene.location, gene.has_start) == (coding, protein, location, has_start)
    assert dropped == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (record("11..31", coding=GENE, at=11, translation=PROTEIN, qualifiers=["/pseudo"]), "pseudo genes"),
        (
            record("11..31", coding=GENE, at=11, translation=PROTEIN, pseudogene="unknown"),
            "pseudo genes",
        ),
        (record("11..31", coding=GENE, at=11), "genes without /translation"),
        (record("11..31", coding=GENE, at=11, translation="MKRWDF"), "genes not translated as given: other residues"),
        (record("11..31", coding=GENE, at=11, translation="MKRWD"), "genes not translated as given: another length"),
        (
            record("11..31", coding="ATGAAATGATGGGATTACTAA", at=11, translation="MKWWDY"),
            "genes not translated as given: a stop codon inside",
        ),
        (
            record("11..31", coding=GENE, at=11, translation="MKRWDF", exception="RNA editing"),
            "genes not translated as given: RNA editing",
        ),
        (
            record(
                "11..30", coding=GENE[:9] + GENE[10:], at=11, translation=PROTEIN, qualifiers=["/ribosomal_slippage"]
            ),
            "genes not translated as given: ribosomal slippage that the location does not show",
        ),
        (
            record("11..31", coding=GENE, at=11, translation="MKRWDF", qualifiers=["/trans_splicing"]),
            "genes not translated as given: trans-splicing that the location does not show",
        ),
        (
            record("11..31", coding=GENE.replace("TGG", "TRG"), at=11, translation="MKRXDY"),
            "genes with ambiguous letters",
        ),
        (record("order(11..16,20..31)", translation="MK"), "genes whose parts are in order but not joined"),
        (record("J00194.1:1..21", translation=PROTEIN), "genes with a part on another record"),
        (record("join(11..16,J00194.1:1..15)", translation=PROTEIN), "genes with a part on another record"),
        (record("101..130", translation=PROTEIN), "genes that reach beyond the end of their record"),
        (record("115..12", translation=PROTEIN), "genes whose location cannot be read"),
        (record("somewhere", translation=PROTEIN), "genes whose location cannot be read"),
        (record("(11.14)..31", coding=GENE, at=11, translation=PROTEIN), "genes without an exact location"),
        (record("11..<31", coding=GENE, at=11, translation=PROTEIN), "genes without an exact location"),
        (record("11^12", translation=PROTEIN), "genes with an empty part"),
        (record("11..12", translation="M"), "genes shorter than a codon"),
        (
            record("11..31", coding=GENE, at=11, translation=PROTEIN, transl_table="7"),
            "genes with an unknown /transl_table",
        ),
        (
            record("11..31", coding=GENE, at=11, translation=PROTEIN, codon_start="4"),
            "genes whose /codon_start is not 1, 2 or 3",
        ),
        (
            record(
                "11..31", coding=GENE, at=11, translation=PROTEIN, qualifiers=["/transl_except=(pos:18..20,aa:Sec)"]
            ),
            "genes whose /transl_except cannot be read",
        ),
    ],
)
def test_a_gene_that_cannot_be_trusted_is_left_out_and_counted(read, text, reason):
    assert read(text) == ([], {reason: 1})


def test_a_record_without_letters_of_a_gene_gives_none(read):
    genes, dropped = read(record("11..31", translation=PROTEIN).replace("     CDS", "     gene"))
    assert (genes, dropped) == ([], {})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.gb", "", "x.gb is empty"),
        ("x.gb", ">a\nACGT\n", "x.gb: record 1 begins with '>a' where a GenBank record has LOCUS"),
        ("x.gb", record("11..31")[:-60], "x.gb: record 1 (AB000001.1) announces 120 letters and holds 69"),
        ("x.gb", record("11..31", letters="E" * LENGTH), "x.gb: record 1 (AB000001.1) holds 'E'; genes are read from"),
        ("x.gb", record("11..31").replace(" bp    DNA ", " aa        "), "x.gb: record 1 (AB000001.1) is a protein"),
        ("x.gb", gzip.compress(record("11..31").encode())[:-30], "x.gb ends in the middle of its gzip data"),
        ("x.gb", record("11..31").encode().replace(b"Testus", b"T\xffstus"), "x.gb:5: byte 0xff"),
    ],
)
def test_a_file_without_genes_to_read_gives_one_line(read, name, text, message):
    with pytest.raises(InputError) as caught:
        read(text, name=name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_records_of_one_compressed_file_are_read_in_turn(read):
    texts = [record("11..31", coding=GENE, at=11, translation=PROTEIN, name=f"AB00000{n}.1") for n in (1, 2)]
    genes, _ = read("\n".join(texts), name="x.gbff.gz")
    assert [gene.location for gene in genes] == ["AB000001.1:11-31(+)", "AB000002.1:11-31(+)"]


def test_qualifiers_and_organism_are_kept(read):
    ((gene,), _) = read(record("11..31", coding=GENE, at=11, translation=PROTEIN, gene="abcD", protein_id="P_1.1"))
    assert (gene.organism, gene.product, gene.name) == ("Testus exemplaris", "tested protein", "abcD")
    assert (gene.table, gene.names) == (11, ["AB000001.1:11-31(+)", "T_1", "P_1.1", "abcD"])


@pytest.mark.parametrize(
    ("location", "before", "topology", "flank", "places"),
    [
        ("11..31", "GGGTTTCCCA", "linear", "TTTCCCA", [(3, 10, 1)]),
        ("5..25", "CCCA", "linear", "CCCA", [(0, 4, 1)]),
        ("5..25", "CCCA", "circular", "TTGCCCA", [(117, 120, 1), (0, 4, 1)]),
    ],
)
@pytest.mark.parametrize("strand", [1, -1])
def test_a_flank_leads_up_to_the_gene_on_its_strand(read, location, before, topology, flank, places, strand):
    letters = (before + GENE + FILLER)[: LENGTH - 3] + "TTG"
    if strand == -1:
        letters = reverse(letters)
        first, last = map(int, location.split(".."))
        location = f"complement({LENGTH + 1 - last}..{LENGTH + 1 - first})"
        places = [(LENGTH - last, LENGTH - first, -1) for first, last, _ in places]
    ((gene,), _) = read(record(location, letters=letters, topology=topology, translation=PROTEIN), flank=7)
    assert gene.flank == flank
    assert [tuple(segment) for segment in gene.flank_segments] == places


def test_exceptions_are_the_numbers_of_their_codons(read):
    text = record("11..31", coding="ATGAAATGATGGGATTACTAA", at=11, translation="MKUWDY")
    text = text.replace("/product", "/transl_except=(pos:17..19,aa:Sec)\n                     /product")
    assert read(text)[0][0].exceptions == {2}


def test_a_translation_that_ends_in_a_stop_sign_is_the_same_protein(read):
    plain, starred = (
        read(record("11..31", coding=GENE, at=11, translation=translation)) for translation in (PROTEIN, PROTEIN + "*")
    )
    assert plain == starred
    assert len(plain[0]) == 1
    _, dropped = read(record("11..31", coding=GENE, at=11, translation=PROTEIN + "**"))
    assert sum(dropped.values()) == 1
