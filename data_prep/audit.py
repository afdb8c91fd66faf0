"""Audits a table or dataset before a model is trained on it: what tells the label that should not, what is there twice.

For example `python -m data_prep.audit --source=train.tsv --target=test.tsv --fail_on=shortcut,leak,label --out=DIR`.
One line a finding on stdout; exit code 1 if one is of a category of `--fail_on`. docs/audit.md says what they mean.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from lingjax import command
from lingjax.errors import InputError, nearest

if TYPE_CHECKING:
    from data_prep.audited_tables import AuditedTable
    from lingjax.evaluation.giveaways import AuditedRows, RowAudit

_CATEGORIES = ("shortcut", "leak", "label")

_SOURCE = flags.DEFINE_list("source", None, "Tables (files, patterns) or one dataset, DATA_DIR/NAME[@SPLIT].")
_TARGET = flags.DEFINE_list("target", None, "The same of rows that a model trained on --source is judged on.")
_FAIL_ON = flags.DEFINE_list("fail_on", [], f"Exit with 1 on findings of these kinds: {','.join(_CATEGORIES)}.")
_OUT = flags.DEFINE_string("out", None, "Folder for audit.json and audit.html.")
_CLEAN = flags.DEFINE_string(
    "clean", None, "Write each table without twins, conflicts, repeats and near copies, as OUT/CLEAN[.SPLIT].jsonl."
)
_ROWS = flags.DEFINE_integer("rows", 6000, "Most rows that models read; the rest is counted only.", lower_bound=20)
_SEED = flags.DEFINE_integer("seed", 0, "Of folds and draws.")


def main(_: list[str]) -> None:
    """Audits what the flags name, prints the findings and says by the exit code whether any was not to be."""
    _check()
    from data_prep.audited_tables import read_audited
    from lingjax.evaluation.giveaways import audit_rows

    tables = read_audited(_SOURCE.value, flag="--source")
    if _TARGET.value:
        targets = read_audited(_TARGET.value, flag="--target")
        _check_widths([*tables, *targets])
        tables = [*tables[:1], *targets]
    rows = {table.name: _as_rows(table) for table in tables}
    if len(rows) < len(tables):  # a split of the target has the name of one of the source
        rows = dict(
            zip(["source", *(f"target {table.name}" for table in tables[1:])], map(_as_rows, tables), strict=True)
        )
    training_name, training = next(iter(rows.items()))
    audits = {}
    for name, one in rows.items():
        sys.stderr.write(f"auditing {name}: {len(one)} rows\n")
        audits[name] = audit_rows(
            one,
            None if one is training else training,
            training_name=training_name,
            most_rows=_ROWS.value,
            seed=_SEED.value,
        )
    dropped = _write_clean(dict(zip(rows, tables, strict=True)), rows) if _CLEAN.value else {}
    _report(audits, dropped)
    if any(audit.of(_FAIL_ON.value) for audit in audits.values()):
        sys.stdout.flush()
        sys.exit(1)


def _check() -> None:
    if not _SOURCE.value:
        raise InputError("--source is missing: set --source=FILE or --source=DATA_DIR/NAME; --help says what it is")
    for category in _FAIL_ON.value:
        if category not in _CATEGORIES:
            raise InputError(f"--fail_on: '{category}' is no kind of finding; {nearest(category, _CATEGORIES)}")
    if _CLEAN.value and not _OUT.value:
        raise InputError("--clean writes into the folder of --out, which is missing: set --out=DIR")
    if _CLEAN.value and (Path(_CLEAN.value).name != _CLEAN.value or _CLEAN.value in (".", "..")):
        raise InputError(f"--clean={_CLEAN.value}: give a name, not a path; --out says where")


def _check_widths(tables: Sequence["AuditedTable"]) -> None:
    if len({table.text_columns for table in tables}) > 1:
        raise InputError("--source and --target: one has pairs of texts and the other single texts")


def _as_rows(table: "AuditedTable") -> "AuditedRows":
    import numpy as np

    from lingjax.evaluation.giveaways import AuditedRows

    columns = [[record[name] for record in table.records] for name in table.text_columns]
    return AuditedRows(
        first=columns[0],
        second=columns[1] if len(columns) > 1 else None,
        labels=np.array([record["label"] for record in table.records], np.int64),
        ids=table.ids,
        sources=table.sources,
    )


def _write_clean(tables: Mapping[str, "AuditedTable"], rows: Mapping[str, "AuditedRows"]) -> dict[str, dict[str, int]]:
    """Writes what is left of every table and returns what was dropped."""
    import json

    from lingjax.evaluation.giveaways import clean_rows
    from lingjax.files import write_text

    dropped, training = {}, None
    for name, one in rows.items():
        cleaned = clean_rows(one, training, seed=_SEED.value)
        dropped[name] = cleaned.dropped
        training = one.take(cleaned.kept) if training is None else training
        lines = [
            json.dumps(dict(sorted(tables[name].records[row].items())), ensure_ascii=False) for row in cleaned.kept
        ]
        ending = "" if len(rows) == 1 else f".{name.replace(' ', '_')}"
        path = Path(_OUT.value) / f"{_CLEAN.value}{ending}.jsonl"
        write_text(path, "".join(f"{line}\n" for line in lines))
        counts = ", ".join(f"{reason} {count}" for reason, count in cleaned.dropped.items())
        sys.stdout.write(f"{name}: {cleaned.kept.size} of {len(one)} rows written to {path}; dropped: {counts}\n")
    return dropped


def _report(audits: Mapping[str, "RowAudit"], dropped: Mapping[str, Mapping[str, int]]) -> None:
    for name, audit in audits.items():
        for finding in audit.findings:
            sys.stdout.write(f"{name}: {finding.category}: {' '.join(finding.words.split())}\n")
        if not audit.findings:
            sys.stdout.write(f"{name}: nothing found in {audit.rows} rows by {len(audit.families)} models\n")
    if _OUT.value is None:
        return
    from lingjax.files import write_json, write_text
    from lingjax.reporting.audit_page import render_audit_page

    out = Path(_OUT.value)
    held = {
        name: audit.to_json() | ({"dropped": dict(dropped[name])} if name in dropped else {})
        for name, audit in audits.items()
    }
    write_json(out / "audit.json", {"audit_version": 1, "tables": held})
    write_text(out / "audit.html", render_audit_page(audits, dropped=dropped))


if __name__ == "__main__":
    command.run(main)
