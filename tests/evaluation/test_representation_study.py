import dataclasses

import jax
import numpy as np
import pytest

from lingjax.data import PairRecord, encode_pairs
from lingjax.evaluation.hidden_states import StudiedPairs
from lingjax.evaluation.pair_attention import attention_shares
from lingjax.evaluation.representation_study import RepresentationStudy
from tests.training.small_run import make_encoder, make_records, make_start, one_device, write_tokenizer


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return make_start(write_tokenizer(tmp_path_factory.mktemp("tokenizer")))


@pytest.fixture
def study(start):
    encoder = make_encoder(start.tokenizer, "gpt2")

    def make(*, source=40, target=40, most_rows=30):
        return RepresentationStudy(
            source=None if source is None else encode_pairs(make_records(source, seed=1), encoder),
            targets={"target": encode_pairs(make_records(target, seed=2), encoder)},
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
    attention = alignment["attention"]
    assert attention["before"]["target"]["matching"][0] == attention["after"]["target"]["matching"][0]
    assert attention["before"]["target"]["matching"][1] != attention["after"]["target"]["matching"][1]
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


@pytest.mark.exhaustive
def test_neighbours_are_mapped_alike_every_time_and_row_for_row(study, start):
    one, again = study(target=23), study(target=23)
    for each in (one, again):
        each.read("after", start)
    projection = one.measure("target")["projection"]
    assert projection == again.measure("target")["projection"]
    by_pca, by_neighbours = projection["after"], projection["after_tsne"]
    assert len(by_neighbours["source"]) == 30
    assert [point[2] for point in by_neighbours["target"]] == [point[2] for point in by_pca["target"]]
    assert by_neighbours != by_pca


@pytest.mark.exhaustive
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
    encoder = make_encoder(start.tokenizer, "gpt2")
    targets = {"few": make_records(19), "more": [*make_records(21), *nothing]}
    study = RepresentationStudy(
        source=None,
        targets={name: encode_pairs(records, encoder) for name, records in targets.items()},
        mesh=one_device(),
        most_rows=100,
    )
    study.read("after", start)
    assert study.measure("few") is None
    assert study.measure("more")["rows"]["target"] == 21


def test_attention_is_that_of_the_sampled_rows(study, start):
    one = study(target=30)
    one.read("after", start)
    encoder = make_encoder(start.tokenizer, "gpt2")
    expected = attention_shares(
        start, StudiedPairs.of(encode_pairs(make_records(30, seed=2), encoder)), mesh=one_device()
    )
    assert one.measure("target")["attention"]["after"]["target"] == expected.to_json()
