"""Per-row predictions beside the report, one JSON object a line, so that any figure can be recomputed."""

from collections.abc import Iterator, Sequence

import numpy as np
from etils import epath
from jaxtyping import Int

from lingjax.errors import InputError
from lingjax.evaluation import PairPredictions
from lingjax.files import write_text
from lingjax.sealed import read_sealed_lines, sealed_line


def write_predictions(
    path: epath.PathLike,
    predictions: PairPredictions,
    pair_ids: Sequence[str],
    *,
    groups: Int[np.ndarray, " rows"] | None = None,
) -> None:
    """Writes `predictions/TARGET.seedN.jsonl`: `row, pair_id, label, logits, positive_probability` of every row.

    Args:
      path: the file.
      predictions: what one seed's model says.
      pair_ids: the name of every row of the target, indexed by row id.
      groups: numbers of the groups of rows that hang together, likewise; written as `group`. None: no such key.
    """
    rows = zip(
        predictions.row_ids.tolist(),
        predictions.labels.tolist(),
        predictions.logits.tolist(),
        predictions.positive_probability.tolist(),
        strict=True,
    )
    lines, before = [], 0
    for row, label, logits, probability in rows:
        entry = {
            "row": row,
            "pair_id": pair_ids[row],
            "label": label,
            "logits": logits,
            "positive_probability": probability,
        }
        if groups is not None:
            entry["group"] = int(groups[row])
        line, before = sealed_line(entry, before)
        lines.append(line)
    write_text(path, "".join(lines))


def read_predictions(path: epath.PathLike) -> PairPredictions:
    """Reads what `write_predictions` wrote; the logits come back exactly.

    Raises:
      InputError: the file is missing, or a line is not such an object; names file and line.
    """
    rows, labels, logits = [], [], []
    for row, _, label, both, _ in _read_lines(path):
        rows.append(row)
        labels.append(label)
        logits.append(both)
    return PairPredictions(
        row_ids=np.array(rows, np.int32),
        labels=np.array(labels, np.int32),
        logits=np.array(logits, np.float32).reshape(-1, 2),
    )


def read_pair_ids(path: epath.PathLike) -> list[str]:
    """Reads the `pair_id` of every row of such a file, in its order.

    Raises:
      InputError: the file is missing, or a line is not such an object; names file and line.
    """
    return [pair_id for _, pair_id, *_ in _read_lines(path)]


def read_groups(path: epath.PathLike) -> Int[np.ndarray, " rows"] | None:
    """Reads the `group` of every row of such a file, in its order; None where it does not say.

    Raises:
      InputError: the file is missing, or a line is not such an object; names file and line.
    """
    groups = [group for *_, group in _read_lines(path)]
    return None if None in groups else np.array(groups, np.int64)


def _read_lines(path: epath.PathLike) -> Iterator[tuple[int, str, int, tuple[float, float], int | None]]:
    """Yields `row, pair_id, label, logits, group`."""
    for number, entry in enumerate(read_sealed_lines(path), start=1):
        try:
            first, second = entry["logits"]
            group = None if entry.get("group") is None else int(entry["group"])
            logits = (float(first), float(second))
            yield int(entry["row"]), str(entry["pair_id"]), int(entry["label"]), logits, group
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}, line {number}: not a prediction ({type(error).__name__}: {error})") from None
