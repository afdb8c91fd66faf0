import math
import shutil

import numpy as np
import pytest
from Bio.Align import PairwiseAligner, substitution_matrices

from data_prep.biology.protein_scores import find_aligned, greatest_evalue, least_evalue, score_columns
from tests.data_prep.simulated_genome import draw_protein, evolve


def test_columns_are_scored_by_blosum62_and_gap_costs():
    # W:W 11, M:M 5; a gap of two costs 11 + 2, after which only the best piece counts.
    assert score_columns("WWWM", "WWWM", "4=") == 38
    assert score_columns("WWWAAWWW", "WWWWWW", "3=2I3=") == 33 - 13 + 33
    assert score_columns("WAAW", "WW", "1=2I1=") == 11
    assert score_columns("WW", "WC", "1=1X") == 11


def test_a_perfect_alignment_scores_as_biopython_aligns_it():
    protein = draw_protein(np.random.default_rng(0), 50)
    aligner = PairwiseAligner(mode="global", substitution_matrix=substitution_matrices.load("BLOSUM62"))
    assert score_columns(protein, protein, "50=") == aligner.score(protein, protein)


def test_evalues_follow_karlin_and_altschul():
    assert greatest_evalue(60, 50, 50) == pytest.approx(0.041 * 2500 * math.exp(-0.267 * 60))


def test_related_texts_have_lower_evalues_than_unrelated_ones():
    rng = np.random.default_rng(1)
    protein = draw_protein(rng, 50)
    assert least_evalue(protein, evolve(protein, rng, 0.4)) < 1e-5
    unrelated = [least_evalue(protein, draw_protein(rng, 50)) for _ in range(100)]
    assert sum(evalue > 0.01 for evalue in unrelated) >= 90


@pytest.mark.skipif(shutil.which("blastp") is None, reason="BLAST+ is not installed")
def test_blast_tells_which_pairs_align():
    rng = np.random.default_rng(2)
    proteins = [draw_protein(rng, 50) for _ in range(6)]
    pairs = [(protein, evolve(protein, rng, 0.3)) for protein in proteins[:3]]
    # A homolog of another pair does not count.
    pairs += [(proteins[3], proteins[4]), (proteins[4], proteins[5])]
    assert list(find_aligned(pairs, evalue=1e-5)) == [True, True, True, False, False]
