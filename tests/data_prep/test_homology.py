import itertools
import shutil

import numpy as np
import pytest

from data_prep.biology.homology import Components, assign_splits, cluster_sequences, sensitive_searches
from lingjax.errors import InputError

needs_blast = pytest.mark.skipif(shutil.which("blastn") is None, reason="BLAST+ is not installed")
FRACTIONS = {"train": 0.8, "test": 0.2}


def genome(letters, seed):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), letters))


def test_components_are_named_by_their_smallest_member_whatever_the_order_of_links():
    links = [("d", "c"), ("b", "a"), ("e", "d"), ("g", "f")]
    for order in itertools.permutations(links):
        components = Components("abcdefgh")
        for first, second in order:
            components.link(second, first)
        assert [components.find(name) for name in "abcdefgh"] == list("aacccffh")


@needs_blast
def test_clusters_are_chains_of_hits():
    pieces = [genome(101, seed) for seed in range(5)]
    sequences = {
        "x": pieces[0] + pieces[1],
        "b": pieces[1] + pieces[2],
        "c": genome(53, 9) + pieces[2],
        "alone": pieces[3],
        "linked": pieces[4],
    }
    clusters = cluster_sequences(sequences, program="blastn", evalue=1e-5)
    assert clusters == {"x": "b", "b": "b", "c": "b", "alone": "alone", "linked": "linked"}
    clusters = cluster_sequences(sequences, program="blastn", evalue=1e-5, links=[("linked", "alone")])
    assert clusters["linked"] == clusters["alone"] == "alone"


@needs_blast
def test_the_evalue_decides_what_is_a_hit():
    shared = genome(25, 1)
    sequences = {"a": genome(61, 2) + shared, "b": shared + genome(67, 3)}
    assert len(set(cluster_sequences(sequences, program="blastn", evalue=1e-30).values())) == 2
    assert len(set(cluster_sequences(sequences, program="blastn", evalue=1e-3).values())) == 1


def test_nothing_is_in_no_cluster():
    if shutil.which("blastn"):
        assert cluster_sequences({}, program="blastn", evalue=1e-5) == {}


def test_short_sequences_are_searched_by_both_tasks():
    tasks = [[options[1] for options in sensitive_searches("blastn", letters)] for letters in (50, 100, 101)]
    assert tasks == [["blastn", "blastn-short"], ["blastn", "blastn-short"], ["blastn"]]
    assert sensitive_searches("blastp", 50) == [[]]


def test_whole_clusters_meet_the_fractions_as_well_as_they_can():
    keys = ["large"] * 50 + ["b"] * 30 + ["c"] * 11 + ["d"] * 9
    assigned = assign_splits(keys, FRACTIONS)
    assert assigned == {"large": "train", "b": "train", "c": "test", "d": "test"}


def test_the_order_of_rows_does_not_decide():
    keys = [f"cluster {number % 17}" for number in range(101)]
    shuffled = [keys[number] for number in np.random.default_rng(0).permutation(len(keys))]
    assert assign_splits(keys, FRACTIONS) == assign_splits(shuffled, FRACTIONS)


def test_a_cluster_that_is_nearly_all_leaves_the_rest_to_the_other_split():
    assert assign_splits(["all"] * 99 + ["rest"], FRACTIONS) == {"all": "train", "rest": "test"}


def test_fewer_clusters_than_splits_are_refused():
    with pytest.raises(InputError, match="all 9 rows lie in 1 cluster, too few for the splits train, test"):
        assign_splits(["one"] * 9, FRACTIONS)
