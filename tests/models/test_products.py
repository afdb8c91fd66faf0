import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lingjax.models.products import product

# Every form that the models use: a linear map with one, two and three axes, the output matrix, and attention.
EQUATIONS = ["na,ax->nx", "nab,abx->nx", "na,axyz->nxyz", "na,xa->nx", "bqhd,bkhd->bhqk", "bhqk,bkhd->bqhd"]
SIZES = {
    "prime": dict(zip("nabxyzqhkd", [7, 5, 3, 11, 3, 2, 5, 3, 7, 11], strict=True)),
    "odd": dict(zip("nabxyzqhkd", [7, 5, 3, 11, 3, 5, 5, 3, 7, 11], strict=True)),
    "even": dict(zip("nabxyzqhkd", [16, 8, 4, 32, 2, 4, 8, 2, 16, 4], strict=True)),
    "ones": dict.fromkeys("nabxyzqhkd", 1),
}


def operands(equation: str, sizes: str, dtype: str) -> list[jax.Array]:
    terms = equation.replace("->", ",").split(",")
    rng = np.random.default_rng(7)
    return [jnp.asarray(rng.normal(size=[SIZES[sizes][letter] for letter in term]), dtype) for term in terms]


def with_gradients(equation: str, first: jax.Array, second: jax.Array, gradient: jax.Array) -> list[np.ndarray]:
    def run(first, second, gradient):
        # Products of computed arrays, as in a model: of plain arguments XLA could not fold anything.
        y, pull_back = jax.vjp(lambda a, b: product(equation, 2 * a, 2 * b, jnp.float32), first, second)
        return y, *pull_back(gradient.astype(jnp.float32))

    return [np.asarray(x, np.float64) for x in jax.jit(run)(first, second, gradient)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 1e-2)])
def test_product_and_gradients_are_numpys(equation, sizes, dtype, tolerance):
    first, second, gradient = operands(equation, sizes, dtype)
    a, b, g = (np.asarray(x, np.float64) for x in (first, second, gradient))
    inputs, c = equation.split("->")
    in_a, in_b = inputs.split(",")
    expected = [
        4 * np.einsum(equation, a, b),
        4 * np.einsum(f"{c},{in_b}->{in_a}", g, b),
        4 * np.einsum(f"{in_a},{c}->{in_b}", a, g),
    ]
    for got, wanted in zip(with_gradients(equation, first, second, gradient), expected, strict=True):
        # Gradients of bfloat16 operands are rounded to 8 bits, once.
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max())


def test_bfloat16_product_is_summed_and_returned_in_float32():
    ones = jnp.ones((1, 4097), jnp.bfloat16)
    assert product("ab,cb->ac", ones, ones, jnp.float32).item() == 4097  # bfloat16 holds 4096 and 4112


@pytest.mark.parametrize("equation", ["ab,bc->a", "aab,bc->ac", "ab,cd->ad"])
def test_an_equation_without_plain_gradients_is_refused(equation):
    with pytest.raises(ValueError, match="must stand in two or three of the terms"):
        product(equation, jnp.ones((2, 2)), jnp.ones((2, 2)), jnp.float32)
