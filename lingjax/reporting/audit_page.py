"""The page of an audit: what was found in words, and what every family of features tells."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from lingjax.evaluation.giveaways import CATEGORIES, Finding, RowAudit, Told
from lingjax.reporting.formats import scrolling
from lingjax.reporting.numbers import figure
from lingjax.reporting.page import as_page

_HEADINGS = ("What the model reads", "Features", "AUROC", "95 %", "Above, corrected", "Most telling")
_MOST_FAMILIES = 40


def render_audit_page(audits: Mapping[str, RowAudit], *, dropped: Mapping[str, Mapping[str, int]] | None = None) -> str:
    """Returns the page.

    Args:
      audits: by the name of the table.
      dropped: by the name of the table, counts of rows that cleaning dropped, by reason.
    """
    body = "<header><h1>Audit of the data</h1><p>What tells the label that should not, and what is there twice. How to "
    body += "read this: <code>docs/audit.md</code></p></header>\n"
    body += "".join(_section(name, audit, (dropped or {}).get(name)) for name, audit in audits.items())
    return as_page("lingjax audit", f"<main>{body}</main>\n")


def findings_list(findings: Sequence[Mapping[str, Any]]) -> str:
    """Returns the findings, as `Finding.to_json` gives them, as a list of HTML."""
    items = "".join(
        f"<li><strong>{_text(one['category'])}</strong>: {_text(one['words'])}{_examples(one['rows'])}</li>"
        for one in findings
    )
    return f"<ul>{items}</ul>\n"


def _section(name: str, audit: RowAudit, dropped: Mapping[str, int] | None) -> str:
    read = "" if audit.rows_read == audit.rows else f" Models read {audit.rows_read:,} of them."
    shown = f'<section><h2>{_text(name)}</h2><p class="muted">{audit.rows:,} rows.{read}</p>\n'
    shown += _found(audit.findings)
    if dropped is not None:
        listed = ", ".join(f"{reason}: {count:,}" for reason, count in dropped.items())
        shown += f"<p>Cleaning dropped {sum(dropped.values()):,} rows ({_text(listed)}).</p>\n"
    return f"{shown}{_families(audit.families)}</section>\n"


def _found(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<p>Nothing was found.</p>\n"
    said = {finding.category for finding in findings}
    meanings = "; ".join(f"{category}: {meaning}" for category, meaning in CATEGORIES.items() if category in said)
    return f'{findings_list([one.to_json() for one in findings])}<p class="muted">{_text(meanings)}.</p>\n'


def _families(families: Sequence[Told]) -> str:
    if not families:
        return '<p class="muted">Too few rows of one label for models.</p>\n'
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{_text(cell)}</td>"
            for cell in (
                one.reads,
                one.family,
                figure(one.auroc),
                "–" if one.ci95 is None else f"[{figure(one.ci95[0])}, {figure(one.ci95[1])}]",
                f"{figure(one.lower_bound)}{' *' if one.is_giveaway else ''}",
                "; ".join(one.features) if one.is_telling else "",
            )
        )
        + "</tr>"
        for one in families[:_MOST_FAMILIES]
    )
    heading = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in _HEADINGS)
    return (
        "<h3>What each kind of feature tells</h3>"
        f"{scrolling(f'<table><thead><tr>{heading}</tr></thead><tbody>{rows}</tbody></table>', 'Families')}"
        '<p class="muted">* a give-away. What both texts tell together is what a task of pairs is about and no '
        "give-away by itself; it is what a model has to beat.</p>\n"
    )


def _examples(rows: Sequence[Mapping[str, Any]]) -> str:
    shown = "".join(
        f"<li>{_text(row['name'])}, label {row['label']}: <code>{' | '.join(map(_text, row['texts']))}</code></li>"
        for row in rows
    )
    return f"<ul>{shown}</ul>" if shown else ""


def _text(value: object) -> str:
    return html.escape(str(value))
