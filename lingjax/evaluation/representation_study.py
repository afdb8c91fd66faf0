"""Do representations carry over? What fine-tuning changed in them, and whether matching sequences lie together."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jax.sharding import Mesh

from lingjax.data import EncodedPairs
from lingjax.evaluation.bootstrap import FEWEST_ROWS_OF_A_CLASS
from lingjax.evaluation.hidden_states import PairStates, StudiedPairs, pair_states
from lingjax.evaluation.pair_attention import AttentionShares, attention_shares
from lingjax.evaluation.pair_sides import sampled_rows
from lingjax.evaluation.representations import (
    SimilarityGap,
    linear_cka,
    neighbour_map,
    principal_axes,
    similarity_gap,
)
from lingjax.training.loaded_model import LoadedModel

When = Literal["before", "after"]
"""Fine-tuning."""

FEWEST_ROWS = 2 * FEWEST_ROWS_OF_A_CLASS
_DIGITS = 5  # of the projection's coordinates; a plot needs no more


@dataclasses.dataclass(frozen=True)
class _Reading:
    """What one model makes of one dataset's rows."""

    states: PairStates
    attention: AttentionShares | None

    @staticmethod
    def of(start: LoadedModel, pairs: StudiedPairs, *, mesh: Mesh) -> "_Reading":
        return _Reading(pair_states(start, pairs, mesh=mesh), attention_shares(start, pairs, mesh=mesh))


class RepresentationStudy:
    """Compares the representations of a source and of targets, before and after fine-tuning, on a sample of rows.

    Args:
      source: the source's training rows, as the model reads them; None if they are not known.
      targets: rows by name.
      mesh: devices.
      most_rows: rows of each dataset, drawn by the seed.
      seed: decides the sample.
    """

    def __init__(
        self,
        *,
        source: EncodedPairs | None,
        targets: Mapping[str, EncodedPairs],
        mesh: Mesh,
        most_rows: int,
        seed: int = 0,
    ):
        self._mesh = mesh
        samples = {name: _sample(pairs, most_rows=most_rows, seed=seed) for name, pairs in targets.items()}
        self._targets = {name: StudiedPairs.of(rows) for name, rows in samples.items() if len(rows) >= FEWEST_ROWS}
        of_source = [] if source is None else _sample(source, most_rows=most_rows, seed=seed)
        self._source = StudiedPairs.of(of_source) if len(of_source) >= FEWEST_ROWS else None
        self._of_source: dict[When, _Reading] = {}
        self._of_targets: dict[str, dict[When, _Reading]] = {name: {} for name in self._targets}
        self._read: set[When] = set()

    def read(self, when: When, start: LoadedModel) -> None:
        """Runs a model over all rows; of several models of one time (the seeds) the first counts."""
        if when in self._read:
            return
        self._read.add(when)
        for name, rows in self._targets.items():
            self._of_targets[name][when] = _Reading.of(start, rows, mesh=self._mesh)
        if self._source is not None:
            self._of_source[when] = _Reading.of(start, self._source, mesh=self._mesh)

    def measure(self, target: str) -> dict[str, Any] | None:
        """Returns the report's `alignment` of one target; None if it has fewer than 20 rows to read.

        `read` must have seen the model after fine-tuning; without that from before, what compares the two is null.
        """
        if target not in self._targets:
            return None
        of_target, of_source = self._of_targets[target], self._of_source
        source, after = of_source.get("after"), of_target["after"]
        return {
            "rows": {
                "source": 0 if source is None else int(source.states.labels.size),
                "target": int(after.states.labels.size),
            },
            "layers": list(range(len(after.states.pairs))),
            "states": {when: _of_layers(when, of_target, of_source) for when in of_target},
            "projection": _project(source and source.states, after.states),
            "attention": {
                when: {"source": _shares(of_source.get(when)), "target": _shares(of_target[when])} for when in of_target
            },
        }


def _sample(pairs: EncodedPairs, *, most_rows: int, seed: int) -> EncodedPairs:
    """Draws rows; those of which a sentence has no token, and so no state of its own, are left out."""
    numbers = sampled_rows(len(pairs), most=most_rows, seed=seed)
    rows, encoder = list(pairs.take(numbers).records), pairs.encoder
    sides = [
        encoder.tokenizer.encode([getattr(row, name)[: encoder.max_characters] for row in rows])
        for name in ("sentence1", "sentence2")
    ]
    has_tokens = [bool(len(first) and len(second)) for first, second in zip(*sides, strict=True)]
    return pairs.take(numbers[np.array(has_tokens, bool)])


def _of_layers(when: When, of_target: Mapping[When, _Reading], of_source: Mapping[When, _Reading]) -> dict[str, Any]:
    entry = {}
    for prefix, readings in (("", of_target), ("source_", of_source)):
        states = {time: reading.states for time, reading in readings.items()}
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


def _shares(reading: _Reading | None) -> dict[str, Any] | None:
    return None if reading is None or reading.attention is None else reading.attention.to_json()


def _project(source: PairStates | None, target: PairStates) -> dict[str, dict[str, list[list[float]]]]:
    """Places each pair's classified state in a plane that source and target share, in two ways."""
    parts = ([] if source is None else [source.classified]) + [target.classified]
    states = np.concatenate(parts)
    mean, axes = principal_axes(states)

    def by_dataset(points: np.ndarray) -> dict[str, list[list[float]]]:
        rounded = [[round(float(x), _DIGITS) for x in row] for row in points]
        of_source, of_target = rounded[: -len(target.labels)], rounded[-len(target.labels) :]
        labelled = [[*row, int(label)] for row, label in zip(of_target, target.labels, strict=True)]
        return {"source": of_source, "target": labelled}

    return {"after": by_dataset((states - mean) @ axes.T), "after_tsne": by_dataset(neighbour_map(states))}
