import math

import numpy as np
import pytest
from Bio.Seq import reverse_complement

from data_prep.synthetic.dna import draw_bases, draw_dna_pair, evolve_dna, substitute_bases, to_dna
from data_prep.synthetic.evolution import Lineage, insert_and_delete, true_identity
from data_prep.synthetic.genome import draw_dna_document
from data_prep.synthetic.pairs import draw_splits

PURINES = "AG"


@pytest.mark.parametrize(("distance", "kappa"), [(0.1, 1.0), (0.3, 3.0), (0.6, 8.0)])
def test_kimuras_estimator_recovers_distance_and_kappa(distance, kappa):
    rng = np.random.default_rng(1)
    before = draw_bases(rng, 200_000, gc=0.4)
    after = substitute_bases(before, rng, distance=distance, kappa=kappa)
    pairs = list(zip(to_dna(before), to_dna(after), strict=True))
    transitions = np.mean([a != b and (a in PURINES) == (b in PURINES) for a, b in pairs])
    transversions = np.mean([(a in PURINES) != (b in PURINES) for a, b in pairs])
    # Kimura 1980, equation 10; Wakeley 1996 for the ratio.
    log_first, log_second = math.log(1 - 2 * transitions - transversions), math.log(1 - 2 * transversions)
    assert -0.5 * log_first - 0.25 * log_second == pytest.approx(distance, rel=0.03)
    assert 2 * log_first / log_second - 1 == pytest.approx(kappa, rel=0.05)


@pytest.mark.parametrize("gc", [0.0, 0.37, 1.0])
def test_gc_content_is_as_asked(gc):
    sequence = to_dna(draw_bases(np.random.default_rng(2), 50_000, gc=gc))
    assert (sequence.count("G") + sequence.count("C")) / len(sequence) == pytest.approx(gc, abs=0.01)
    assert sequence.count("G") == pytest.approx(sequence.count("C"), rel=0.05)


def test_identity_falls_as_divergence_grows():
    rng = np.random.default_rng(3)
    ancestor = draw_bases(rng, 3000, gc=0.5)
    identities = []
    for distance in (0.0, 0.02, 0.1, 0.3, 1.0):
        first, second = (evolve_dna(ancestor, rng, distance=distance, kappa=3.0, gc=0.5) for _ in range(2))
        identities.append(true_identity(first, second))
    assert identities[0] == 1.0
    assert identities == sorted(identities, reverse=True)
    assert identities[-1] < 0.5


def test_identity_counts_the_columns_of_the_true_alignment():
    # Ancestor ACGT: the first lost C; the second gained T after A and turned its last T into A.
    #   A - - G T
    #   A T C G A      matches A, G of 5 columns
    first = Lineage(np.array([0, 2, 3]), np.array([0, 2, 3]))
    second = Lineage(np.array([0, 3, 1, 2, 0]), np.array([0, -1, 1, 2, 3]))
    assert true_identity(first, second) == pytest.approx(2 / 5)


def test_insertions_and_deletions_have_the_rate_and_length_asked_for():
    rng = np.random.default_rng(4)
    ancestor = Lineage(np.zeros(100_000, int), np.arange(100_000))
    after = insert_and_delete(
        ancestor, rng, events_per_site=0.005, mean_length=3.0, draw_letters=lambda length: np.ones(length, int)
    )
    inserted = np.count_nonzero(after.origins == -1)
    deleted = 100_000 - np.count_nonzero(after.origins >= 0)
    assert inserted == pytest.approx(750, rel=0.2)
    assert deleted == pytest.approx(750, rel=0.2)
    assert np.array_equal(after.codes == 1, after.origins == -1)
    kept = after.origins[after.origins >= 0]
    assert np.all(np.diff(kept) > 0)


def test_a_sequence_never_vanishes():
    rng = np.random.default_rng(5)
    for _ in range(50):
        after = insert_and_delete(
            Lineage(np.zeros(2, int), np.arange(2)),
            rng,
            events_per_site=9.0,
            mean_length=9.0,
            draw_letters=lambda length: np.ones(length, int),
        )
        assert len(after.codes) >= 1


@pytest.fixture(scope="module")
def pairs():
    return draw_splits(draw_dna_pair, {"train": 800}, np.random.default_rng(6))["train"]


def test_pairs_are_about_50_to_60_bases_and_distinct(pairs):
    lengths = np.array([[len(pair.sentence1), len(pair.sentence2)] for pair in pairs])
    assert lengths.min() > 35
    assert lengths.max() < 80
    assert 50 < lengths.mean() < 60
    assert len({pair.sentence1 for pair in pairs}) == len(pairs)
    assert set("".join(pair.sentence1 + pair.sentence2 for pair in pairs)) == set("ACGT")


def test_related_pairs_vary_in_identity_and_unrelated_ones_have_none(pairs):
    identities = np.array([pair.identity for pair in pairs if pair.label == 1])
    assert identities.min() < 0.75
    assert identities.max() > 0.93
    assert {pair.identity for pair in pairs if pair.label == 0} == {0.0}


@pytest.mark.parametrize("measure", [len, lambda sequence: sequence.count("A") / len(sequence)])
def test_length_and_composition_do_not_tell_the_label(pairs, measure):
    means = [np.mean([measure(pair.sentence2) for pair in pairs if pair.label == label]) for label in (0, 1)]
    spread = np.std([measure(pair.sentence2) for pair in pairs])
    assert abs(means[0] - means[1]) < 0.25 * spread


def test_the_other_strand_is_given_when_asked_for():
    forward = draw_dna_pair(np.random.default_rng(8), 1, reverse_complement_fraction=0.0)
    backward = draw_dna_pair(np.random.default_rng(8), 1, reverse_complement_fraction=1.0)
    assert backward.sentence1 == forward.sentence1
    assert backward.sentence2 == reverse_complement(forward.sentence2)


def test_documents_are_dna_and_a_matter_of_the_seed():
    document = draw_dna_document(np.random.default_rng(9))
    assert set(document) == set("ACGT")
    assert document == draw_dna_document(np.random.default_rng(9))
    assert document != draw_dna_document(np.random.default_rng(10))
