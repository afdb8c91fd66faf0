"""What a pair dataset looks like from outside: balance, lengths, composition, repeated and doubtful rows, shared texts.

Pairs are compared as in the audit of an evaluation: after case folding, with white space collapsed, in either order.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from lingjax.alphabets import column_kinds
from lingjax.data import encodes_piece

TEXTS = ("sentence1", "sentence2")
LABELS = (0, 1)
_QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}
# PAWS-X writes NS for a sentence that has no translation, R NA, databases \N, pandas nan.
_MISSING_VALUES = frozenset({"ns", "na", "n/a", "#n/a", "\\n", "nan", "null", "none", "<na>"})

Record = Mapping[str, object]


@dataclasses.dataclass(frozen=True)
class Measured:
    """The values behind the plot and the quantiles, by column (or `identity`) and label.

    Attributes:
      alphabets: "dna", "protein" or "text" for each column of texts.
      lengths: letters of each text.
      gc: share of G and C among A, C, G, T and U, for columns of DNA.
      identity: that of each row that has one; only positives have one that means something.
    """

    alphabets: Mapping[str, str]
    lengths: Mapping[str, Mapping[int, np.ndarray]]
    gc: Mapping[str, Mapping[int, np.ndarray]]
    identity: Mapping[int, np.ndarray]


def measure(rows: Sequence[Record]) -> Measured:
    """Measures each row."""
    kinds = column_kinds(*([row[column] for row in rows] for column in TEXTS))
    alphabets = {column: kind or "text" for column, kind in zip(TEXTS, kinds, strict=True)}
    by_label = {label: [row for row in rows if row["label"] == label] for label in LABELS}

    def values(function, column: str) -> dict[int, np.ndarray]:
        return {label: np.array([function(row[column]) for row in by_label[label]]) for label in LABELS}

    has_identity = bool(rows) and all("identity" in row for row in rows)
    return Measured(
        alphabets,
        lengths={column: values(len, column) for column in TEXTS},
        gc={column: values(gc_fraction, column) for column in TEXTS if alphabets[column] == "dna"},
        identity=values(float, "identity") if has_identity else {},
    )


def audit_pairs(records_by_split: Mapping[str, Sequence[Record]], measured: Measured) -> dict[str, object]:
    """Returns what the records alone say, as JSON values; figures that do not apply are absent."""
    rows = list(itertools.chain.from_iterable(records_by_split.values()))
    audit = {
        "rows": len(rows),
        "splits": {split: _describe_split(records) for split, records in records_by_split.items()},
        "alphabets": dict(measured.alphabets),
        "lengths": _quantiles_by_column(measured.lengths),
        "texts_shared_between_splits": _shared_between_splits(records_by_split),
        **_repeated(rows),
    }
    if any("kind" in row for row in rows):
        audit["kinds"] = _count_by_label(rows, "kind")
    if measured.gc:
        audit["gc"] = _quantiles_by_column(measured.gc)
    if measured.identity:
        audit["identity"] = _quantiles_by_label(measured.identity)
    return {**audit, **_encoding(rows, measured.alphabets)}


def gc_fraction(sequence: str) -> float:
    """Returns the share of G and C among the letters that are certain; 0 if none is.

    >>> gc_fraction("GCAN"), gc_fraction("nnn")
    (0.6666666666666666, 0.0)
    """
    letters = sequence.upper()
    strong = letters.count("G") + letters.count("C")
    certain = strong + letters.count("A") + letters.count("T") + letters.count("U")
    return strong / certain if certain else 0.0


def _describe_split(records: Sequence[Record]) -> dict[str, object]:
    labels = Counter(record["label"] for record in records)
    described = {"rows": len(records), "label_counts": {str(label): labels[label] for label in LABELS}}
    if any("kind" in record for record in records):
        described["kinds"] = _count_by_label(records, "kind")
    return described


def _count_by_label(rows: Iterable[Record], feature: str) -> dict[str, dict[str, int]]:
    counts = {str(label): Counter() for label in LABELS}
    for row in rows:
        counts[str(row["label"])][row.get(feature, "")] += 1
    return {label: dict(sorted(by_value.items())) for label, by_value in counts.items()}


def _repeated(rows: Sequence[Record]) -> dict[str, object]:
    labels_of_pair: dict[tuple[str, ...], set[int]] = {}
    pairs = [tuple(sorted(_key(row[column]) for column in TEXTS)) for row in rows]
    for pair, row in zip(pairs, rows, strict=True):
        labels_of_pair.setdefault(pair, set()).add(row["label"])
    conflicting = {pair for pair, labels in labels_of_pair.items() if len(labels) > 1}
    equal = Counter(row["label"] for pair, row in zip(pairs, rows, strict=True) if pair[0] == pair[1])
    return {
        "duplicate_rows": len(rows) - len(labels_of_pair),
        "conflicting_label_pairs": len(conflicting),
        "conflicting_label_rows": sum(pair in conflicting for pair in pairs),
        "equal_texts": {str(label): equal[label] for label in LABELS},
        **_missing_values(rows),
    }


def _missing_values(rows: Sequence[Record]) -> dict[str, dict[str, int]]:
    """Counts the texts that programs write where a value is missing; absent if there is none."""
    counts = Counter(row[column] for row in rows for column in TEXTS if _key(row[column]) in _MISSING_VALUES)
    return {"texts_like_missing_values": dict(sorted(counts.items()))} if counts else {}


def _shared_between_splits(records_by_split: Mapping[str, Sequence[Record]]) -> dict[str, dict[str, int]]:
    """Counts by two splits the texts that both have, and the rows of each that hold one, whichever column it is in."""
    texts = {
        split: {_key(record[column]) for record in records for column in TEXTS}
        for split, records in records_by_split.items()
    }
    shared = {}
    for first, second in itertools.combinations(records_by_split, 2):
        both = texts[first] & texts[second]
        shared[f"{first}, {second}"] = {
            "texts": len(both),
            **{
                f"rows_of_{split}": sum(any(_key(row[column]) in both for column in TEXTS) for row in rows)
                for split, rows in ((first, records_by_split[first]), (second, records_by_split[second]))
            },
        }
    return shared


def _encoding(rows: Sequence[Record], alphabets: Mapping[str, str]) -> dict[str, float]:
    """Returns the share of rows of each label whose DNA encodes a piece of their protein; empty for other pairs."""
    by_alphabet = {alphabet: column for column, alphabet in alphabets.items()}
    if set(by_alphabet) != {"dna", "protein"}:
        return {}
    shares = {}
    for label, name in ((0, "negatives_that_encode"), (1, "positives_that_encode")):
        of_label = [row for row in rows if row["label"] == label]
        if of_label:
            count = sum(encodes_piece(row[by_alphabet["dna"]], row[by_alphabet["protein"]]) for row in of_label)
            shares |= {name: count, f"{name}_fraction": round(count / len(of_label), 6)}
    return shares


def _quantiles_by_column(values: Mapping[str, Mapping[int, np.ndarray]]) -> dict[str, dict]:
    return {column: _quantiles_by_label(by_label) for column, by_label in values.items()}


def _quantiles_by_label(by_label: Mapping[int, np.ndarray]) -> dict[str, dict[str, float]]:
    return {
        str(label): {
            **{name: round(float(np.quantile(values, fraction)), 6) for name, fraction in _QUANTILES.items()},
            "mean": round(float(values.mean()), 6),
        }
        for label, values in by_label.items()
        if values.size
    }


def _key(text: str) -> str:
    return " ".join(text.casefold().split())
