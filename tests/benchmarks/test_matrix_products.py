import math

import numpy as np

from tests.without_flags import import_without_flags

Products = import_without_flags("benchmarks.matrix_products").Products


def test_operations_are_those_of_a_layers_linear_maps_three_times():
    work = Products(width=8, tokens=5, steps=1)
    by_product = []
    for equation, first, second in work.products():
        terms, result = equation.split("->")
        sizes = dict(zip(terms.replace(",", ""), first + second, strict=True))
        assert np.einsum(equation, np.ones(first), np.ones(second)).shape == tuple(sizes[letter] for letter in result)
        by_product.append(2 * math.prod(sizes.values()))
    # 12 weights of width x width a layer; a product forwards and two backwards.
    assert sum(by_product) == 3 * 2 * 5 * 12 * 8 * 8
    assert work.gigaflops() == sum(by_product) / 1e9
