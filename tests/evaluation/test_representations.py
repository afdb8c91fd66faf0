import dataclasses
import itertools

import jax
import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA

from lingjax.data import PairRecord
from lingjax.evaluation.representations import RepresentationStudy, linear_cka, principal_axes, similarity_gap
from tests.training.small_run import make_encoder, make_records, make_start, one_device, write_tokenizer


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


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return make_start(write_tokenizer(tmp_path_factory.mktemp("tokenizer")))


@pytest.fixture
def study(start):
    def make(*, source=40, target=40, most_rows=30):
        return RepresentationStudy(
            source=None if source is None else make_records(source, seed=1),
            targets={"target": make_records(target, seed=2)},
            encoder=make_encoder(start.tokenizer, "gpt2"),
            mesh=one_device(),
            most_rows=most_rows,
        )

    return make


@pytest.fixture(scope="module")
def changed(start):
    """The same model with other weights in its last layer."""

    def change(path, leaf):
        noise = jax.random.normal(jax.random.key(0), leaf.shape).at[0].set(0.0)
        return leaf + 0.5 * noise if any("blocks" in str(part) for part in path) else leaf

    return dataclasses.replace(start, parameters=jax.tree_util.tree_map_with_path(change, start.parameters))


def test_change_by_fine_tuning_begins_at_the_layer_that_changed(study, start, changed):
    one = study()
    one.read("before", start)
    one.read("after", changed)
    alignment = one.measure("target")
    assert alignment["layers"] == [0, 1, 2]
    assert alignment["rows"] == {"source": 30, "target": 30}
    before, after = (alignment["states"][when] for when in ("before", "after"))
    for name in ("cka", "source_cka"):
        assert after[name][:2] == pytest.approx([1.0, 1.0])
        assert after[name][2] < 0.99
        assert before[name] is None
    assert before["similarity"][:2] == pytest.approx(after["similarity"][:2])
    assert before["similarity"][2] != pytest.approx(after["similarity"][2])
    assert before["source_similarity"] != before["similarity"]
    assert all(low < gap < high for gap, (low, high) in zip(after["similarity"], after["similarity_ci95"], strict=True))


def test_the_projection_holds_every_row_once_with_the_targets_labels(study, start):
    one = study(target=23)
    one.read("after", start)
    projection = one.measure("target")["projection"]["after"]
    assert [len(point) for point in projection["source"]] == [2] * 30
    assert [point[2] for point in projection["target"]] == [record.label for record in make_records(23, seed=2)]
    points = np.array([point[:2] for side in projection.values() for point in side])
    assert points.mean(axis=0) == pytest.approx([0, 0], abs=1e-4)


def test_of_several_models_the_first_counts(study, start, changed):
    alone, several = study(), study()
    alone.read("after", start)
    several.read("after", start)
    several.read("after", changed)
    assert several.measure("target") == alone.measure("target")


def test_what_is_not_known_is_null(study, start):
    one = study(source=None)
    one.read("after", start)
    alignment = one.measure("target")
    assert set(alignment["states"]) == {"after"}
    after = alignment["states"]["after"]
    assert [after[name] for name in ("cka", "source_cka", "source_similarity", "source_similarity_ci95")] == [None] * 4
    assert alignment["projection"]["after"]["source"] == []


def test_too_few_rows_and_rows_without_tokens_are_left_out(start):
    nothing = [PairRecord("x", "red", "", 1)] * 5
    study = RepresentationStudy(
        source=None,
        targets={"few": make_records(19), "more": [*make_records(21), *nothing]},
        encoder=make_encoder(start.tokenizer, "gpt2"),
        mesh=one_device(),
        most_rows=100,
    )
    study.read("after", start)
    assert study.measure("few") is None
    assert study.measure("more")["rows"]["target"] == 21
