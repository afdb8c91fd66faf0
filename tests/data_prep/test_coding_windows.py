import dataclasses

import numpy as np
import pytest
from Bio.Seq import Seq

from data_prep.biology.coding_windows import CodingPlan, find_encoded
from data_prep.formats.genes import read_genes
from data_prep.tally import Tally
from lingjax.errors import InputError
from tests.data_prep.simulated_genome import draw_protein, read_location, read_records, shares_run, write_genome


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    rng = np.random.default_rng(5)
    genes = [(f"protein {number}", draw_protein(rng, 30 + 9 * number)) for number in range(9)]
    path = write_genome(tmp_path_factory.mktemp("genome") / "a.gb", genes, name="AA000001", organism="Testus unus")
    genes = [gene for record in read_genes(path, Tally(), flank=12) for gene in record.genes]
    return genes, read_records(path)


def cut(genome, plan, seed=0, **options):
    tally, rng = Tally(), np.random.default_rng(seed)
    return [window for gene in genome[0] for window in plan.cut(gene, rng, tally, **options)], tally.group("dropped")


PLANS = [
    CodingPlan(60, 20),
    CodingPlan(60, 7),
    CodingPlan(61, 50, frame_shifts=True),
    CodingPlan(60, 20, upstream=10),
    CodingPlan(60, 20, upstream=10, frame_shifts=True),
]


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_window_codes_for_its_protein_at_its_place(genome, plan, reverse):
    windows, _ = cut(genome, plan)
    assert windows
    for window in windows:
        dna, location = window.read_dna(reverse=reverse)
        assert len(dna) == plan.dna_length
        assert dna == read_location(location, genome[1])
        coding = read_location(window.protein_location, genome[1])
        assert str(Seq(coding).translate(table=4)) == window.protein
        assert coding in (str(Seq(dna).reverse_complement()) if reverse else dna)
        assert 5 <= len(window.protein) <= plan.protein_length


def test_the_first_window_begins_with_the_start_codon_and_the_others_share_no_letter(genome):
    windows, dropped = cut(genome, CodingPlan(60, 20))
    for gene in genome[0]:
        own = [window for window in windows if window.gene is gene]
        assert [window.from_start for window in own] == [True] + [False] * (len(own) - 1)
        assert gene.coding.startswith("".join(window.dna for window in own))
        assert len(own) == len(gene.coding) // 60
    assert dropped == {}
    assert cut(genome, CodingPlan(60, 20), more=False)[0] == [window for window in windows if window.from_start]


def test_genes_too_short_are_counted(genome):
    _, dropped = cut(genome, CodingPlan(240, 50))
    assert dropped == {"genes too short for the DNA": sum(len(gene.coding) < 240 for gene in genome[0])}


def test_a_flank_leads_up_to_the_start_codon(genome):
    windows, _ = cut(genome, CodingPlan(60, 20, upstream=10))
    for window in windows:
        assert window.dna[10:13] == "ATG"
        assert window.from_start
        assert window.protein == window.gene.protein[:16]


@pytest.mark.parametrize("upstream", [0, 9])
def test_frame_shifts_begin_at_every_offset_within_a_codon(genome, upstream):
    windows, _ = cut(genome, CodingPlan(60, 20, upstream=upstream, frame_shifts=True), seed=1)
    offsets = {window.dna.index(read_location(window.protein_location, genome[1])) % 3 for window in windows}
    assert offsets == {0, 1, 2}


def test_a_window_with_a_codon_of_special_meaning_is_left_out(genome):

    gene = dataclasses.replace(genome[0][8], exceptions=frozenset({25}))
    windows, dropped = cut(([gene],), CodingPlan(60, 20))
    whole, _ = cut(([genome[0][8]],), CodingPlan(60, 20))
    assert [window.dna for window in windows] == [window.dna for window in whole if window is not whole[1]]
    assert dropped == {"windows with a codon of special meaning, such as selenocysteine": 1}


def test_a_gene_without_its_start_codon_has_no_flank(genome):

    gene = dataclasses.replace(genome[0][8], has_start=False)
    assert cut(([gene],), CodingPlan(60, 20, upstream=9)) == (
        [],
        {"genes without their start codon, which a flank cannot precede": 1},
    )


def test_encoded_pieces_are_what_biopython_finds_in_six_frames(genome):
    windows = cut(genome, CodingPlan(60, 20, frame_shifts=True))[0][:15]
    # Proteins that other frames and the standard code read, besides their own.
    for number, (table, shift) in enumerate([(1, 0), (4, 1), (11, 2)]):
        strand = Seq(windows[number].dna).reverse_complement()[shift:]
        frame = str(strand[: len(strand) // 3 * 3].translate(table=table))
        windows.append(dataclasses.replace(windows[-1], protein=max(frame.split("*"), key=len)))
    found = find_encoded(windows)
    for window, encoded in zip(windows, found, strict=True):
        expected = {
            number for number, other in enumerate(windows) if shares_run(window.dna, other.protein, tables=(1, 4))
        }
        assert encoded == expected
    assert any(len(encoded) > 1 for encoded in found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((14, 50), "--dna_length=14 with --upstream=0 leaves less than the 15 letters that 5 residues need"),
        ((150, 4), "--protein_length=4: expected 5 or more"),
        ((150, 50, -1), "--upstream=-1: expected 0 or more"),
        ((150, 50, 140), "--dna_length=150 with --upstream=140 leaves less than the 15 letters"),
    ],
)
def test_lengths_that_prove_nothing_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        CodingPlan(*arguments)
