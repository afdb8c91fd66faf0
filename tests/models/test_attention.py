import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lingjax.errors import InputError
from lingjax.models import attention, build_model, preset
from lingjax.models.attention import (
    attend,
    attend_by_cudnn,
    attend_in_bands,
    attention_weights,
    choose_attention,
    document_mask,
)

TWO_DOCUMENTS_AND_PADDING = jnp.array([[1, 1, 2, 2, 2, 0]])


def test_mask_keeps_attention_inside_a_document():
    mask = np.asarray(document_mask(TWO_DOCUMENTS_AND_PADDING, causal=False))[0]
    expected = [
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    np.testing.assert_array_equal(mask, np.array(expected, bool))


def test_causal_mask_also_hides_later_positions():
    mask = np.asarray(document_mask(TWO_DOCUMENTS_AND_PADDING, causal=True))[0]
    both_ways = np.asarray(document_mask(TWO_DOCUMENTS_AND_PADDING, causal=False))[0]
    np.testing.assert_array_equal(mask, np.tril(both_ways))


@pytest.mark.parametrize("causal", [True, False])
def test_every_query_may_see_something(causal):
    assert np.asarray(document_mask(TWO_DOCUMENTS_AND_PADDING, causal=causal)).any(axis=-1).all()


def test_attention_is_a_softmax_weighted_mean_of_the_values():
    generator = np.random.default_rng(2)
    query, key, value = generator.normal(size=(3, 1, 5, 2, 3)).astype(np.float32)
    mask = generator.random((1, 5, 5)) < 0.5
    mask |= np.eye(5, dtype=bool)
    ours = attend(*map(jnp.asarray, (query, key, value, mask)), dropout_rate=0.0, dropout_key=None)
    for head in range(2):
        for position in range(5):
            seen = mask[0, position]
            weights = np.exp(key[0, seen, head] @ query[0, position, head] / np.sqrt(3))
            expected = weights / weights.sum() @ value[0, seen, head]
            np.testing.assert_allclose(ours[0, position, head], expected, rtol=0, atol=1e-6)


def test_the_weights_are_those_by_which_values_are_summed():
    query, key, value = np.random.default_rng(3).normal(size=(3, 2, 5, 2, 3)).astype(np.float32)
    mask = document_mask(jnp.array([[1, 1, 1, 2, 2], [1, 1, 1, 1, 0]]), causal=True)
    weights = attention_weights(jnp.asarray(query), jnp.asarray(key), mask)
    summed = np.einsum("bhqk,bkhd->bqhd", weights, value)
    attended = attend(*map(jnp.asarray, (query, key, value)), mask, dropout_rate=0.0, dropout_key=None)
    np.testing.assert_allclose(summed, attended, rtol=0, atol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-6)
    assert not weights[~np.broadcast_to(mask[:, None], weights.shape)].any()


def test_dropped_attention_weights_keep_the_mean():
    shape = (1, 31, 2, 3)
    query, value = jnp.zeros(shape), jnp.ones(shape)
    mask = jnp.ones((1, 31, 31), bool)
    gathered = attend(query, query, value, mask, dropout_rate=0.25, dropout_key=jax.random.key(1))
    # 31 * 31 * 2 weights are drawn: the standard error of the mean is 0.013.
    assert abs(float(gathered.mean()) - 1) < 0.05
    assert float(gathered.std()) > 0.01


def rows_of_queries(*, dtype=jnp.bfloat16, length=16, head_dim=64):
    return jax.ShapeDtypeStruct((2, length, 3, head_dim), dtype)


def pretend_gpu(monkeypatch, *, kind="NVIDIA H100 80GB HBM3", capability="9.0", platform="gpu"):
    device = types.SimpleNamespace(device_kind=kind, compute_capability=capability, platform=platform)
    monkeypatch.setattr(jax, "devices", lambda: [device])


@pytest.mark.parametrize(
    ("rows", "drops", "reason"),
    [
        ({"dtype": jnp.float32}, False, "bfloat16"),
        ({}, True, "attention_dropout_rate"),
        ({"head_dim": 12}, False, "multiple of 8"),
        ({"head_dim": 136}, False, "at most 128"),
        ({"length": 15}, False, "even length"),
    ],
)
def test_what_cudnn_cannot_do_is_named_or_done_plainly(monkeypatch, rows, drops, reason):
    pretend_gpu(monkeypatch)
    query = rows_of_queries(**rows)
    assert choose_attention("auto", query, query, is_causal=False, drops=drops) == "plain"
    with pytest.raises(InputError, match=reason):
        choose_attention("cudnn", query, query, is_causal=False, drops=drops)


@pytest.mark.parametrize(("kind", "capability"), [("cpu", None), ("Tesla V100", "7.0"), ("NVIDIA T4", "7.5")])
def test_cudnn_needs_a_gpu_that_has_it(monkeypatch, kind, capability):
    pretend_gpu(monkeypatch, kind=kind, capability=capability)
    query = rows_of_queries()
    assert choose_attention("auto", query, query, is_causal=False, drops=False) == "plain"
    with pytest.raises(InputError, match=f"NVIDIA GPU.*this is {kind}"):
        choose_attention("cudnn", query, query, is_causal=False, drops=False)


def test_cudnn_is_taken_where_it_can_be_and_generation_stays_plain(monkeypatch):
    pretend_gpu(monkeypatch)
    query, one = rows_of_queries(), rows_of_queries(length=1)
    chosen = functools.partial(choose_attention, is_causal=True, drops=False)
    assert chosen("auto", query, query) == chosen("cudnn", query, query) == "cudnn"
    assert chosen("plain", query, query) == "plain"
    assert chosen("bands", query, query) == "bands"
    assert chosen("cudnn", one, query) == chosen("bands", one, query) == "plain"


@pytest.mark.parametrize(
    ("platform", "is_causal", "expected"),
    [("cpu", True, "bands"), ("cpu", False, "plain"), ("tpu", True, "plain"), ("gpu", True, "plain")],
)
def test_on_a_cpu_causal_attention_is_in_bands_by_default(monkeypatch, platform, is_causal, expected):
    pretend_gpu(monkeypatch, kind=platform, capability=None, platform=platform)
    query = rows_of_queries()
    assert choose_attention("auto", query, query, is_causal=is_causal, drops=False) == expected


@pytest.fixture
def few_bands(monkeypatch):
    monkeypatch.setattr(attention, "_SMALLEST_BAND", 4)
    jax.clear_caches()  # what another test traced has bands of the usual size


@pytest.mark.parametrize(
    ("length", "most_bands"),
    [*(pytest.param(*shape, marks=pytest.mark.exhaustive) for shape in ((4, 8), (8, 8), (11, 8))), (11, 2)],
)
def test_bands_have_the_attention_and_gradients_of_the_whole(few_bands, monkeypatch, length, most_bands):
    monkeypatch.setattr(attention, "_MOST_BANDS", most_bands)
    keys = jax.random.split(jax.random.key(length), 4)
    query, key, value, gradient = (jax.random.normal(key, (2, length, 2, 3)) for key in keys)
    document_ids = jnp.stack([jnp.arange(length) // 3 + 1, jnp.where(jnp.arange(length) < length - 2, 1, 0)])
    mask = document_mask(document_ids, causal=True)

    def with_gradients(function):
        apply = functools.partial(function, mask=mask, dropout_rate=0.0, dropout_key=None)
        attended, pull_back = jax.vjp(apply, query, key, value)
        return attended, *pull_back(gradient)

    for ours, expected in zip(with_gradients(attend_in_bands), with_gradients(attend), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6)


def test_bands_make_fewer_scores_and_drop_their_own_weights(few_bands):
    x = jnp.ones((1, 16, 2, 3))
    mask = document_mask(jnp.ones((1, 16), int), causal=True)

    def operations(function):
        apply = functools.partial(function, mask=mask, dropout_rate=0.0, dropout_key=None)
        return jax.jit(apply).lower(x, x, x).compile().cost_analysis()["flops"]

    assert operations(attend_in_bands) < 0.7 * operations(attend)  # 10 of 16 blocks
    dropped = attend_in_bands(x, x, x, mask, dropout_rate=0.5, dropout_key=jax.random.key(1))
    bands = np.asarray(dropped).reshape(4, 4, 2, 3)[..., 0]
    assert len({band.tobytes() for band in bands}) == 4
    assert abs(bands.mean() - 1) < 0.35


def test_a_model_in_bands_scores_as_a_plain_one_and_bert_refuses(few_bands):
    scores = {}
    for kind in ("plain", "bands"):
        config = preset("gpt2", "tiny", vocab_size=11, attention=kind)
        model = build_model(config, "language_model", rngs=nnx.Rngs(0))
        tokens = jnp.arange(18).reshape(2, 9) % 11
        ids = jnp.array([[1, 1, 1, 2, 2, 2, 2, 2, 0], [1] * 9])
        inputs = {"document_ids": ids, "positions": jnp.broadcast_to(jnp.arange(9), (2, 9))}
        scores[kind] = model(tokens, **inputs)
    assert scores["plain"].tobytes() != scores["bands"].tobytes()
    np.testing.assert_allclose(scores["bands"], scores["plain"], rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="attention='bands' needs a causal model"):
        preset("bert", "tiny", vocab_size=11, attention="bands")


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_a_model_on_a_gpu_attends_by_cudnn(monkeypatch, family):
    calls = []

    def record(query, key, value, mask, *, is_causal):
        calls.append(is_causal)
        return attend(query, key, value, mask, dropout_rate=0.0, dropout_key=None)

    config = preset(family, "tiny", vocab_size=11, compute_dtype="bfloat16", attention="auto")
    model = build_model(config, "language_model", rngs=nnx.Rngs(0))
    tokens = jnp.ones((2, 8), jnp.int32)
    inputs = {"document_ids": tokens, "positions": jnp.broadcast_to(jnp.arange(8), (2, 8))}
    plain = model(tokens, **inputs)
    monkeypatch.setattr(attention, "attend_by_cudnn", record)
    pretend_gpu(monkeypatch)
    np.testing.assert_array_equal(model(tokens, **inputs), plain)
    assert calls == [family == "gpt2"]  # scanned, so traced once
    model(tokens, **inputs, dropout_key=jax.random.key(0))
    assert len(calls) == 1  # dropped weights are computed plainly


needs_gpu = pytest.mark.skipif(jax.default_backend() != "gpu", reason="cuDNN needs an NVIDIA GPU")


@needs_gpu
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("length", [64, 1024])
def test_cudnn_equals_plain_attention_with_its_gradients(causal, length):
    keys = jax.random.split(jax.random.key(length), 4)
    query, key, value, gradient = (jax.random.normal(k, (2, length, 4, 64), jnp.bfloat16) for k in keys)
    quarter = length // 4
    ids = jnp.repeat(jnp.array([[1, 2, 2, 0], [1, 1, 1, 2]]), quarter, axis=1)
    mask = document_mask(ids, causal=causal)

    def plain(query, key, value):
        return attend(query, key, value, mask, dropout_rate=0.0, dropout_key=None)

    def fused(query, key, value):
        return attend_by_cudnn(query, key, value, mask, is_causal=causal)

    def with_gradients(function, *arrays, gradient):
        result, pull_back = jax.vjp(function, *arrays)
        return result, *pull_back(gradient)

    arrays = (query, key, value)
    with jax.default_matmul_precision("highest"):
        exact = with_gradients(plain, *(x.astype(jnp.float32) for x in arrays), gradient=gradient.astype(jnp.float32))
    ours = with_gradients(plain, *arrays, gradient=gradient)
    theirs = with_gradients(fused, *arrays, gradient=gradient)
    for truth, one, other in zip(exact, ours, theirs, strict=True):
        assert relative_error(other, truth) < 1e-2
        assert relative_error(other, truth) < 2 * relative_error(one, truth)


@needs_gpu
@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_a_model_scores_alike_with_cudnn_and_without_and_as_in_float32(family):
    scores = {}
    for attention_kind, dtype in (("plain", "float32"), ("plain", "bfloat16"), ("cudnn", "bfloat16")):
        config = preset(family, "mini", vocab_size=97, compute_dtype=dtype, attention=attention_kind)
        model = build_model(config, "language_model", rngs=nnx.Rngs(0))
        tokens = jax.random.randint(jax.random.key(1), (2, 128), 1, 97)
        ids = jnp.repeat(jnp.array([[1, 2, 2, 0], [1, 1, 1, 2]]), 32, axis=1)
        inputs = {"document_ids": ids, "positions": jnp.broadcast_to(jnp.arange(128), (2, 128))}
        with jax.default_matmul_precision("highest"):
            logits = nnx.jit(lambda model, tokens, inputs: model(tokens, **inputs))(model, tokens, inputs)
        scores[attention_kind, dtype] = logits[ids > 0]
    exact = scores["plain", "float32"]
    assert relative_error(scores["cudnn", "bfloat16"], exact) < 2e-2
    assert relative_error(scores["plain", "bfloat16"], exact) < 2e-2


def relative_error(x, truth):
    return float(jnp.linalg.norm(x.astype(jnp.float32) - truth) / jnp.linalg.norm(truth))
