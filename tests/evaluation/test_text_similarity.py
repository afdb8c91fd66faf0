import numpy as np
import pytest

from lingjax.evaluation import auroc, choose_kmer_size, edit_similarity, kmer_overlap


def random_texts(rng, count, letters="acgt", longest=23):
    return ["".join(rng.choice(list(letters), rng.integers(0, longest))) for _ in range(count)]


def levenshtein(first, second):
    """Wagner and Fischer's table, row by row."""
    before = list(range(len(second) + 1))
    for row, a in enumerate(first, start=1):
        current = [row]
        for column, b in enumerate(second, start=1):
            current.append(min(before[column] + 1, current[-1] + 1, before[column - 1] + (a != b)))
        before = current
    return before[-1]


def test_edit_similarity_is_that_of_the_textbook_table():
    rng = np.random.default_rng(0)
    first, second = random_texts(rng, 53), random_texts(rng, 53)
    expected = [
        1 - levenshtein(a, b) / max(len(a), len(b)) if a or b else 1.0 for a, b in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(edit_similarity(first, second), expected, atol=1e-12)


def test_edit_similarity_of_nothing_with_nothing_is_one():
    assert edit_similarity(["", ""], ["", "a"]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_kmer_overlap_is_that_of_a_table_of_all_kmers(k):
    rng = np.random.default_rng(k)
    first, second = (["".join(rng.choice(list("ab"), rng.integers(k, 19))) for _ in range(31)] for _ in range(2))
    kmers = sorted({text[i : i + k] for text in first + second for i in range(len(text) - k + 1)})
    has = [np.array([[kmer in text for kmer in kmers] for text in side]) for side in (first, second)]
    expected = (has[0] & has[1]).sum(axis=1) / (has[0] | has[1]).sum(axis=1)
    np.testing.assert_allclose(kmer_overlap(first, second, k=k), expected, atol=1e-12)


def test_short_and_empty_texts_have_an_overlap():
    assert kmer_overlap(["ab", "", "", "ab"], ["ab", "", "ab", "abc"], k=3).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_k_must_be_positive():
    with pytest.raises(ValueError, match="k=0 must be at least 1"):
        kmer_overlap(["a"], ["b"], k=0)


def test_the_chosen_size_ranks_the_dev_set_best():
    rng = np.random.default_rng(3)
    first = random_texts(rng, 71, longest=40)
    labels = rng.integers(0, 2, 71)
    # Positives share a stretch; negatives are the same letters in another order, which k=1 cannot see.
    second = [
        "".join(rng.permutation(list(text))) if not label else text for text, label in zip(first, labels, strict=True)
    ]
    sizes = (1, 2, 3)
    by_size = [auroc(labels, kmer_overlap(first, second, k=k)) for k in sizes]
    chosen = choose_kmer_size(first, second, labels, sizes=sizes)
    assert chosen == sizes[int(np.argmax(by_size))] != 1
    assert choose_kmer_size(first, second, labels, sizes=(1,)) == 1


def test_a_size_is_chosen_among_some():
    with pytest.raises(ValueError, match="sizes is empty"):
        choose_kmer_size(["a"], ["a"], np.array([1]), sizes=())
