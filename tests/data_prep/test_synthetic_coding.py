from collections import Counter

import numpy as np
import pytest
from Bio.Seq import Seq

from data_prep.synthetic.coding import (
    draw_dna_protein_pair,
    reverse_translate,
    shares_peptide,
)
from data_prep.synthetic.pairs import draw_splits
from lingjax.alphabets import six_frames


@pytest.fixture(scope="module")
def pairs():
    return draw_splits(draw_dna_protein_pair, {"train": 400}, np.random.default_rng(1))["train"]


def frames_by_biopython(dna):
    strands = (Seq(dna), Seq(dna).reverse_complement())
    return [
        str(strand[offset : len(strand) - (len(strand) - offset) % 3].translate())
        for strand in strands
        for offset in range(3)
    ]


def test_six_frames_equal_biopythons(pairs):
    for pair in pairs[:20]:
        assert six_frames(pair.sentence1) == frames_by_biopython(pair.sentence1)


def test_positives_code_for_their_protein_up_to_a_stop(pairs):
    for pair in pairs:
        if pair.label == 1:
            assert any(pair.sentence2 + "*" in frame for frame in frames_by_biopython(pair.sentence1)[:3])


def test_negatives_share_no_five_residues_with_any_frame(pairs):
    for pair in pairs:
        if pair.label == 0:
            frames = frames_by_biopython(pair.sentence1)
            peptides = [pair.sentence2[i : i + 5] for i in range(len(pair.sentence2) - 4)]
            assert not any(peptide in frame for peptide in peptides for frame in frames)


def test_dna_is_150_bases_and_proteins_fit_and_begin_with_methionine(pairs):
    assert {len(pair.sentence1) for pair in pairs} == {150}
    assert max(len(pair.sentence2) for pair in pairs) <= 50
    assert all(pair.sentence2.startswith("M") for pair in pairs)


def test_protein_length_does_not_tell_the_label(pairs):
    means = [np.mean([len(pair.sentence2) for pair in pairs if pair.label == label]) for label in (0, 1)]
    assert abs(means[0] - means[1]) < 1.2


def test_reading_frames_and_flanks_vary(pairs):
    starts = {pair.sentence1.find("ATG") % 3 for pair in pairs}
    assert starts == {0, 1, 2}


def test_codons_follow_the_usage_of_e_coli():
    rng = np.random.default_rng(2)
    gene = reverse_translate("L" * 20_000, rng)[:-3]
    counts = Counter(gene[i : i + 3] for i in range(0, len(gene), 3))
    assert set(counts) == {"TTA", "TTG", "CTT", "CTC", "CTA", "CTG"}
    # Per thousand in the table: 46.9 of the 101.7 for leucine.
    assert counts["CTG"] / 20_000 == pytest.approx(46.9 / 101.7, abs=0.015)


def test_every_residue_translates_back():
    protein = "ACDEFGHIKLMNPQRSTVWY" * 20
    assert str(Seq(reverse_translate(protein, np.random.default_rng(3))).translate()) == protein + "*"


@pytest.mark.parametrize(("residues", "shared"), [(3, True), (4, False)])
def test_a_shared_peptide_is_found_on_either_strand(residues, shared):
    dna = str(Seq("ATGAAACCC").reverse_complement())
    assert shares_peptide("GG" + dna, "WWMKPWW", residues=residues) is shared
