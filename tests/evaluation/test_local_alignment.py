import numpy as np
import pytest

from lingjax.alphabets import column_kind
from lingjax.evaluation.local_alignment import local_alignment

pytest.importorskip("Bio")


def smith_waterman(first, second, score, *, first_gap, next_gap):
    """Gotoh's three tables, cell by cell."""
    best = np.zeros((len(first) + 1, len(second) + 1))
    down, right = np.full(best.shape, -np.inf), np.full(best.shape, -np.inf)
    for i, a in enumerate(first, start=1):
        for j, b in enumerate(second, start=1):
            down[i, j] = max(best[i - 1, j] + first_gap, down[i - 1, j] + next_gap)
            right[i, j] = max(best[i, j - 1] + first_gap, right[i, j - 1] + next_gap)
            best[i, j] = max(0.0, best[i - 1, j - 1] + score(a, b), down[i, j], right[i, j])
    return best.max()


def mutated(rng, text, letters):
    kept = [letter for letter in text if rng.random() > 0.1]
    return "".join(rng.choice(list(letters)) if rng.random() < 0.15 else letter for letter in kept)


def test_dna_scores_are_those_of_gotohs_tables():
    rng = np.random.default_rng(0)
    first = ["".join(rng.choice(list("acgt"), rng.integers(20, 60))) for _ in range(17)]
    second = [mutated(rng, text, "acgt") for text in first]
    aligned = local_alignment(first, second, ("dna", "dna"))
    expected = [
        smith_waterman(a, b, lambda x, y: 2 if x == y else -3, first_gap=-7, next_gap=-2) / (2 * min(len(a), len(b)))
        for a, b in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(aligned.scores, expected, atol=1e-9)
    assert aligned.rows.tolist() == list(range(17))


def test_protein_scores_are_those_of_gotohs_tables():
    from Bio.Align import substitution_matrices

    matrix = substitution_matrices.load("BLOSUM62")
    letters = "acdefghiklmnpqrstvwy"
    rng = np.random.default_rng(1)
    first = ["".join(rng.choice(list(letters), rng.integers(20, 50))) for _ in range(11)]
    second = [mutated(rng, text, letters) for text in first]

    def score(a, b):
        return matrix[a.upper(), b.upper()]

    expected = [
        smith_waterman(a, b, score, first_gap=-12, next_gap=-1)
        / min(sum(score(letter, letter) for letter in text) for text in (a, b))
        for a, b in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(local_alignment(first, second, ("protein", "protein")).scores, expected, atol=1e-9)


@pytest.mark.parametrize("dna", ["atggctaaacgttggcat", "gatggctaaacgttggcat", "atgccaacgtttagccat"])
def test_dna_is_read_in_all_six_frames_beside_a_protein(dna):
    # MAKRWH forwards, forwards by one, and backwards from the last base.
    assert local_alignment([dna], ["makrwh"], ("dna", "protein")).scores[0] == pytest.approx(1.0)
    assert local_alignment(["makrwh"], [dna], ("protein", "dna")).scores[0] == pytest.approx(1.0)


def test_an_unknown_base_matches_nothing_and_rna_is_dna():
    assert local_alignment(["nnnn"], ["acgt"], ("dna", "dna")).scores.tolist() == [0.0]
    assert local_alignment(["acgu"], ["acgt"], ("dna", "dna")).scores.tolist() == [1.0]


def test_rare_amino_acids_do_not_stop_it():
    (score,) = local_alignment(["mkvujolaag"], ["mkvujolaag"], ("protein", "protein")).scores
    assert 0 < score <= 1


def test_too_much_work_is_done_on_a_sample_drawn_by_the_seed():
    rows = ["acgt" * 5] * 50
    sample = local_alignment(rows, rows, ("dna", "dna"), most_cells=400 * 10)
    assert len(sample.rows) == len(sample.scores) == 10
    other = local_alignment(rows, rows, ("dna", "dna"), most_cells=400 * 10, seed=1)
    assert sample.rows.tolist() != other.rows.tolist()


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["acgt"] * 19 + ["a cat"], "dna"),
        (["acgt"] * 18 + ["a cat"] * 2, None),
        (["mkvlaaghtr*"], "protein"),
        (["SLYNTVATL", "GILGFVFTL"], "protein"),
        (["acgtrygcagtn" * 3], "dna"),
        (["hello world"], None),
        (["dogs"], None),
        ([""], None),
        ([], None),
    ],
)
def test_columns_are_told_apart(column, kind):
    assert column_kind(column) == kind
