import shutil

import numpy as np
import pytest
from Bio.Seq import reverse_complement

from data_prep.biology import blast
from lingjax.errors import InputError

needs_blast = pytest.mark.skipif(shutil.which("blastn") is None, reason="BLAST+ is not installed")


def genome(letters, *, seed):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), letters))


SHARED = genome(211, seed=1)
QUERIES = {"a query|1": genome(307, seed=2) + SHARED, "none": genome(401, seed=3), "empty": ""}
SUBJECTS = {"x": genome(97, seed=4) + SHARED + genome(53, seed=5), "y": reverse_complement(SHARED)}


def search(queries=QUERIES, subjects=SUBJECTS, **settings):
    return list(blast.search(queries, subjects, **{"program": "blastn", "evalue": 1e-5, **settings}))


@needs_blast
def test_a_planted_piece_is_found_on_both_strands_at_its_place():
    plus, minus = sorted(search(), key=lambda hit: hit.subject)
    assert (plus.query, plus.subject, plus.strand, plus.identity) == ("a query|1", "x", "+", 1.0)
    assert (plus.query_start, plus.query_end, plus.subject_start, plus.subject_end) == (308, 518, 98, 308)
    assert plus.query_row == plus.subject_row == SHARED
    assert (minus.subject, minus.strand, minus.subject_start, minus.subject_end) == ("y", "-", 211, 1)
    assert minus.query_row == minus.subject_row == SHARED


@needs_blast
def test_rows_hold_gaps_and_identity_counts_their_columns():
    changed = SHARED[:100] + SHARED[103:150] + ("A" if SHARED[150] != "A" else "C") + SHARED[151:]
    (hit,) = search({"q": SHARED}, {"s": changed})
    assert hit.query_row.replace("-", "") == SHARED
    assert hit.subject_row.replace("-", "") == changed
    assert hit.subject_row.count("-") == 3
    assert hit.identity == pytest.approx((211 - 4) / 211)


@needs_blast
def test_hits_above_the_evalue_are_left_out():
    short = SHARED[:29]
    assert not search({"q": short}, evalue=1e-20)
    assert {hit.subject for hit in search({"q": short}, evalue=1.0)} == {"x", "y"}


@needs_blast
def test_options_reach_the_program():
    assert not search({"q": SHARED[:9]}, evalue=1000)
    assert search({"q": SHARED[:9]}, evalue=1000, options=["-task", "blastn-short"])


@needs_blast
def test_threads_do_not_change_what_is_found():
    queries = {str(seed): genome(150, seed=seed) + SHARED[seed : seed + 90] for seed in range(37)}
    assert search(queries, threads=1) == search(queries, threads=2)


@needs_blast
def test_more_subjects_than_the_default_limit_are_found():
    subjects = {f"copy {number}": SHARED for number in range(601)}
    assert sorted(hit.subject for hit in search({"q": SHARED}, subjects)) == sorted(subjects)


@needs_blast
def test_proteins_are_searched_by_blastp():
    protein = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV"
    (hit,) = search({"p": protein}, {"s": protein[:40] + "W" + protein[41:]}, program="blastp")
    assert hit.identity == pytest.approx(69 / 70)


@needs_blast
def test_a_search_can_be_left_before_its_end():
    hits = blast.search(QUERIES, SUBJECTS, program="blastn", evalue=1e-5)
    next(hits)
    hits.close()


@needs_blast
def test_nothing_to_search_gives_nothing():
    assert not search({}) and not search({"q": ""}) and not search(subjects={"s": ""})


@needs_blast
def test_the_program_s_own_complaint_is_passed_on():
    with pytest.raises(InputError, match=r"blastn failed \(exit 1\): Error: Argument \"task\""):
        search(options=["-task", "guess"])


def test_a_missing_program_names_the_installation_command(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt install ncbi-blast"):
        search()


@needs_blast
def test_the_description_has_neither_paths_nor_threads():
    described = blast.describe("blastn", evalue=1e-5, options=["-dust", "no"])
    assert described["command"] == "blastn -evalue 1e-05 -max_target_seqs 1000000 -dust no"
    assert described["version"][0].isdigit()
