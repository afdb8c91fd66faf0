import importlib.util

import numpy as np
import pytest

from lingjax.data import PairRecord
from lingjax.evaluation import (
    ControlResult,
    PairSides,
    SkippedControl,
    TextControls,
    auroc,
    auroc_interval,
    edit_similarity,
    kmer_overlap,
)
from lingjax.evaluation.shortcuts import fit_linear_scorer, length_features
from lingjax.evaluation.text_controls import KMER_SIZE_WITHOUT_SOURCE


def make_sides(rows, *, seed, letters="acgt", shuffled=False):
    """Positives: a text and itself with a tenth of its letters changed; negatives: another one, or its letters anew."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    first, second = [], []
    for label in labels:
        text = rng.choice(list(letters), rng.integers(30, 60))
        other = rng.permutation(text) if shuffled else rng.choice(list(letters), rng.integers(30, 60))
        changed = np.where(rng.random(text.size) < 0.1, rng.choice(list(letters), text.size), text)
        first.append("".join(text))
        second.append("".join(changed if label else other))

    def tokens(texts):
        return [np.array([ord(letter) for letter in text]) for text in texts]

    return PairSides(first, second, tokens(first), tokens(second), labels)


SOURCE = make_sides(157, seed=0, letters="abcdefgh ")
DEV = make_sides(101, seed=1, letters="abcdefgh ", shuffled=True)
TARGET = make_sides(83, seed=2)


def test_every_control_has_a_ranking_and_its_interval():
    measured = TextControls(source=SOURCE, dev=DEV).measure(TARGET)
    for name, control in measured.items():
        assert isinstance(control, ControlResult), name
        assert control.accuracy is not None or name == "local_alignment"
        if name != "majority":
            assert control.auroc == auroc(TARGET.labels, control.scores[0])
            assert control.ci95 == auroc_interval(TARGET.labels, control.scores)


def test_similarities_are_measured_on_the_target():
    measured = TextControls(source=SOURCE, dev=DEV, kmer_sizes=(4,)).measure(TARGET)
    np.testing.assert_array_equal(measured["kmer_jaccard"].scores[0], kmer_overlap(TARGET.first, TARGET.second, k=4))
    np.testing.assert_array_equal(measured["edit_similarity"].scores[0], edit_similarity(TARGET.first, TARGET.second))


def test_k_is_chosen_on_the_source_dev_set_and_never_on_the_target():
    controls = TextControls(source=SOURCE, dev=DEV, kmer_sizes=(1, 2, 3))
    on_dev = [auroc(DEV.labels, kmer_overlap(DEV.first, DEV.second, k=k)) for k in (1, 2, 3)]
    best = 1 + int(np.argmax(on_dev))
    # A target on which another k is better, and one with the labels swapped, where all are worse than chance.
    swapped = PairSides(TARGET.first, TARGET.second, TARGET.first_tokens, TARGET.second_tokens, 1 - TARGET.labels)
    for target in (TARGET, swapped, SOURCE):
        settings = controls.measure(target)["kmer_jaccard"].to_json()["settings"]
        assert settings == {"k": best, "chosen": "highest AUROC on the source dev set among 1, 2, 3"}


def test_k_is_fixed_without_a_dev_set_and_by_a_single_size():
    settings = TextControls(source=None, dev=None).measure(TARGET)["kmer_jaccard"].settings
    assert settings["k"] == KMER_SIZE_WITHOUT_SOURCE
    settings = TextControls(source=None, dev=DEV, kmer_sizes=(5,)).measure(TARGET)["kmer_jaccard"].settings
    assert settings == {"k": 5, "chosen": "fixed beforehand"}


def test_regressions_are_fitted_on_the_source_and_not_on_the_target():
    swapped = PairSides(TARGET.first, TARGET.second, TARGET.first_tokens, TARGET.second_tokens, 1 - TARGET.labels)
    one, other = (TextControls(source=SOURCE, dev=DEV).measure(target) for target in (TARGET, swapped))
    for name in ("length_only", "composition_only"):
        np.testing.assert_array_equal(one[name].scores, other[name].scores)
        assert one[name].auroc == pytest.approx(1 - other[name].auroc)
    scorer = fit_linear_scorer(length_features(SOURCE), SOURCE.labels)
    np.testing.assert_array_equal(one["length_only"].scores[0], scorer.scores(length_features(TARGET)))


def test_their_threshold_comes_from_the_dev_set():
    with_dev, without = (TextControls(source=SOURCE, dev=dev).measure(TARGET) for dev in (DEV, None))
    for name in ("length_only", "composition_only", "edit_similarity"):
        assert with_dev[name].accuracy is not None
        assert without[name].accuracy is None
        assert with_dev[name].auroc == without[name].auroc


def test_without_a_source_nothing_can_be_fitted():
    measured = TextControls(source=None, dev=None).measure(TARGET)
    for name in ("length_only", "composition_only"):
        assert measured[name] == SkippedControl("the source training set, on which it is fitted, is not known")


def test_a_source_of_one_label_teaches_nothing():
    rows = np.flatnonzero(SOURCE.labels)
    measured = TextControls(source=SOURCE.take(rows), dev=None).measure(TARGET)
    assert measured["length_only"] == SkippedControl("the source training set holds one label only")


def test_a_large_source_is_read_as_a_sample():
    class Tokenizer:
        def encode(self, texts):
            return [np.arange(len(text)) for text in texts]

    records = [PairRecord(f"p{row}", "A" * row, "b", row % 2) for row in range(20)]
    every, sample = (PairSides.of(records, Tokenizer(), most=most) for most in (None, 5))
    assert len(every) == 20
    assert len(sample) == len(set(sample.first)) == 5
    assert [len(text) % 2 for text in sample.first] == sample.labels.tolist()


def test_text_is_not_aligned():
    measured = TextControls(source=SOURCE, dev=DEV).measure(DEV)
    assert measured["local_alignment"] == SkippedControl("not both columns are DNA or protein")


def test_without_biopython_alignment_says_so(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "Bio" else find(name))
    measured = TextControls(source=None, dev=None).measure(TARGET)
    assert "Biopython is not installed" in measured["local_alignment"].reason


def test_a_source_of_the_same_kind_gives_alignment_its_threshold():
    pytest.importorskip("Bio")
    dev = make_sides(61, seed=5)
    control = TextControls(source=None, dev=dev).measure(TARGET)["local_alignment"]
    assert control.accuracy > 0.9
    assert control.settings == {"columns": "dna, dna", "rows": 83}


def test_alignment_of_a_sample_knows_its_rows():
    pytest.importorskip("Bio")
    control = TextControls(source=None, dev=None, most_cells=40_000).measure(TARGET)["local_alignment"]
    assert control.scores.shape == (1, control.rows.size)
    assert control.rows.size < 83
    assert control.auroc == auroc(TARGET.labels[control.rows], control.scores[0])
