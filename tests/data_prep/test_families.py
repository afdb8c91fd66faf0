import collections
import dataclasses
import shutil
import types

import numpy as np
import pytest

from data_prep.biology.families import Member, align, choose_members, make_family_pairs, pair_members, read_families
from data_prep.formats.genes import Gene
from data_prep.formats.locations import Segment
from data_prep.tally import Tally
from lingjax.errors import InputError


def gene(number, product, coding="ATGAAACGT"):
    return Gene(
        record="a.1", organism="T", segments=(Segment(number, number + len(coding), 1),), coding=coding,
        protein="MKR", table=11, has_start=True, exceptions=frozenset(), flank="", flank_segments=(),
        product=product, name="", locus_tag=f"T_{number}", protein_id=f"P{number}.1",
    )  # fmt: skip


def choose(genes, families=None, **options):
    tally = Tally()
    members = choose_members(genes, families, **{"domain": "dna", "length": None, "tally": tally, **options})
    return [(member.gene.locus_tag, member.family, member.text) for member in members], tally.group("dropped")


def test_members_are_the_genes_with_a_family_and_a_text_of_their_own():
    genes = [gene(1, "ligase"), gene(2, "ligase"), gene(3, "hypothetical protein", "ATGC"), gene(4, "ligase", "ATG")]
    assert choose(genes) == (
        [("T_1", "ligase", "ATGAAACGT"), ("T_4", "ligase", "ATG")],
        {"genes with the text of another": 1, "genes whose annotation names no family": 1},
    )


def test_length_and_domain_decide_the_text():
    genes = [gene(1, "ligase"), gene(2, "kinase", "ATG")]
    assert choose(genes, length=4) == ([("T_1", "ligase", "ATGA")], {"genes shorter than --length": 1})
    assert choose(genes[:1], domain="protein", length=2)[0] == [("T_1", "ligase", "MK")]


def test_genes_too_long_to_align_are_counted():
    assert choose([gene(1, "ligase", "A" * 10_001)]) == ([], {"genes longer than 10,000 letters": 1})


@pytest.mark.parametrize("name", ["T_1", "P1.1", "a.1:2-10(+)"])
def test_a_table_names_genes_by_anything_that_they_are_called(tmp_path, name):
    path = tmp_path / "table.tsv"
    path.write_bytes(f"# gene\tfamily\r\n\r\n{name}\tf1\r\nother\tf2\r\n".encode())
    assert choose([gene(1, "ligase"), gene(5, "kinase", "ATGC")], read_families(path)) == (
        [("T_1", "f1", "ATGAAACGT")],
        {"genes of the table that no source has": 1, "genes that are not in the table": 1},
    )


def test_the_problems_of_a_table_are_named_with_their_lines(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("a\tx\nb x\na\ty\nc\t\nd\tx\tz\n")
    with pytest.raises(InputError) as caught:
        read_families(path)
    for problem in [
        f"{path}:2: expected a gene and its family between a tab, found 'b x'",
        f"{path}:3: gene 'a' is in family 'y', but in 'x' in line 1",
        f"{path}:4: expected a gene",
        f"{path}:5: expected a gene",
    ]:
        assert problem in str(caught.value)
    path.write_text("# nothing\n")
    with pytest.raises(InputError, match="names no gene"):
        read_families(path)


@pytest.mark.parametrize("size", [2, 3, 4, 7, 8])
def test_rounds_pair_all_members_of_a_family_once(size):
    members = [Member(types.SimpleNamespace(), "f", str(number)) for number in range(size)]
    members.append(Member(types.SimpleNamespace(), "lonely", "x"))
    rounds = list(pair_members(members, np.random.default_rng(0)))
    pairs = [frozenset((first.text, second.text)) for found in rounds for first, second in found]
    assert len(pairs) == len(set(pairs)) == size * (size - 1) // 2
    for found in rounds:
        used = collections.Counter(member.text for pair in found for member in pair)
        assert max(used.values()) <= 2


def test_an_alignment_gives_identity_and_columns():
    assert align("ACGTACGT", "ACGTCGT") == (0.875, "4=1I3=")
    assert align("ACGTACGTA", "ACGAACGTA") == (8 / 9, "3=1X5=")


@pytest.mark.skipif(shutil.which("blastp") is None, reason="BLAST+ is not installed")
def test_two_forms_of_one_gene_are_no_pair_and_pairs_that_are_no_homologs_are_counted():
    rng = np.random.default_rng(4)
    proteins = ["M" + "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 60)) for _ in range(2)]
    changed = proteins[0][:40] + proteins[0][45:]
    places = [(0, proteins[0]), (30, changed), (500, proteins[0][:-3]), (900, proteins[1])]
    genes = [
        dataclasses.replace(gene(place, "ligase", coding="ATG" * len(protein)), protein=protein)
        for place, protein in places
    ]
    members = [Member(each, "ligase", each.protein) for each in genes]
    tally = Tally()
    positives = make_family_pairs(
        members, domain="protein", most=100, identity=(0.0, 1.0), evalue=1e-5, rng=rng, tally=tally
    )
    places = {frozenset((positive.first.location, positive.second.location)) for positive in positives}
    assert len(places) == 5  # of six pairs of four genes, that of the first two overlaps
    assert tally.group("dropped") == {"pairs of two forms of one gene, whose places overlap": 1}
    assert tally.group("read")["of these, proteins that blastp does not align (E <= 0.001)"] == 3
