import gzip

import numpy as np
import pytest
from Bio.Seq import reverse_complement

from data_prep.biology.regions import read_regions
from data_prep.tally import Tally
from lingjax.errors import InputError


def genome(letters, seed):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), letters))


LETTERS = genome(300, seed=1)


def genbank(locations, *, letters=LETTERS, name="R1", organism="Phage A", end="\n"):
    lines = [
        f"LOCUS       {name} {len(letters):>10} bp    DNA     circular PHG 01-JAN-2000",
        f"ACCESSION   {name}",
        f"VERSION     {name}.1",
        f"SOURCE      {organism}",
        f"  ORGANISM  {organism}",
        "            Viruses.",
        "FEATURES             Location/Qualifiers",
        f"     source          1..{len(letters)}",
        *(f"     CDS             {location}" for location in locations),
        "ORIGIN",
    ]
    for start in range(0, len(letters), 60):
        row = letters[start : start + 60].lower()
        lines.append(f"{start + 1:>9} " + " ".join(row[place : place + 10] for place in range(0, len(row), 10)))
    return end.join([*lines, "//", ""])


def read(tmp_path, *files, regions="cds", least_letters=1):
    paths = []
    for number, content in enumerate(files):
        name, text = content if isinstance(content, tuple) else (f"{number}.gb", content)
        paths.append(tmp_path / name)
        if name.endswith(".gz"):
            paths[-1].write_bytes(gzip.compress(text.encode()))
        else:
            paths[-1].write_bytes(text.encode())
    tally = Tally()
    return read_regions(paths, tally, regions=regions, least_letters=least_letters), tally


@pytest.mark.parametrize(
    ("location", "letters", "place"),
    [
        ("11..40", LETTERS[10:40], "R1.1:11-40(+)"),
        ("complement(11..40)", reverse_complement(LETTERS[10:40]), "R1.1:11-40(-)"),
        ("join(11..40,61..75)", LETTERS[10:40] + LETTERS[60:75], "R1.1:11-40,61-75(+)"),
        ("complement(join(11..40,61..75))", reverse_complement(LETTERS[10:40] + LETTERS[60:75]), "R1.1:11-40,61-75(-)"),
        ("join(281..300,1..25)", LETTERS[280:] + LETTERS[:25], "R1.1:281-300,1-25(+)"),
        ("<1..>200", LETTERS[:200], "R1.1:1-200(+)"),
        ("complement(<251..300)", reverse_complement(LETTERS[250:]), "R1.1:251-300(-)"),
        (
            "join(11..40,complement(61..75))",
            LETTERS[10:40] + reverse_complement(LETTERS[60:75]),
            "R1.1:11-40(+),61-75(-)",
        ),
    ],
)
def test_a_coding_sequence_reads_as_its_location_says(tmp_path, location, letters, place):
    (((region,),), _) = read(tmp_path, genbank([location]))
    assert (region.letters, region.name, region.record, region.organism) == (letters, place, "R1.1", "Phage A")
    assert region.locate(0, len(letters)) == place


def test_places_within_a_region_are_those_of_the_record(tmp_path):
    (((region,),), _) = read(tmp_path, genbank(["complement(join(11..40,61..75))"]))
    # Letters 10 to 20 of the region begin 10 letters below 75 and go on at 40.
    assert region.locate(10, 20) == "R1.1:36-40,61-65(-)"
    assert region.locate(10, 20, strand="-") == "R1.1:36-40,61-65(+)"
    assert reverse_complement(LETTERS[35:40] + LETTERS[60:65]) == region.letters[10:20]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("join(11..40,J00194.1:1..9)", "coding sequences with a part on another record"),
        ("290..310", "coding sequences that reach beyond their record"),
        ("11..", "coding sequences whose location cannot be read"),
        ("order(11..20,31..40)", "coding sequences whose parts are in order or bonded but not joined"),
        ("bond(11,40)", "coding sequences whose parts are in order or bonded but not joined"),
    ],
)
def test_a_location_that_cannot_be_read_is_left_out_and_counted(tmp_path, location, reason):
    (((region,),), tally) = read(tmp_path, genbank([location, "1..30"]))
    assert region.name == "R1.1:1-30(+)"
    assert tally.group("dropped") == {reason: 1}


def test_two_features_at_one_place_are_one_region(tmp_path):
    (((region,),), tally) = read(tmp_path, genbank(["1..30", "1..30"]))
    assert region.letters == LETTERS[:30]
    assert tally.group("dropped") == {"coding sequences at the place of another": 1}


def test_whole_records_are_regions_where_asked_for(tmp_path):
    (((region,),), _) = read(tmp_path, genbank(["1..30"]), regions="whole")
    assert (region.letters, region.name, region.locate(0, 300)) == (LETTERS, "R1.1", "R1.1:1-300(+)")


