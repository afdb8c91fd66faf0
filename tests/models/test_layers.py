import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lingjax.models import layers


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_drops_the_rate_and_keeps_the_mean(rate):
    dropped = np.asarray(layers.dropout(jnp.ones((101, 997)), rate, jax.random.key(7)))
    # 100,697 draws: the standard errors are at most 0.0016 (share) and 0.0032 (mean).
    assert abs((dropped == 0).mean() - rate) < 0.008
    assert abs(dropped.mean() - 1) < 0.016


def test_what_dropout_keeps_is_scaled_alike():
    dropped = np.asarray(layers.dropout(jnp.full(997, 3.0), 0.1, jax.random.key(7)))
    np.testing.assert_allclose(dropped[dropped != 0], 3 / 0.9, rtol=1e-5)


def test_dropout_of_neighbours_and_of_keys_is_independent():
    shape = (211, 499)
    kept = [
        np.asarray(layers.dropout(jnp.ones(shape), 0.5, jax.random.fold_in(jax.random.key(7), step))) > 0
        for step in range(3)
    ]
    draws = {
        "right neighbour": (kept[0][:, 1:], kept[0][:, :-1]),
        "lower neighbour": (kept[0][1:], kept[0][:-1]),
        "next step": (kept[0], kept[1]),
        "the step after": (kept[0], kept[2]),
    }
    for name, (one, other) in draws.items():
        # 105,000 pairs of fair coins: the standard error of the correlation is 0.0031.
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.0125, name


_WORDS = np.arange(60, dtype=np.uint32)


@pytest.mark.parametrize(
    "words",
    [
        np.stack([0 * _WORDS, _WORDS], axis=1),  # jax.random.key(0), key(1), ...
        np.stack([_WORDS, 0 * _WORDS], axis=1),
        np.stack([_WORDS, _WORDS], axis=1),
        np.stack([0 * _WORDS, _WORDS << 26], axis=1),
        np.stack([_WORDS << 26, 7 + 0 * _WORDS], axis=1),
    ],
    ids=["second word", "first word", "both", "second word's high bits", "first word's high bits"],
)
def test_masks_of_keys_that_differ_in_few_bits_are_independent(words):
    kept = (
        np.asarray(jax.vmap(lambda key: layers.dropout(jnp.ones(2**12), 0.5, key))(jax.random.wrap_key_data(words))) > 0
    )
    # Entries at the same places and at places whose indices differ by a few bits: a key must not only move a mask.
    for shift in (0, 1, 6):
        moved = kept[:, np.arange(2**12) ^ shift].astype(np.float64)
        scores = np.corrcoef(kept, moved)[:60, 60:][np.triu_indices(60, 1)] * 2**6
        # 1,770 correlations of fair coins, in standard errors.
        assert np.abs(scores).max() < 5 and abs(scores.std() - 1) < 0.08, shift


def test_dropout_of_more_than_2_to_the_32_entries_does_not_repeat():
    # A view of 24 GiB, of which the compiler makes no more than what is looked at.
    @jax.jit
    def look(key):
        kept = layers.dropout(jnp.ones((2, 3, 2**30)), 0.5, key) > 0
        return kept.reshape(6, 2**30)[:, : 2**14]

    kept = np.asarray(look(jax.random.key(3)))
    scores = np.corrcoef(kept)[np.triu_indices(6, 1)] * 2**7
    assert np.abs(scores).max() < 4.5  # before, entries 2^32 apart had one fate: 128
    assert abs(kept.mean() - 0.5) < 0.01
    with pytest.raises(ValueError, match="no axis may have more than 2\\^32 entries"):
        jax.eval_shape(lambda: layers.dropout(jnp.ones(2**32 + 1), 0.5, jax.random.key(0)))


@pytest.mark.parametrize(("rate", "key"), [(0.5, None), (0.0, 7)])
def test_dropout_without_key_or_rate_changes_nothing(rate, key):
    x = jnp.arange(7.0)
    key = None if key is None else jax.random.key(key)
    np.testing.assert_array_equal(layers.dropout(x, rate, key), x)


def test_dropout_keeps_the_type():
    assert layers.dropout(jnp.ones(5, jnp.bfloat16), 0.5, jax.random.key(0)).dtype == jnp.bfloat16


def test_norm_standardises_large_values_without_losing_digits(configs):
    norm = layers.norm(configs["bert"], rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(1000, 0.1, (3, 35)).astype(np.float32)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(-1, keepdims=True)) / exact.std(-1, keepdims=True)
    # float32 spaces values near 1000 by 6e-5, which is 6e-4 of the deviation.
    np.testing.assert_allclose(norm(x), exact, rtol=0, atol=2e-3)


def test_stacked_layers_differ(configs):
    stack = layers.stack_layers(
        lambda rngs: layers.Mlp(configs["gpt2"], output_scale=0.02, rngs=rngs), 3, rngs=nnx.Rngs(0)
    )
    kernel = np.asarray(stack.up.kernel.get_value())
    assert kernel.shape == (3, 35, 31)
    assert not np.allclose(kernel[0], kernel[1])


