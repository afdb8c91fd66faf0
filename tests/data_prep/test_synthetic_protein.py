from collections import Counter

import numpy as np
import pytest

from data_prep.synthetic.pairs import draw_splits
from data_prep.synthetic.protein import (
    RESIDUE_PERCENT,
    draw_protein_document,
    draw_protein_pair,
    draw_residues,
    exchange_probabilities,
    substitute_residues,
    to_protein,
)

LETTERS = "".join(RESIDUE_PERCENT)


def test_residues_have_the_frequencies_of_swiss_prot():
    counts = Counter(to_protein(draw_residues(np.random.default_rng(1), 200_000)))
    for residue, percent in RESIDUE_PERCENT.items():
        assert counts[residue] / 2000 == pytest.approx(percent, abs=0.15)


def test_published_frequencies_cover_the_20_residues_once():
    assert sorted(LETTERS) == sorted("ACDEFGHIKLMNPQRSTVWY")
    assert sum(RESIDUE_PERCENT.values()) == pytest.approx(100, abs=1)


def test_exchanges_prefer_similar_residues_and_never_keep_one():
    probabilities = exchange_probabilities()
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.all(np.diag(probabilities) == 0)
    of = {a: dict(zip(LETTERS, probabilities[LETTERS.index(a)], strict=True)) for a in LETTERS}
    # By hand from BLOSUM62: I-V scores 3, I-D scores -3; so their ratio is p(V) / p(D) times 2 ** 3.
    assert of["I"]["V"] / of["I"]["D"] == pytest.approx(6.86 / 5.46 * 8)
    assert max(of["K"], key=of["K"].get) in "RE"


def test_the_changed_fraction_and_its_targets_are_as_asked():
    rng = np.random.default_rng(2)
    before = np.full(100_000, LETTERS.index("I"))
    after = substitute_residues(before, rng, changed_fraction=0.3)
    assert np.mean(before != after) == pytest.approx(0.3, abs=0.01)
    share = np.mean(after[before != after] == LETTERS.index("V"))
    assert share == pytest.approx(exchange_probabilities()[LETTERS.index("I"), LETTERS.index("V")], abs=0.01)


def test_pairs_are_short_proteins_with_identities_for_homologs_only():
    pairs = draw_splits(draw_protein_pair, {"train": 400}, np.random.default_rng(3))["train"]
    assert set("".join(pair.sentence1 + pair.sentence2 for pair in pairs)) <= set(LETTERS)
    assert max(len(pair.sentence1) for pair in pairs) < 65
    identities = np.array([pair.identity for pair in pairs if pair.label == 1])
    assert identities.min() < 0.5
    assert identities.max() > 0.85
    assert {pair.identity for pair in pairs if pair.label == 0} == {0.0}


def test_unrelated_proteins_agree_by_chance_only():
    pairs = [draw_protein_pair(np.random.default_rng(seed), 0) for seed in range(300)]
    agreeing = [np.mean([a == b for a, b in zip(p.sentence1, p.sentence2, strict=False)]) for p in pairs]
    assert np.mean(agreeing) < 0.1


def test_documents_begin_with_methionine_and_are_a_matter_of_the_seed():
    document = draw_protein_document(np.random.default_rng(4))
    assert document.startswith("M")
    assert set(document) <= set(LETTERS)
    assert document == draw_protein_document(np.random.default_rng(4))
    assert document != draw_protein_document(np.random.default_rng(5))
