"""How often does the audit find a planted give-away, and how often one in a clean table? Seeded draws, known truth.

Prints Markdown on stdout, progress on stderr. Commands and how to read the result: benchmarks/README.md.
"""

import collections
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
from absl import flags

from benchmarks.planted import CLEAN, LISTED, OTHERS, Tables, clean, planted
from lingjax import command
from lingjax.evaluation.giveaways import RowAudit, audit_rows
from lingjax.evaluation.statistics import wilson_interval

_DRAWS = flags.DEFINE_integer("draws", 5, "Tables a planted kind.", lower_bound=1)
_ROWS = flags.DEFINE_integer("rows", 1000, "Rows of a table with a planted give-away.", lower_bound=100)
_CLEAN_SETS = flags.DEFINE_integer("clean_sets", 100, "Clean tables: kinds, sizes and balances in turn.", lower_bound=1)
_SIZES = flags.DEFINE_list("sizes", ["200", "500", "1000", "3000", "20000"], "Rows of clean tables, in turn.")
_SEED = flags.DEFINE_integer("seed", 1_000_000, "First of the draws; tuning took those below 1,000.")

_ONE_IN = (2, 20)


def main(_: list[str]) -> None:
    """Prints both tables."""
    sys.stdout.write(f"Planted: {_DRAWS.value} tables of {_ROWS.value} rows a kind, seeds from {_SEED.value}.\n\n")
    sys.stdout.write("| planted | flagged | found by, mostly |\n|---|---|---|\n")
    for kind in [*LISTED, *OTHERS]:
        audits = [
            _audited(planted(kind, rows=_ROWS.value, seed=seed), f"{kind}, {seed}") for seed in _seeds(_DRAWS.value)
        ]
        sys.stdout.write(f"| {kind} | {_share(audits)} | {_mostly(audits)} |\n")
        sys.stdout.flush()
    sys.stdout.write(f"\nClean: {_CLEAN_SETS.value} tables, seeds from {_SEED.value}.\n\n")
    sys.stdout.write("| rows | label 1 | tables | false alarms | of |\n|---|---|---|---|---|\n")
    by_size = collections.defaultdict(list)
    for (rows, one_in), audit in _clean_audits():
        by_size[rows, one_in].append(audit)
    for (rows, one_in), audits in sorted(by_size.items()):
        alarms = [audit for audit in audits if audit.findings]
        sys.stdout.write(f"| {rows} | 1:{one_in - 1} | {len(audits)} | {len(alarms)} | {_mostly(alarms)} |\n")
    every = [audit for audits in by_size.values() for audit in audits]
    low, high = wilson_interval(sum(bool(audit.findings) for audit in every), len(every))
    sys.stdout.write(f"\nAll: {_share(every)} clean tables with a finding, 95 % interval {low:.1%} to {high:.1%}.\n")


def design(number: int, sizes: Sequence[int]) -> tuple[str, int, int]:
    """Returns kind, rows and balance of a clean table, so that every size meets every balance and every kind.

    >>> design(0, [200, 500]), design(9, [200, 500]), design(17, [200, 500])
    (('DNA pairs', 200, 2), ('DNA pairs, skewed', 500, 2), ('DNA pairs, skewed', 200, 20))
    """
    kinds = list(CLEAN)
    block = number // len(kinds)
    return kinds[number % len(kinds)], sizes[block % len(sizes)], _ONE_IN[block // len(sizes) % 2]


def _clean_audits() -> Iterator[tuple[tuple[int, int], RowAudit]]:
    sizes = [int(size) for size in _SIZES.value]
    for number, seed in enumerate(_seeds(_CLEAN_SETS.value)):
        kind, rows, one_in = design(number, sizes)
        tables = clean(kind, rows=rows, one_in=one_in, seed=seed)
        yield (rows, one_in), _audited(tables, f"clean {kind}, {rows} rows, 1:{one_in - 1}")


def _audited(tables: Tables, what: str) -> RowAudit:
    began = time.process_time()
    audit = audit_rows(tables.rows, tables.training)
    names = ", ".join(finding.name for finding in audit.findings[:2]) or "nothing"
    sys.stderr.write(f"{what}: {names} ({time.process_time() - began:.1f} s of a core)\n")
    return audit


def _seeds(count: int) -> range:
    return range(_SEED.value, _SEED.value + count)


def _share(audits: Sequence[RowAudit]) -> str:
    return f"{sum(bool(audit.findings) for audit in audits)} of {len(audits)}"


def _mostly(audits: Sequence[RowAudit]) -> str:
    names = collections.Counter(audit.findings[0].name for audit in audits if audit.findings)
    return "; ".join(name for name, _ in names.most_common(2)) or "–"


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    command.run(main)
