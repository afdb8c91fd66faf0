"""The card of a pair dataset: `README.md` for people, `audit.json` for programs, `distributions.png` for the eye."""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data_prep.card_plot import draw_distributions
from data_prep.pair_audit import audit_pairs, measure
from lingjax.data import SHARED_RESIDUES
from lingjax.files import write_json, write_text

PLOT_NAME, AUDIT_NAME, README_NAME = "distributions.png", "audit.json", "README.md"
_SOURCE_COLUMNS = ("accession", "version", "organism", "path", "url", "sha256")
_TOOL_COLUMNS = ("name", "version", "command")
_QUANTILE_COLUMNS = ("p5", "p50", "p95", "mean")
# Classes of size that the hub shows. Source: https://huggingface.co/docs/hub/datasets-cards
_SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}


@dataclasses.dataclass(frozen=True)
class CardFacts:
    """What only the builder knows of a dataset; the rest of the card is measured on its records.

    Attributes:
      title: the card's first line.
      task: one paragraph: what a pair is, and what label 1 and label 0 mean.
      command: builds the dataset again, without paths of this machine.
      sources: for each source whichever are known of `path`, `accession`, `version`, `organism`, `sha256`, `url`.
      tools: for each tool `name`, `version` and `command`.
      filters: in order, what came in, what each filter dropped, what is left.
      overlap: what was measured of texts and homologs shared between splits and with other datasets, by name.
      licences: a sentence for each licence or term that the sources are under.
    """

    title: str
    task: str
    command: str
    sources: Sequence[Mapping[str, object]] = ()
    tools: Sequence[Mapping[str, object]] = ()
    filters: Mapping[str, int] = dataclasses.field(default_factory=dict)
    overlap: Mapping[str, object] = dataclasses.field(default_factory=dict)
    licences: Sequence[str] = ()


def write_card(folder: Path, records_by_split: Mapping[str, Sequence[Mapping[str, object]]], facts: CardFacts) -> None:
    """Writes `README.md`, `audit.json` and `distributions.png` into a dataset's folder; equal input gives equal bytes.

    Args:
      folder: the folder that is being written.
      records_by_split: the pair records of each split, in the order in which splits are listed.
      facts: what the builder knows.
    """
    measured = measure(list(itertools.chain.from_iterable(records_by_split.values())))
    audit = {
        **audit_pairs(records_by_split, measured),
        "command": facts.command,
        "filters": [[name, count] for name, count in facts.filters.items()],  # a list, as their order says something
        "licences": list(facts.licences),
        "overlap": dict(facts.overlap),
        "sources": [dict(source) for source in facts.sources],
        "tools": [dict(tool) for tool in facts.tools],
    }
    write_json(folder / AUDIT_NAME, audit)
    draw_distributions(folder / PLOT_NAME, facts.title, measured)
    write_text(folder / README_NAME, "\n".join(_readme(facts, audit)))


def _readme(facts: CardFacts, audit: Mapping) -> Iterable[str]:
    yield from _front_matter(facts, audit)
    yield from (f"# {facts.title}", "", facts.task, "")
    yield from ("## Rows", "", *_rows_table(audit), "")
    yield from (f"![Distributions by label]({PLOT_NAME})", "")
    yield from _quantiles(audit)
    yield from ("## Audit", "", *_audit_table(audit), "")
    if facts.filters:
        counts = [[_cell(name), f"{count:,}"] for name, count in facts.filters.items()]
        yield from ("## How it was filtered", "", *_table(["step", "count"], counts, right={1}), "")
    if facts.overlap:
        yield from ("## Overlap", "", *_overlap_tables(facts.overlap))
    if facts.sources:
        yield from ("## Sources", "", *_table_of(facts.sources, _SOURCE_COLUMNS), "")
    if facts.tools:
        yield from ("## Tools", "", *_table_of(facts.tools, _TOOL_COLUMNS), "")
    yield from ("## Licence", "", *(f"- {licence}" for licence in facts.licences or ["Not stated by the sources."]), "")
    yield from _usage(facts, audit)


def _front_matter(facts: CardFacts, audit: Mapping) -> Iterable[str]:
    size = next((name for limit, name in _SIZES.items() if audit["rows"] < limit), "n>10M")
    alphabets = sorted(set(audit["alphabets"].values()) - {"text"})
    tags = [*alphabets, *(["biology"] if alphabets else []), "sentence-pairs", "lingjax"]
    yield from ("---", f"pretty_name: {json.dumps(facts.title, ensure_ascii=False)}")
    yield from ("task_categories:", "- text-classification", f"size_categories:\n- {size}")
    yield from ("tags:", *(f"- {tag}" for tag in tags), "---", "")


def _rows_table(audit: Mapping) -> Iterable[str]:
    kinds = audit.get("kinds", {})
    columns = [("label", label, kind) for label in ("1", "0") for kind in kinds.get(label, [])]
    header = ["split", "rows", "label 1", "label 0", *(f"{kind or 'no kind'} ({label})" for _, label, kind in columns)]
    rows = []
    for split, counts in audit["splits"].items():
        of_kind = [counts["kinds"][label].get(kind, 0) for _, label, kind in columns]
        numbers = [counts["rows"], counts["label_counts"]["1"], counts["label_counts"]["0"], *of_kind]
        rows.append([split, *(f"{number:,}" for number in numbers)])
    return _table(header, rows, right=set(range(1, len(header))))


