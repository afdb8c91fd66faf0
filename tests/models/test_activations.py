import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from lingjax.models.activations import activate

NAMES = ["gelu", "gelu_tanh", "relu"]
PLAIN = {
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
    "relu": jax.nn.relu,
}


def test_activations_are_their_formulas():
    x = np.linspace(-4, 4, 23).astype(np.float32)
    tanh = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    expected = {"gelu": x * special.ndtr(x), "gelu_tanh": 0.5 * x * (1 + tanh), "relu": np.maximum(x, 0)}
    for name, values in expected.items():
        np.testing.assert_allclose(activate(name, jnp.asarray(x)), values, rtol=0, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_the_slope_of_an_activation_is_the_one_that_jax_derives(name):
    x = jnp.linspace(-30, 30, 997)
    derived = jax.vmap(jax.grad(PLAIN[name]))(x)  # 1 + tanh(u) loses digits that the logistic function keeps
    np.testing.assert_allclose(jax.vmap(jax.grad(functools.partial(activate, name)))(x), derived, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_an_activation_keeps_its_input_alone(name):
    x = jnp.ones((3, 5), jnp.bfloat16)
    result, pull_back = jax.vjp(functools.partial(activate, name), x)
    assert result.dtype == jnp.bfloat16
    assert [(kept.shape, kept.dtype) for kept in jax.tree.leaves(pull_back)] == [(x.shape, x.dtype)]
