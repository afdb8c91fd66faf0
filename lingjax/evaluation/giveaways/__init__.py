"""What tells the label that should not: linear models on one family of features each, and exact counts.

`audit_rows` is the whole of it; docs/audit.md says how to read what it returns.
"""

from lingjax.evaluation.giveaways.cleaning import Cleaned, clean_rows
from lingjax.evaluation.giveaways.findings import CATEGORIES, Finding, RowAudit, Told
from lingjax.evaluation.giveaways.row_audit import audit_rows
from lingjax.evaluation.giveaways.rows import AuditedRows

__all__ = ["CATEGORIES", "AuditedRows", "Cleaned", "Finding", "RowAudit", "Told", "audit_rows", "clean_rows"]
