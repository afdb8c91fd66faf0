"""Pairs from sequence databases: homologs, genes and their proteins, negatives, and splits that do not leak."""
