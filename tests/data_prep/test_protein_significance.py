import math
import shutil

import numpy as np
import pytest
from Bio.Align import PairwiseAligner, substitution_matrices

from data_prep.biology.significance import choose_scorings, find_alignments, least_evalue
from tests.data_prep.simulated_genome import draw_protein, evolve

BLASTP = choose_scorings("blastp", 50)[0]


def test_columns_are_scored_by_blosum62_and_gap_costs():
    # W:W 11, M:M 5; a gap of two costs 11 + 2, after which only the best piece counts.
    assert BLASTP.score_columns("4=", "WWWM", "WWWM") == 38
    assert BLASTP.score_columns("3=2I3=", "WWWAAWWW", "WWWWWW") == 33 - 13 + 33
    assert BLASTP.score_columns("1=2I1=", "WAAW", "WW") == 11
    assert BLASTP.score_columns("1=1X", "WW", "WC") == 11


def test_a_perfect_alignment_scores_as_biopython_aligns_it():
    protein = draw_protein(np.random.default_rng(0), 50)
    aligner = PairwiseAligner(mode="global", substitution_matrix=substitution_matrices.load("BLOSUM62"))
    assert BLASTP.score_columns("50=", protein, protein) == aligner.score(protein, protein)


def test_evalues_follow_karlin_and_altschul():
    assert BLASTP.evalue(60, 50, 50) == pytest.approx(0.041 * 2500 * math.exp(-0.267 * 60))


def test_related_texts_have_lower_evalues_than_unrelated_ones():
    rng = np.random.default_rng(1)
    protein = draw_protein(rng, 50)
    assert least_evalue(protein, evolve(protein, rng, 0.4), program="blastp") < 1e-5
    unrelated = [least_evalue(protein, draw_protein(rng, 50), program="blastp") for _ in range(100)]
    assert sum(evalue > 0.01 for evalue in unrelated) >= 90


@pytest.mark.skipif(shutil.which("blastp") is None, reason="BLAST+ is not installed")
def test_blast_tells_which_pairs_align():
    rng = np.random.default_rng(2)
    proteins = [draw_protein(rng, 50) for _ in range(6)]
    pairs = [(protein, evolve(protein, rng, 0.3)) for protein in proteins[:3]]
    # A homolog of another pair does not count.
    pairs += [(proteins[3], proteins[4]), (proteins[4], proteins[5])]
    found = [evalue <= 1e-5 for evalue, _ in find_alignments(pairs, program="blastp", evalue=1e-5)]
    assert found == [True, True, True, False, False]
