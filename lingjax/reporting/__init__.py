"""What leaves the program: the JSON report and its schema, per-row predictions, tables and the HTML page."""

from lingjax.reporting.html import render_report_page, write_report_page
from lingjax.reporting.predictions import read_predictions, write_predictions
from lingjax.reporting.report import (
    SCHEMA_VERSION,
    TransferReport,
    build_report,
    code_version,
    environment_info,
    read_report,
    write_report,
)
from lingjax.reporting.table import TableRow, as_csv, as_html, as_latex, as_markdown, as_text, table_rows, write_table

__all__ = [
    "SCHEMA_VERSION",
    "TableRow",
    "TransferReport",
    "as_csv",
    "as_html",
    "as_latex",
    "as_markdown",
    "as_text",
    "build_report",
    "code_version",
    "environment_info",
    "read_predictions",
    "read_report",
    "render_report_page",
    "table_rows",
    "write_predictions",
    "write_report",
    "write_report_page",
    "write_table",
]
