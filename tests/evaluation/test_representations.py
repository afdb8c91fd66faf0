import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA

from lingjax.evaluation.representations import linear_cka, neighbour_map, principal_axes, similarity_gap


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def hsic_by_definition(first, second):
    """The U-statistic over all ordered quadruples of different rows, which is unbiased by construction."""
    kernels = first @ first.T, second @ second.T
    terms = [
        kernels[0][i, j] * (kernels[1][i, j] + kernels[1][q, r] - 2 * kernels[1][i, q])
        for i, j, q, r in itertools.permutations(range(len(first)), 4)
    ]
    return np.mean(terms)


def plain_cka(first, second):
    """The usual estimator: Kornblith et al. 2019."""
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    return np.linalg.norm(a.T @ b) ** 2 / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)


def test_debiased_cka_equals_its_definition():
    first, second = normal(7, 3), normal(7, 5, seed=1)
    second[:, 0] += first[:, 0]
    expected = hsic_by_definition(first, second) / np.sqrt(
        hsic_by_definition(first, first) * hsic_by_definition(second, second)
    )
    assert linear_cka(first, second) == pytest.approx(expected, abs=1e-12)


def test_rotation_scale_and_shift_change_nothing():
    first = normal(23, 11)
    rotation = np.linalg.qr(normal(11, 11, seed=1))[0]
    assert linear_cka(first, 3 * first @ rotation + 7) == pytest.approx(1.0)


def test_independent_representations_are_at_zero_although_wider_than_rows():
    pairs = [(normal(29, 300, seed=2 * draw), normal(29, 300, seed=2 * draw + 1)) for draw in range(40)]
    assert abs(np.mean([linear_cka(*pair) for pair in pairs])) < 0.02
    assert np.mean([plain_cka(*pair) for pair in pairs]) > 0.9


def test_cka_is_undefined_for_constants_and_for_few_rows():
    assert linear_cka(np.ones((9, 2)), normal(9, 2)) is None
    assert linear_cka(normal(3, 2), normal(3, 2)) is None


def test_the_gap_of_similarities_by_hand():
    """Seen from the mean (1, 1), like pairs point the same way, unlike ones lie at 90 and at 180 degrees."""
    first = np.array([[0.0, 1], [1, 3], [2, 1], [-1, 1]])
    second = np.array([[0.0, 1], [1, 2], [1, -2], [4, 1]])
    assert similarity_gap(first, second, np.array([1, 1, 0, 0])).value == pytest.approx(1 - (0 - 1) / 2)


def test_the_interval_of_the_gap_is_welchs():
    first, second, labels = normal(41, 5), normal(41, 5, seed=1), np.arange(41) % 3 // 2
    a, b = (side - np.concatenate([first, second]).mean(axis=0) for side in (first, second))
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    welch = stats.ttest_ind(cosines[labels == 1], cosines[labels == 0], equal_var=False).confidence_interval(0.95)
    assert similarity_gap(first, second, labels).ci95 == pytest.approx((welch.low, welch.high))


def test_a_common_direction_does_not_make_all_alike():
    labels = np.repeat([0, 1], 200)
    first, second = normal(400, 13) + 50, normal(400, 13, seed=1) + 50
    second[200:] += 2 * (first[200:] - 50)
    gap = similarity_gap(first, second, labels)
    assert gap.value == pytest.approx(2 / np.sqrt(5), abs=0.05)
    assert similarity_gap(first, second, np.zeros(400, int)) is None


def test_principal_axes_are_scikit_learns():
    states = normal(31, 7) * np.arange(1, 8)
    mean, axes = principal_axes(states)
    theirs = PCA(2).fit(states)
    np.testing.assert_allclose(mean, theirs.mean_, atol=1e-12)
    np.testing.assert_allclose(np.abs(axes), np.abs(theirs.components_), atol=1e-9)
    assert (axes.max(axis=1) >= -axes.min(axis=1)).all()


@pytest.mark.exhaustive
def test_neighbours_stay_neighbours():
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 20)
    places = neighbour_map(10 * np.eye(3)[groups] @ rng.normal(size=(3, 50)) + rng.normal(size=(60, 50)))
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e9 * np.eye(60)
    np.testing.assert_array_equal(groups[distances.argmin(axis=1)], groups)
