"""What leaves the program: the JSON report and its schema, per-row predictions, tables and the HTML page."""

from lingjax.reporting.compare import Comparison, compare_runs, match_reports, read_judged_run, report_paths
from lingjax.reporting.comparison_table import (
    COMPARISON_HEADINGS,
    COMPARISON_NOTE,
    comparison_records,
    comparison_rows,
    write_comparison,
)
from lingjax.reporting.finding import finding, pretraining_finding
from lingjax.reporting.formats import as_csv, as_html, as_latex, as_markdown, as_text
from lingjax.reporting.html import render_report_page, write_report_page
from lingjax.reporting.layouts import LAYOUTS
from lingjax.reporting.plots import write_plots
from lingjax.reporting.predictions import read_groups, read_pair_ids, read_predictions, write_predictions
from lingjax.reporting.pretraining_plots import write_pretraining_plots
from lingjax.reporting.report import (
    SCHEMA_VERSION,
    TransferReport,
    build_report,
    code_version,
    environment_info,
    read_report,
    write_report,
)
from lingjax.reporting.table import HEADINGS as TABLE_HEADINGS
from lingjax.reporting.table import RUN_HEADINGS, TableRow, table_records, table_rows, write_table
from lingjax.reporting.verdict_words import added_text, power_text, why_undetermined
from lingjax.reporting.worst_pairs import write_worst_pairs

__all__ = [
    "COMPARISON_HEADINGS",
    "COMPARISON_NOTE",
    "LAYOUTS",
    "RUN_HEADINGS",
    "SCHEMA_VERSION",
    "TABLE_HEADINGS",
    "Comparison",
    "TableRow",
    "TransferReport",
    "added_text",
    "as_csv",
    "as_html",
    "as_latex",
    "as_markdown",
    "as_text",
    "build_report",
    "code_version",
    "compare_runs",
    "comparison_records",
    "comparison_rows",
    "environment_info",
    "finding",
    "match_reports",
    "power_text",
    "pretraining_finding",
    "read_groups",
    "read_judged_run",
    "read_pair_ids",
    "read_predictions",
    "read_report",
    "render_report_page",
    "report_paths",
    "table_records",
    "table_rows",
    "why_undetermined",
    "write_comparison",
    "write_plots",
    "write_predictions",
    "write_pretraining_plots",
    "write_report",
    "write_report_page",
    "write_table",
    "write_worst_pairs",
]