def _quantiles(audit: Mapping) -> Iterable[str]:
    described = [
        *((f"length of {column}", by_label, 1) for column, by_label in audit["lengths"].items()),
        *((f"GC of {column}", by_label, 100) for column, by_label in audit.get("gc", {}).items()),
        # Pairs that do not align hold 0 in its stead.
        ("identity", {label: q for label, q in audit.get("identity", {}).items() if q["max"] > 0}, 100),
    ]
    rows = [
        [name, label, *(f"{quantiles[key] * scale:,.1f}{' %' if scale > 1 else ''}" for key in _QUANTILE_COLUMNS)]
        for name, by_label, scale in described
        for label, quantiles in sorted(by_label.items(), reverse=True)
    ]
    header = ["figure", "label", "5 % are below", "median", "95 % are below", "mean"]
    return (*_table(header, rows, right=set(range(1, 6))), "")


def _audit_table(audit: Mapping) -> Iterable[str]:
    rows = [
        ["rows that repeat an earlier pair", f"{audit['duplicate_rows']:,}"],
        ["pairs that occur with both labels", f"{audit['conflicting_label_pairs']:,}"],
        ["rows of such pairs", f"{audit['conflicting_label_rows']:,}"],
        *([f"rows of two equal texts, label {label}", f"{count:,}"] for label, count in audit["equal_texts"].items()),
        *(
            [f"texts '{text}', as where a value is missing", f"{count:,}"]
            for text, count in audit.get("texts_like_missing_values", {}).items()
        ),
    ]
    for splits, shared in audit["texts_shared_between_splits"].items():
        of_splits = ", ".join(
            f"{count:,} {name.replace('_', ' ')}" for name, count in shared.items() if name != "texts"
        )
        rows.append([f"texts shared between {splits.replace(', ', ' and ')}", f"{shared['texts']:,} (in {of_splits})"])
    for name in ("negatives", "positives"):
        if f"{name}_that_encode" in audit:
            share = audit[f"{name}_that_encode_fraction"]
            what = (
                f"{name} whose DNA encodes {SHARED_RESIDUES} residues in a row of their protein (long pairs: more), in "
                "any of six frames"
            )
            rows.append([what, f"{audit[f'{name}_that_encode']:,} ({share:.1%})"])
    return _table(["what", "count"], rows, right={1})


def _usage(facts: CardFacts, audit: Mapping) -> Iterable[str]:
    split = next(iter(audit["splits"]))
    yield from ("## How to load it", "", "`FOLDER` is the folder that holds this file.", "", "```python")
    yield from ("# TensorFlow Datasets", "import tensorflow_datasets as tfds")
    yield from (f'dataset = tfds.builder_from_directory(FOLDER).as_dataset(split="{split}")', "")
    yield from ("# lingjax, without tensorflow", "from lingjax.data import PairSource, open_split")
    yield from (f'pairs = PairSource(open_split(f"{{FOLDER}}@{split}", default=[]))', "```", "")
    yield from ("Built by:", "", "```", facts.command, "```", "")
    yield f"`{AUDIT_NAME}` holds all figures of this card and more, `lingjax.json` the fingerprints of the splits."
    yield ""


def _table_of(entries: Sequence[Mapping[str, object]], columns: Sequence[str]) -> Iterable[str]:
    """Makes a table of the columns that any entry has; others, which no column is for, come last."""
    others = dict.fromkeys(key for entry in entries for key in entry if key not in columns)
    shown = [column for column in (*columns, *others) if any(entry.get(column) for entry in entries)]
    rows = [
        [
            f"`{value}`" if (value := _cell(entry.get(column, ""))) and column in ("sha256", "command") else value
            for column in shown
        ]
        for entry in entries
    ]
    return _table(["SHA-256" if column == "sha256" else column for column in shown], rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], right: set[int] = frozenset()) -> Iterable[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "|".join("---:" if column in right else "---" for column in range(len(header))) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _cell(value: object) -> str:
    """Returns a value as it may stand in a cell of a table."""
    if isinstance(value, float):
        return f"{value:.4g}"
    value = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")


def _overlap_tables(overlap: Mapping[str, object]) -> Iterable[str]:
    """Makes a row of each group of counts, of which there may be several side by side, and a table of the rest."""
    groups, single = {}, {}
    for name, value in overlap.items():
        if not isinstance(value, Mapping):
            single[name] = value
        elif all(isinstance(inner, Mapping) for inner in value.values()):
            groups |= value
        else:
            groups[name] = value
    if groups:
        columns = list(dict.fromkeys(column for counts in groups.values() for column in counts))
        rows = [
            [_cell(name), *(_cell(counts.get(column, "")) for column in columns)] for name, counts in groups.items()
        ]
        header = ["between", *(column.replace("_", " ") for column in columns)]
        yield from (*_table(header, rows, right=set(range(1, len(header)))), "")
    if single:
        rows = [[name.replace("_", " "), _cell(value)] for name, value in single.items()]
        yield from (*_table(["setting", "value"], rows), "")
