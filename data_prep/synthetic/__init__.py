"""Simulators of text, DNA, genes and proteins: pure functions of a `numpy.random.Generator`."""
