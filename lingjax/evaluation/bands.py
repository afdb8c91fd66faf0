"""How well a model does on parts of a target: pairs of one length, pairs of one identity."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from lingjax.evaluation import local_alignment
from lingjax.evaluation.auroc_interval import Groups, Interval, auroc_interval
from lingjax.evaluation.bootstrap import FEWEST_ROWS_OF_A_CLASS
from lingjax.evaluation.local_alignment import MOST_CELLS_TRACED, AlignedRows
from lingjax.evaluation.metrics import Labels, PairPredictions, auroc
from lingjax.evaluation.pair_sides import PairSides
from lingjax.evaluation.statistics import shared_labels
from lingjax.evaluation.text_similarity import edit_similarity

LENGTH_BANDS = 4
IDENTITY_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclasses.dataclass(frozen=True)
class Band:
    """The rows between two values, and the model on them; figures are averaged over seeds, None if undefined.

    `ci95` is the interval over items of the AUROC; there is none if a class has fewer than ten rows. `positives` are
    the rows with label 1.
    """

    low: float
    high: float
    rows: int
    positives: int
    accuracy: float | None
    auroc: float | None
    ci95: Interval | None

    def to_json(self) -> dict[str, Any]:
        """The band as the report holds it."""
        entry = dataclasses.asdict(self) | {"ci95": None if self.ci95 is None else list(self.ci95)}
        positives = entry.pop("positives")
        return entry | {"label_counts": {"0": self.rows - positives, "1": positives}}


def performance_bands(
    sides: PairSides,
    predictions: Mapping[int, PairPredictions],
    *,
    most_cells: int = MOST_CELLS_TRACED,
    seed: int = 0,
) -> dict[str, list[Band]]:
    """Returns the report's `bands`: the model by `length` and by `identity` of the pairs, without empty bands.

    By length: the characters of the pair's longer sentence, in four bands of about equally many rows, fewer where many
    rows are equally long; `low` and `high` are the shortest and the longest row of the band. By identity: see
    `pair_identity`; bands of a fifth that reach from `low` up to `high`, which belongs to the next band, but for 1.

    Args:
      sides: the target's rows.
      predictions: by training seed; all on the target's rows.
      most_cells: bounds the time of alignments; the bands by identity hold a sample of the rows if all would need more.
      seed: decides that sample.
    """
    labels = shared_labels(predictions)
    scores = np.stack([one.positive_probability for one in predictions.values()])
    groups = sides.groups.of_row

    def band(rows: Int[np.ndarray, " rows"], low: float, high: float) -> Band:
        return _measure(labels[rows], scores[:, rows], groups[rows], low=float(low), high=float(high))

    lengths = np.array([max(len(a), len(b)) for a, b in zip(sides.first, sides.second, strict=True)], np.int64)
    quantiles = np.quantile(lengths, np.arange(1, LENGTH_BANDS) / LENGTH_BANDS)
    by_length = _grouped(np.arange(len(sides)), np.digitize(lengths, quantiles))
    aligned = pair_identity(sides, most_cells=most_cells, seed=seed)
    by_identity = _grouped(aligned.rows, np.digitize(aligned.scores, IDENTITY_EDGES[1:-1]))
    return {
        "length": [band(rows, lengths[rows].min(), lengths[rows].max()) for rows in by_length.values()],
        "identity": [band(rows, *IDENTITY_EDGES[number : number + 2]) for number, rows in by_identity.items()],
    }


def pair_identity(sides: PairSides, *, most_cells: int = MOST_CELLS_TRACED, seed: int = 0) -> AlignedRows:
    """Returns how far the two texts of each pair are the same, 0 to 1.

    DNA and protein: identical positions of the best local alignment over the shorter length
    (`local_alignment.local_identity`; of a sample of rows if there are many, of none if Biopython is not installed).
    Other texts: 1 - edits / length of the longer text, over characters (`edit_similarity`).
    """
    kinds = local_alignment.column_kinds(sides.first, sides.second)
    if kinds is None:
        return AlignedRows(np.arange(len(sides)), edit_similarity(sides.first, sides.second))
    if not local_alignment.is_installed():
        return AlignedRows(np.zeros(0, np.int64), np.zeros(0))
    return local_alignment.local_identity(sides.first, sides.second, kinds, most_cells=most_cells, seed=seed)


def _grouped(
    rows: Int[np.ndarray, " rows"], numbers: Int[np.ndarray, " rows"]
) -> dict[int, Int[np.ndarray, " rows_of_band"]]:
    return {int(number): rows[numbers == number] for number in np.unique(numbers)}


def _measure(
    labels: Labels, scores: Float[np.ndarray, "seeds rows"], groups: Groups, *, low: float, high: float
) -> Band:
    positives = int(labels.sum())
    few = min(positives, labels.size - positives) < FEWEST_ROWS_OF_A_CLASS
    ranked = [auroc(labels, one) for one in scores]
    return Band(
        low=low,
        high=high,
        rows=labels.size,
        positives=positives,
        accuracy=float(np.mean((scores > 0.5) == labels)),
        auroc=None if None in ranked else float(np.mean(ranked)),
        ci95=None if few else auroc_interval(labels, scores, groups=groups),
    )
