import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from lingjax.evaluation import PairSides, auroc_interval, bands, performance_bands
from lingjax.evaluation.bands import pair_identity


def sides_of(first, second, labels=None):
    nothing = [np.zeros(0, np.int32)] * len(first)
    return PairSides(first, second, nothing, nothing, np.zeros(len(first), np.int32) if labels is None else labels)


def random_text(rng, length, letters="acgt"):
    return "".join(rng.choice(list(letters), length))


def words(rng, letters):
    return random_text(rng, letters, "abcdefghij ") + "."


def test_bands_agree_with_scikit_learn(skilled):
    predictions = skilled(rows=401, seeds=3)
    rng = np.random.default_rng(7)
    lengths = rng.integers(20, 90, 401)
    sides = sides_of([words(rng, 5)] * 401, [words(rng, length) for length in lengths])
    by_length = performance_bands(sides, predictions)["length"]
    longer = np.array([max(len(a), len(b)) for a, b in zip(sides.first, sides.second, strict=True)])
    assert len(by_length) == 4
    assert sum(band.rows for band in by_length) == 401
    assert all(80 <= band.rows <= 120 for band in by_length)
    for band in by_length:
        rows = (longer >= band.low) & (longer <= band.high)
        labels = predictions[0].labels[rows]
        scores = np.stack([one.positive_probability[rows] for one in predictions.values()])
        assert band.rows == rows.sum()
        assert band.accuracy == pytest.approx(np.mean([accuracy_score(labels, one > 0.5) for one in scores]))
        assert band.auroc == pytest.approx(np.mean([roc_auc_score(labels, one) for one in scores]))
        assert band.ci95 == auroc_interval(labels, scores)


def test_pairs_of_one_length_are_one_band(skilled):
    predictions = skilled(rows=53, seeds=1)
    (band,) = performance_bands(sides_of(["a dog"] * 53, ["a cat!!"] * 53), predictions)["length"]
    assert (band.low, band.high, band.rows) == (7, 7, 53)


def test_a_band_of_one_label_has_no_ranking(make_predictions):
    labels = np.array([0, 0, 1, 1])
    predictions = {0: make_predictions(labels, [0.1, 0.9, 0.8, 0.7])}
    rng = np.random.default_rng(1)
    same = random_text(rng, 40)
    sides = sides_of([same] * 4, [random_text(rng, 40), random_text(rng, 40), same, same])
    unlike, like = performance_bands(sides, predictions)["identity"]
    no_ranking = {"rows": 2, "auroc": None, "ci95": None}
    assert unlike.to_json() == no_ranking | {"low": 0.0, "high": 0.2, "accuracy": 0.5, "label_counts": {"0": 2, "1": 0}}
    assert like.to_json() == no_ranking | {"low": 0.8, "high": 1.0, "accuracy": 1.0, "label_counts": {"0": 0, "1": 2}}


@pytest.mark.parametrize("rows", [9, 10])
def test_a_handful_of_rows_has_no_interval(make_predictions, rows):
    labels = np.repeat([0, 1], rows)
    predictions = {0: make_predictions(labels, np.linspace(0.1, 0.9, 2 * rows))}
    sides = sides_of(["a dog"] * 2 * rows, ["a cat"] * 2 * rows)
    (band,) = performance_bands(sides, predictions)["length"]
    assert band.auroc == 1.0
    assert band.ci95 == (None if rows < 10 else auroc_interval(labels, np.arange(2 * rows)[None]))


def test_substitutions_lower_the_identity_by_as_much():
    rng = np.random.default_rng(2)
    first = [random_text(rng, 100) for _ in range(3)]
    changed = [
        "".join("acgt"["acgt".index(letter) - (place % 10 == 5)] for place, letter in enumerate(text)) for text in first
    ]
    assert pair_identity(sides_of(first, changed)).scores == pytest.approx([0.9] * 3)
    fragments = [text[20:60] for text in first]
    assert pair_identity(sides_of(first, fragments)).scores == pytest.approx([1.0] * 3)


def test_a_gene_is_identical_to_what_it_encodes():
    """Identity is counted in residues of the best reading frame: here the first of the other strand."""
    gene = "atggctaaacgttggctttgtgatgaatttggtcat"
    reverse = gene[::-1].translate(str.maketrans("acgt", "tgca"))
    sides = sides_of([reverse] * 2, ["makrwlcdefgh", "makrwlcdwwww"])
    assert pair_identity(sides).scores == pytest.approx([1.0, 8 / 12])


def test_other_texts_are_compared_by_edits():
    assert pair_identity(sides_of(["a cat sat."], ["a rat sat."])).scores == pytest.approx([0.9])


def test_of_many_rows_a_sample_is_aligned_and_the_bands_say_how_many(skilled):
    predictions = skilled(rows=61, seeds=1)
    rng = np.random.default_rng(3)
    sides = sides_of(*([random_text(rng, 50) for _ in range(61)] for _ in "ab"))
    assert pair_identity(sides, most_cells=20 * 2500).rows.size == 20
    measured = performance_bands(sides, predictions, most_cells=20 * 2500)
    assert sum(band.rows for band in measured["identity"]) == 20
    assert sum(band.rows for band in measured["length"]) == 61


def test_sequences_without_biopython_have_no_identity(skilled, monkeypatch):
    monkeypatch.setattr(bands.local_alignment, "is_installed", lambda: False)
    predictions = skilled(rows=7, seeds=1)
    measured = performance_bands(sides_of(["acgt"] * 7, ["acgt"] * 7), predictions)
    assert measured["identity"] == []
