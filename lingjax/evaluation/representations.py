"""Do representations carry over? How much fine-tuning changed them, and whether matching sequences lie together."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, Int
from scipy import special

from lingjax.data import PairEncoder, PairRecord
from lingjax.evaluation.bootstrap import CONFIDENCE, FEWEST_ROWS_OF_A_CLASS, Interval
from lingjax.evaluation.hidden_states import PairStates, pair_states
from lingjax.evaluation.pair_sides import sampled_rows
from lingjax.training.start import Start

When = Literal["before", "after"]
"""Fine-tuning."""

FEWEST_ROWS = 2 * FEWEST_ROWS_OF_A_CLASS
_DIGITS = 5  # of the projection's coordinates; a plot needs no more


@dataclasses.dataclass(frozen=True)
class SimilarityGap:
    """How much more alike the sentences of like pairs are than those of unlike ones, with its 95 % interval."""

    value: float
    ci95: Interval


class RepresentationStudy:
    """Compares the representations of a source and of targets, before and after fine-tuning, on a sample of rows.

    Args:
      source: the source's training rows; None if they are not known.
      targets: rows by name.
      encoder: how the model reads pairs.
      mesh: devices.
      most_rows: rows of each dataset, drawn by the seed.
      seed: of the sample.
    """

    def __init__(
        self,
        *,
        source: Sequence[PairRecord] | None,
        targets: Mapping[str, Sequence[PairRecord]],
        encoder: PairEncoder,
        mesh: Mesh,
        most_rows: int,
        seed: int = 0,
    ):
        self._encoder = encoder
        self._mesh = mesh
        samples = {name: _sample(rows, encoder, most_rows=most_rows, seed=seed) for name, rows in targets.items()}
        self._targets = {name: rows for name, rows in samples.items() if len(rows) >= FEWEST_ROWS}
        of_source = [] if source is None else _sample(source, encoder, most_rows=most_rows, seed=seed)
        self._source = of_source if len(of_source) >= FEWEST_ROWS else None
        self._of_source: dict[When, PairStates] = {}
        self._of_targets: dict[str, dict[When, PairStates]] = {name: {} for name in self._targets}
        self._read: set[When] = set()

    def read(self, when: When, start: Start) -> None:
        """Runs a model over all rows; of several models of one time (the seeds) the first counts."""
        if when in self._read:
            return
        self._read.add(when)
        for name, rows in self._targets.items():
            self._of_targets[name][when] = pair_states(start, rows, self._encoder, mesh=self._mesh)
        if self._source is not None:
            self._of_source[when] = pair_states(start, self._source, self._encoder, mesh=self._mesh)

    def measure(self, target: str) -> dict[str, Any] | None:
        """Returns the report's `alignment` of one target; None if it has fewer than 20 rows to read.

        `read` must have seen the model after fine-tuning; without that from before, what compares the two is null.
        """
        if target not in self._targets:
            return None
        of_target, of_source = self._of_targets[target], self._of_source
        source = of_source.get("after")
        return {
            "rows": {
                "source": 0 if source is None else int(source.labels.size),
                "target": int(of_target["after"].labels.size),
            },
            "layers": list(range(len(of_target["after"].pairs))),
            "states": {when: _of_layers(when, of_target, of_source) for when in of_target},
            "projection": {"after": _project(source, of_target["after"])},
        }


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


def _sample(records: Sequence[PairRecord], encoder: PairEncoder, *, most_rows: int, seed: int) -> list[PairRecord]:
    """Draws rows; those of which a sentence has no token, and so no state of its own, are left out."""
    rows = [records[int(row)] for row in sampled_rows(len(records), most=most_rows, seed=seed)]
    limit = encoder.max_characters
    sides = [
        encoder.tokenizer.encode([getattr(row, name)[:limit] for row in rows]) for name in ("sentence1", "sentence2")
    ]
    return [row for row, first, second in zip(rows, *sides, strict=True) if len(first) and len(second)]


def _of_layers(
    when: When, of_target: Mapping[When, PairStates], of_source: Mapping[When, PairStates]
) -> dict[str, Any]:
    entry = {}
    for prefix, states in (("", of_target), ("source_", of_source)):
        gaps = _gaps(states[when]) if when in states else None
        entry[f"{prefix}similarity"] = gaps and [gap.value for gap in gaps]
        entry[f"{prefix}similarity_ci95"] = gaps and [list(gap.ci95) for gap in gaps]
        changed = when == "after" and {"before", "after"} <= states.keys()
        entry[f"{prefix}cka"] = _changes(states["before"], states["after"]) if changed else None
    return entry


def _gaps(states: PairStates) -> list[SimilarityGap] | None:
    gaps = [
        similarity_gap(first, second, states.labels) for first, second in zip(states.first, states.second, strict=True)
    ]
    return None if None in gaps else gaps


def _changes(before: PairStates, after: PairStates) -> list[float | None]:
    return [linear_cka(old, new) for old, new in zip(before.pairs, after.pairs, strict=True)]


def _project(source: PairStates | None, target: PairStates) -> dict[str, list[list[float]]]:
    """Coordinates of each pair's classified state on the two main directions of source and target together."""
    parts = [target.classified] if source is None else [source.classified, target.classified]
    mean, axes = principal_axes(np.concatenate(parts))
    *of_source, of_target = (
        [[round(float(x), _DIGITS) for x in row] for row in (part - mean) @ axes.T] for part in parts
    )
    return {
        "source": of_source[0] if of_source else [],
        "target": [[*row, int(label)] for row, label in zip(of_target, target.labels, strict=True)],
    }
