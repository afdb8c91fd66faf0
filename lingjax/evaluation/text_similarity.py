"""How alike two texts are as strings: shared k-mers and edits."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lingjax.evaluation.metrics import Labels, auroc

KMER_SIZES = (1, 2, 3, 4, 5, 6)
"""Sizes among which the source dev set chooses unless one is fixed."""


def kmer_overlap(first: Sequence[str], second: Sequence[str], *, k: int) -> Float[np.ndarray, " rows"]:
    """Returns the Jaccard index of the two texts' sets of k-mers: shared over all; 1 if both are empty.

    A text of fewer than k characters is its own only k-mer.

    >>> kmer_overlap(["acgt"], ["cgta"], k=2).tolist()
    [0.5]
    """
    if k < 1:
        raise ValueError(f"k={k} must be at least 1")
    return np.array([jaccard(_kmers(a, k), _kmers(b, k)) for a, b in zip(first, second, strict=True)], np.float64)


def choose_kmer_size(
    first: Sequence[str], second: Sequence[str], labels: Labels, *, sizes: Sequence[int] = KMER_SIZES
) -> int:
    """Returns the size whose overlap ranks these pairs best (AUROC); of equally good ones, the first.

    Args:
      first, second, labels: of the source dev set; never of a target.
      sizes: candidates.

    Raises:
      ValueError: there are no candidates.
    """
    if not sizes:
        raise ValueError("sizes is empty; name at least one k")
    ranked = [auroc(labels, kmer_overlap(first, second, k=k)) or 0.0 for k in sizes]
    return sizes[int(np.argmax(ranked))]


def edit_similarity(first: Sequence[str], second: Sequence[str]) -> Float[np.ndarray, " rows"]:
    """Returns 1 - edits / length of the longer text, edits being Levenshtein's; 1 if both are empty.

    Source: Levenshtein 1966; computed by RapidFuzz.

    >>> edit_similarity(["acgt"], ["agt"]).tolist()
    [0.75]
    """
    from rapidfuzz.distance import Levenshtein

    return np.array([Levenshtein.normalized_similarity(a, b) for a, b in zip(first, second, strict=True)], np.float64)


def jaccard(first: set, second: set) -> float:
    """Returns shared over all elements; 1 if both sets are empty."""
    union = len(first | second)
    return len(first & second) / union if union else 1.0


def _kmers(text: str, k: int) -> set[str]:
    if not text:
        return set()
    return {text[start : start + k] for start in range(max(1, len(text) - k + 1))}
