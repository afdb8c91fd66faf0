"""How alike representations are: of one set of rows by two models, and of the two sentences of a pair by one."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from lingjax.evaluation.bootstrap import CONFIDENCE, Interval


@dataclasses.dataclass(frozen=True)
class SimilarityGap:
    """How much more alike the sentences of like pairs are than those of unlike ones, with its 95 % interval."""

    value: float
    ci95: Interval


def linear_cka(
    first: Float[np.ndarray, "rows width"], second: Float[np.ndarray, "rows width_of_second"]
) -> float | None:
    """Returns how far two representations of the same rows are alike up to rotation and scale: debiased linear CKA.

    1 for the same geometry; 0 on average for independent ones, whatever their widths. The plain estimator goes to 1 as
    the widths grow past the rows, which is the case here, so both HSIC are the unbiased ones; single values may then be
    a little below 0. None if a representation is the same for all rows, or there are fewer than four.

    Source: Kornblith et al. 2019, "Similarity of Neural Network Representations Revisited"; with the unbiased HSIC of
    Song et al. 2012, "Feature Selection via Dependence Maximization": Nguyen, Raghu and Kornblith 2021, "Do Wide and
    Deep Networks Learn the Same Things?".
    """
    if len(first) != len(second):
        raise ValueError(f"got {len(first)} and {len(second)} rows; CKA compares representations of the same rows")
    if len(first) < 4:
        return None
    kernels = [_u_centred(states) for states in (first, second)]
    cross, *own = ((a * b).sum() for a, b in ((kernels[0], kernels[1]), (kernels[0],) * 2, (kernels[1],) * 2))
    if min(own) <= 0:
        return None
    return float(cross / math.sqrt(own[0] * own[1]))


def _u_centred(states: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, "rows rows"]:
    """The Gram matrix, centred so that inner products of two are unbiased HSIC, but for a constant.

    Source: Szekely and Rizzo 2014, doi:10.1214/14-AOS1255, definition 2.
    """
    centred = np.asarray(states, np.float64) - states.mean(axis=0, dtype=np.float64)
    gram = centred @ centred.T
    np.fill_diagonal(gram, 0.0)
    rows = len(gram)
    sums = gram.sum(axis=0) / (rows - 2)
    gram = gram - sums[:, None] - sums[None, :] + gram.sum() / ((rows - 1) * (rows - 2))
    np.fill_diagonal(gram, 0.0)
    return gram


def similarity_gap(
    first: Float[np.ndarray, "rows width"], second: Float[np.ndarray, "rows width"], labels: Int[np.ndarray, " rows"]
) -> SimilarityGap | None:
    """Returns the mean centred cosine of the two sentences of like pairs, minus that of unlike pairs.

    Centred: the mean vector of all sentences is taken away first, as states of a language model all point much the same
    way and have cosines near 1 (Ethayarajh 2019, "How Contextual are Contextualized Word Representations?", section 3).
    The interval is that of Welch for two means. None if a label has fewer than two rows.
    """
    mean = np.concatenate([first, second]).mean(axis=0, dtype=np.float64)
    a, b = first - mean, second - mean
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.divide((a * b).sum(axis=1), lengths, out=np.zeros(len(a)), where=lengths > 0)
    like, unlike = cosines[labels == 1], cosines[labels == 0]
    if min(like.size, unlike.size) < 2:
        return None
    value = float(like.mean() - unlike.mean())
    parts = [float(group.var(ddof=1)) / group.size for group in (like, unlike)]
    variance = sum(parts)
    squares = sum(part**2 / (group.size - 1) for part, group in zip(parts, (like, unlike), strict=True))
    freedom = variance**2 / squares if squares else math.inf
    half = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    return SimilarityGap(value, (value - half, value + half))


def principal_axes(
    states: Float[np.ndarray, "rows width"], *, count: int = 2
) -> tuple[Float[np.ndarray, " width"], Float[np.ndarray, "count width"]]:
    """Returns the mean and the directions of largest variance, each with its largest entry positive."""
    mean = states.mean(axis=0, dtype=np.float64)
    axes = np.linalg.svd(states - mean, full_matrices=False)[2][:count]
    largest = np.abs(axes).argmax(axis=1)
    return mean, axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]


def neighbour_map(states: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, "rows 2"]:
    """Returns places in a plane where rows that are near each other in all dimensions stay so: t-SNE, from the PCA.

    Distances between groups mean nothing. Each row has about a third of the others, at most 30, as neighbours.

    Source: van der Maaten and Hinton 2008, "Visualizing Data using t-SNE", as scikit-learn has it.
    """
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(states) - 1) / 3)
    place = TSNE(2, perplexity=perplexity, init="pca", random_state=0, n_jobs=1)
    return place.fit_transform(np.asarray(states, np.float32)).astype(np.float64)
