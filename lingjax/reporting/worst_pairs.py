"""The pairs that a model got most wrong, with their texts, for reading."""

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath
from jaxtyping import Float

from lingjax.data import PairRecord
from lingjax.evaluation import Control, ControlResult, PairPredictions
from lingjax.files import write_text

MOST_PAIRS = 100

_COLUMNS = ("row", "pair_id", "label", "positive_probability", "control", "control_score", "sentence1", "sentence2")


def write_worst_pairs(
    path: epath.PathLike,
    records: Sequence[PairRecord],
    predictions: Mapping[int, PairPredictions],
    controls: Mapping[str, Control],
) -> None:
    """Writes `predictions/TARGET.worst.tsv`: of the pairs on whose wrong side the model is, the worst first.

    `positive_probability` is the mean over seeds, `control_score` what the best control (by AUROC) gives the pair:
    higher for a match, in units of its own; empty where that control did not look at the pair. Texts with a tab or a
    line end stand in quotes, as `pandas.read_csv(path, sep="\\t")` reads them.

    Args:
      path: the file.
      records: all rows of the target.
      predictions: by training seed; all on the target's rows.
      controls: measured on the target, by name.
    """
    first = next(iter(predictions.values()))
    probability = np.mean([one.positive_probability for one in predictions.values()], axis=0)
    error = np.abs(probability - first.labels)
    order = np.argsort(-error, kind="stable")
    wrong = order[error[order] > 0.5][:MOST_PAIRS]
    name, score_of_row = _best_control(controls, len(first.labels))
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(_COLUMNS)
    for place in wrong.tolist():
        row = int(first.row_ids[place])
        record, score = records[row], score_of_row[row]
        shown = "" if np.isnan(score) else f"{score:.6g}"
        writer.writerow(
            [
                row,
                record.pair_id,
                int(first.labels[place]),
                f"{probability[place]:.6g}",
                name,
                shown,
                record.sentence1,
                record.sentence2,
            ]
        )
    write_text(path, text.getvalue())


def _best_control(controls: Mapping[str, Control], num_rows: int) -> tuple[str, Float[np.ndarray, " rows"]]:
    """Returns the name and the score of every row, NaN where it has none; an empty name where no control has scores."""
    of_rows = np.full(num_rows, np.nan)
    scored = {
        name: control
        for name, control in controls.items()
        if isinstance(control, ControlResult) and control.scores is not None and control.auroc is not None
    }
    if not scored:
        return "", of_rows
    name, best = max(scored.items(), key=lambda item: item[1].auroc)
    of_rows[slice(None) if best.rows is None else best.rows] = np.mean(best.scores, axis=0)
    return name, of_rows
