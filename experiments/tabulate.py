"""Turns reports into one table: python -m experiments.tabulate REPORT.json... --out=table.md."""

import sys

from absl import flags

from lingjax import command
from lingjax.errors import InputError

_OUT = flags.DEFINE_string("out", None, "File to write, .md, .csv, .html, .tex or .txt. Empty: print.")


def main(paths: list[str]) -> None:
    """Reads, checks and tabulates."""
    from lingjax.reporting import as_text, read_report, table_rows, write_table

    if not paths:
        raise InputError("name at least one report, as in runs/NAME/reports/TARGET.json")
    reports = [read_report(path) for path in paths]
    if _OUT.value:
        write_table(_OUT.value, reports)
    else:
        sys.stdout.write(as_text(table_rows(reports)) + "\n")


if __name__ == "__main__":
    command.run(main, positional=True)