def test_fasta_is_read_whole_with_the_file_as_organism(tmp_path):
    text = ">one some words\r\nacgtnnRY\r\nAC\r\n>two\r\nGGTT\r\n"
    (((one, two),), tally) = read(tmp_path, ("strain.v1.fna.gz", text))
    assert (one.letters, two.letters) == ("ACGTNNRYAC", "GGTT")
    assert (one.name, one.organism, one.locate(2, 4)) == ("one", "strain.v1", "one:3-4(+)")
    assert tally.group("changed") == {"lower-case letters raised": 6}


def test_rna_is_read_as_dna(tmp_path):
    (((region,),), tally) = read(tmp_path, ("r.fa", ">r\nACGUUA\n"))
    assert region.letters == "ACGTTA"
    assert tally.group("changed") == {"letters U of RNA read as T": 2}


def test_windows_line_ends_change_nothing(tmp_path):
    plain, _ = read(tmp_path, genbank(["join(11..40,61..75)"]))
    windows, _ = read(tmp_path, genbank(["join(11..40,61..75)"], end="\r\n"))
    assert plain == windows


def test_several_records_of_a_file_are_read(tmp_path):
    text = genbank(["1..30"]) + "\n" + genbank(["2..40"], name="R2", organism="Phage B")
    (((first, second),), tally) = read(tmp_path, text)
    assert [first.name, second.name, second.organism] == ["R1.1:1-30(+)", "R2.1:2-40(+)", "Phage B"]
    assert tally.group("read")["records"] == 2


def test_records_of_one_name_in_two_files_bear_their_file_s_name(tmp_path):
    ((first,), (second,)), _ = read(tmp_path, ("a.fa", ">c\nACGT\n"), ("b.fa", ">c\nGGTT\n"))
    assert [first.name, second.name, second.locate(0, 2)] == ["a.fa:c", "b.fa:c", "b.fa:c:1-2(+)"]


def test_short_regions_are_left_out_and_counted(tmp_path):
    (((region,),), tally) = read(tmp_path, genbank(["1..30", "1..29"]), least_letters=30)
    assert region.name == "R1.1:1-30(+)"
    assert tally.group("dropped") == {"regions shorter than a text": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (("p.fa", ">p\nMKVLE\n"), r"p.fa: record 1 \(p\): 'L' at letter 4 .* give DNA"),
        (("d.fa", ">d\nAC\n>d\nGT\n"), "record 2 has the name 'd' of an earlier one"),
        (("d.gb", genbank(["1..30"]) + genbank(["1..30"])), "d.gb: record 2 has the name 'R1.1' of an earlier one"),
        (("e.gb", ""), "e.gb is empty"),
        (("f.gb", genbank([])), "no CDS features; take its sequences with --regions=whole"),
        (("t.gb", genbank(["1..30"])[:-200]), "t.gb: record 1"),
        (("x.txt", "hello"), "neither FASTA"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, content)


def test_problems_of_all_files_are_reported_together(tmp_path):
    with pytest.raises(InputError, match=r"0.gb is empty.*p.fa: record 1"):
        read(tmp_path, "", ("p.fa", ">p\nMKVLE\n"))


@pytest.mark.parametrize("version", ["VERSION", "VERSION     .", "", "VERSION     unknown"])
@pytest.mark.parametrize("regions", ["cds", "whole"])
def test_contigs_without_a_version_are_told_apart_by_their_locus(tmp_path, version, regions):
    contigs = [genbank(["1..30"], name=name).replace(f"VERSION     {name}.1", version) for name in ("c1", "c2", "c3")]
    (found,), tally = read(tmp_path, "".join(contigs), regions=regions)
    assert [region.locate(0, 30) for region in found] == [f"{name}:1-30(+)" for name in ("c1", "c2", "c3")]
    assert not tally.group("dropped")


def test_no_name_of_a_region_holds_white_space(tmp_path):
    spaced = genbank(["1..30"], name="p").replace("VERSION     p.1", "VERSION     my plasmid 2")
    (first,), (second,), (third,), (fourth,) = read(
        tmp_path, ("strain A.gb", spaced), ("strain B.gb", spaced), ("C 1.fa", ">c\nAC\n"), ("C 2.fa", ">c\nAG\n")
    )[0]
    assert [region.record for region in (first, second, third, fourth)] == [
        "strain_A.gb:my_plasmid_2",
        "strain_B.gb:my_plasmid_2",
        "C_1.fa:c",
        "C_2.fa:c",
    ]
    assert third.organism == "C 1"


def test_a_record_without_organism_is_of_its_file(tmp_path):
    ((first,), (second,)), _ = read(tmp_path, ("a.gb", genbank(["1..30"], organism=".")), genbank(["1..30"]))
    assert (first.organism, second.organism) == ("a", "Phage A")