@pytest.mark.parametrize("scan", [True, False])
def test_layers_run_in_order_and_every_output_is_returned(configs, scan):
    config = dataclasses.replace(configs["gpt2"], depth=3, scan_layers=scan)
    stack = layers.stack_layers(lambda rngs: layers.Mlp(config, output_scale=0.5, rngs=rngs), 3, rngs=nnx.Rngs(0))
    hidden = jnp.ones((2, 5, 35))
    last, every = layers.run_layers(
        stack, hidden, lambda layer, hidden, key, at: hidden + layer(hidden), config=config, dropout_key=None
    )
    up, down = np.asarray(stack.up.kernel.get_value()), np.asarray(stack.down.kernel.get_value())
    expected = np.ones((2, 5, 35), np.float64)
    for layer in range(3):
        inner = expected @ up[layer]
        tanh = np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3))
        expected = expected + (0.5 * inner * (1 + tanh)) @ down[layer]
    np.testing.assert_allclose(last, expected, rtol=0, atol=1e-5)
    assert every.shape == (4, 2, 5, 35)
    np.testing.assert_array_equal(every[0], hidden)
    np.testing.assert_array_equal(every[3], last)


@pytest.mark.parametrize("scan", [True, False])
def test_remat_keeps_less_and_changes_no_gradient(configs, scan):
    def products_and_gradient(remat):
        config = dataclasses.replace(configs["gpt2"], depth=3, scan_layers=scan, remat=remat)
        stack = layers.stack_layers(lambda rngs: layers.Mlp(config, output_scale=0.5, rngs=rngs), 3, rngs=nnx.Rngs(0))
        graph, parameters = nnx.split(stack)

        def loss(parameters):
            run, key = nnx.merge(graph, parameters), jax.random.key(3)
            hidden = jnp.ones((2, 5, 35))
            last, _ = layers.run_layers(
                run,
                hidden,
                lambda layer, x, key, at: x + layers.dropout(layer(x), 0.3, key),
                config=config,
                dropout_key=key,
            )
            return (last**2).sum()

        gradient = jax.jit(jax.grad(loss))
        return gradient.lower(parameters).as_text().count("stablehlo.dot_general"), gradient(parameters)

    counts, gradients = zip(*(products_and_gradient(remat) for remat in ("none", "products", "layers")), strict=True)
    jax.tree.map(
        lambda *leaves: [np.testing.assert_allclose(leaf, leaves[0], rtol=1e-5) for leaf in leaves], *gradients
    )
    # What is not kept is computed a second time.
    assert counts[0] == counts[1] < counts[2]


@pytest.mark.parametrize("scan", [True, False])
def test_of_the_last_layer_wanted_positions_are_returned(configs, scan):
    config = dataclasses.replace(configs["gpt2"], depth=3, scan_layers=scan)
    stack = layers.stack_layers(lambda rngs: layers.Mlp(config, output_scale=0.5, rngs=rngs), 3, rngs=nnx.Rngs(0))
    hidden = jax.random.normal(jax.random.key(1), (2, 5, 35))

    def apply(layer, hidden, key, at):
        hidden = hidden if at is None else layers.take_positions(hidden, at)
        return hidden + layer(hidden)

    run = functools.partial(layers.run_layers, stack, hidden, apply, config=config, dropout_key=None)
    whole, every = run()
    at = jnp.array([[4, 0, 0], [2, 3, 1]])
    some, every_before = run(at=at)
    np.testing.assert_allclose(some[0], whole[0, jnp.array([4, 0, 0])], rtol=0, atol=1e-5)
    np.testing.assert_allclose(some[1], whole[1, jnp.array([2, 3, 1])], rtol=0, atol=1e-5)
    np.testing.assert_allclose(every_before, every[:-1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("scan", [True, False])
def test_layers_are_traced_once_whatever_their_number(configs, scan):
    config = dataclasses.replace(configs["gpt2"], depth=5, scan_layers=scan)
    stack = layers.stack_layers(lambda rngs: layers.Mlp(config, output_scale=0.5, rngs=rngs), 5, rngs=nnx.Rngs(0))
    traced = []

    def apply(layer, hidden, key, at):
        traced.append(key)
        return hidden + layer(hidden)

    jax.make_jaxpr(
        lambda hidden: layers.run_layers(stack, hidden, apply, config=config, dropout_key=jax.random.key(0))
    )(jnp.ones((2, 5, 35)))
    assert len(traced) == 1


def test_the_gradient_of_a_frequent_token_is_not_summed_in_bfloat16(configs):
    table = layers.Embedding(dataclasses.replace(configs["gpt2"], compute_dtype="bfloat16"), 3, rngs=nnx.Rngs(0))
    ids = jnp.ones(1000, jnp.int32)
    gradient = nnx.grad(lambda table: table(ids).astype(jnp.float32).sum())(table)["embedding"].get_value()
    np.testing.assert_array_equal(gradient[:, 0], [0, 1000, 0])  # ones summed in bfloat16 stop at 256
