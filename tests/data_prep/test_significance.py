import shutil
import subprocess

import numpy as np
import pytest
from Bio.Seq import reverse_complement

from data_prep.biology.alignment import AlignedWindow, describe_columns
from data_prep.biology.significance import (
    choose_scorings,
    find_alignments,
    has_significant_columns,
    is_confirmed,
    least_evalue,
)

needs_blast = pytest.mark.skipif(shutil.which("blastn") is None, reason="BLAST+ is not installed")


def genome(letters, seed):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), letters))


def mutate(text, share, seed):
    rng = np.random.default_rng(seed)
    return "".join("ACGT"[rng.integers(4)] if rng.random() < share else letter for letter in text)


def blast_pair(folder, text1, text2, task, evalue):
    """Runs blastn on two texts alone and returns the lowest E-value."""
    for name, text in (("a", text1), ("b", text2)):
        (folder / name).write_text(f">{name}\n{text}\n")
    command = ["blastn", "-task", task, "-dust", "no", "-query", "a", "-subject", "b", "-evalue", str(evalue)]
    shown = subprocess.run(
        [*command, "-outfmt", "6 evalue"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    return min(map(float, shown.split()), default=np.inf)


def make_window(text1, text2, cigar=None):
    identity, columns = describe_columns(text1, text2)
    return AlignedWindow(text1, text2, 0, len(text1), 0, len(text2), "+", identity, cigar or columns)


def keep(windows, *, evalue):
    windows = [window for window in windows if has_significant_columns(window, program="blastn", evalue=evalue)]
    confirmed = is_confirmed(windows, evalue=evalue)
    return [window for window, kept in zip(windows, confirmed, strict=True) if kept]


PAIRS = [(genome(letters, seed), seed, letters) for seed in range(6) for letters in (37, 50, 83, 150)]
RELATED = [(text, mutate(text, 0.05 * (seed + 1), seed=seed)) for text, seed, _ in PAIRS]


def test_the_score_of_an_alignment_is_that_of_its_best_piece():
    blastn, short = choose_scorings("blastn", 50)
    assert blastn.score_columns("10=1X9=", "", "") == 38 - 3
    assert blastn.score_columns("3=9X20=2D4=", "", "") == 40  # the gap costs 9 and gains 8
    assert short.score_columns("20=1I30=", "", "") == 50 - 7
    assert short.score_columns("5X", "", "") == 0


@needs_blast
@pytest.mark.parametrize(("first", "second"), RELATED)
def test_evalues_lie_on_either_side_of_blast_s_own(tmp_path, first, second):
    for scoring in choose_scorings("blastn", len(first)):
        found = blast_pair(tmp_path, first, second, scoring.task, 10)
        score = scoring.score_columns(make_window(first, second).cigar, first, second)
        if found < 1e-3:
            assert scoring.evalue(score, len(first), len(second)) >= 0.9 * found
        assert least_evalue(first, second, program="blastn") <= 1.1 * found


@needs_blast
def test_what_is_kept_is_significant_by_an_independent_search(tmp_path):
    kept = keep([make_window(*pair) for pair in RELATED], evalue=1e-5)
    assert 5 < len(kept) < len(RELATED)
    for window in kept:
        for task in ["blastn", "blastn-short"][: 2 if len(window.text1) <= 100 else 1]:
            assert blast_pair(tmp_path, window.text1, window.text2, task, 1e-5) <= 1e-5


@needs_blast
def test_a_stricter_limit_keeps_less():
    windows = [make_window(*pair) for pair in RELATED]
    kept = [len(keep(windows, evalue=evalue)) for evalue in (1e-3, 1e-15, 1e-30)]
    assert kept[0] > kept[1] > kept[2]


@needs_blast
def test_what_is_compared_beside_a_pair_has_no_influence():
    together = list(find_alignments(RELATED, program="blastn", evalue=1e-3))
    assert together == [next(find_alignments([pair], program="blastn", evalue=1e-3)) for pair in RELATED]


@needs_blast
def test_texts_that_align_better_in_another_place_than_that_of_the_hit_are_left_out():
    piece, other = genome(25, 1), genome(25, 2)
    # BLAST finds the first text in the second, shifted, with more equal letters than the columns have.
    window = make_window(piece + other, other[:5] + piece + other[:20])
    assert not has_significant_columns(window, program="blastn", evalue=1e-5)
    claimed = make_window(window.text1, window.text2, cigar="20=30X")
    assert has_significant_columns(claimed, program="blastn", evalue=1e-5)
    assert is_confirmed([claimed, make_window(piece, piece)], evalue=1e-5) == [False, True]


def test_the_other_strand_counts_as_related():
    text = genome(50, 7)
    either = [least_evalue(text, other, program="blastn") for other in (text, reverse_complement(text))]
    assert either[0] == either[1] < 1e-15
    assert least_evalue(text, genome(50, 8), program="blastn") > 1e-3
