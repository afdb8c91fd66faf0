"""The report as one self-contained page: no outside request, light and dark, readable on a phone and without script."""

import html
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

from lingjax.files import write_text
from lingjax.reporting.figures import Curves, line_chart
from lingjax.reporting.finding import finding
from lingjax.reporting.formats import as_html, scrolling
from lingjax.reporting.page import as_page
from lingjax.reporting.panels import embed_picture
from lingjax.reporting.published import PUBLISHED_HEADINGS, PUBLISHED_NOTE, PublishedRow, find_published
from lingjax.reporting.report import TransferReport
from lingjax.reporting.table import HEADINGS, SUMMARY_NOTE, model_name, source_name, table_rows, with_uncertainty
from lingjax.reporting.target_section import target_section


def render_report_page(
    reports: Sequence[TransferReport], training_curves: Curves | None = None, *, folder: epath.PathLike | None = None
) -> str:
    """Returns the page for the reports of one run.

    Args:
      reports: one a target.
      training_curves: name (say, `seed 0`) -> points (step, loss).
      folder: where the page will lie; what lies there in `reports/` under a target's name is linked.
    """
    body = [_header(reports)]
    if reports:
        body.append(f'<p class="finding">{_text(finding(reports))}</p>\n')
    body += _warnings(reports)
    if reports:
        body.append(_summary(reports))
    folded = len(reports) > 1
    body += [
        target_section(report, anchor=f"target-{place}", folded=folded, path=_beside(report, folder))
        for place, report in enumerate(reports)
    ]
    if training_curves:
        body.append(_training(training_curves))
    return as_page("lingjax transfer report", f"<main>{''.join(body)}</main>\n")


def write_report_page(
    path: epath.PathLike, reports: Sequence[TransferReport], training_curves: Curves | None = None
) -> None:
    """Writes `render_report_page` to a file, complete or not at all."""
    write_text(path, render_report_page(reports, training_curves, folder=epath.Path(path).parent))


def _beside(report: TransferReport, folder: epath.PathLike | None) -> str | None:
    """Returns the start of the names of a target's files, if its report lies beside the page."""
    name = report.target["dataset"]
    return name if folder is not None and (epath.Path(folder) / "reports" / f"{name}.json").exists() else None


def _header(reports: Sequence[TransferReport]) -> str:
    if not reports:
        return "<header><h1>Transfer report</h1><p>No target was evaluated.</p></header>\n"
    first = reports[0]
    models = ", ".join(sorted({model_name(report.model) for report in reports}))
    sources = ", ".join(sorted({source_name(report) for report in reports}))
    synthetic = ""
    made_up = [report.target["dataset"] for report in reports if report.synthetic]
    if made_up:
        synthetic = (
            f'<div class="synthetic" role="note">Synthetic data: {_text(", ".join(made_up))}. Made by simulators; the '
            "figures show that the program works, and say nothing about real language or biology.</div>\n"
        )
    return (
        f"<header><h1>{_text(models)}</h1>\n<p>Fine-tuned on {_text(sources)}, evaluated on {len(reports)} "
        f"{'target' if len(reports) == 1 else 'targets'} without further training.</p>\n"
        f'<p class="muted">{_text(first.created_utc)} · lingjax {_text(first.code_version)} · how to read this: '
        f"<code>docs/reading-a-report.md</code></p>{_contents(reports)}"
        f"</header>\n{synthetic}"
    )


def _contents(reports: Sequence[TransferReport]) -> str:
    if len(reports) < 2:
        return ""
    links = "".join(
        f'<li><a href="#target-{place}">{_text(report.target["dataset"])}</a></li>'
        for place, report in enumerate(reports)
    )
    return f'<nav aria-label="Targets"><ul>{links}</ul></nav>'


def _warnings(reports: Sequence[TransferReport]) -> Iterator[str]:
    """Yields the box of warnings; one that every target shares is said once."""
    if not any(report.verdict["warnings"] for report in reports):
        return
    everywhere = [
        w for w in reports[0].verdict["warnings"] if all(w in report.verdict["warnings"] for report in reports)
    ]
    yield '<div class="warnings" role="note"><h2>Read this first</h2>'
    if len(reports) > 1 and everywhere:
        yield f"<h3>All targets</h3>{_list(everywhere)}"
    for report in reports:
        own = [w for w in report.verdict["warnings"] if len(reports) == 1 or w not in everywhere]
        if own:
            yield f"<h3>{_text(report.target['dataset'])}</h3>{_list(own)}"
    yield "</div>\n"


def _summary(reports: Sequence[TransferReport]) -> str:
    columns = ["target", "auroc", "accuracy", "flipped_accuracy", "best_control", "above_best_control", "orientation"]
    columns += ["seeds", "warnings"]
    # The page's heading names model and source; only if they differ does a row have to.
    if len({source_name(report) for report in reports}) > 1:
        columns.insert(0, "source")
    if len({model_name(report.model) for report in reports}) > 1:
        columns.insert(0, "model")
    table = as_html(table_rows(reports), {column: HEADINGS[column] for column in columns})
    return (
        f'<section class="summary wide"><h2>Summary</h2>'
        f"{scrolling(table, 'Summary')}"
        f'<p class="muted">{_text(SUMMARY_NOTE)}</p>{_published(reports)}</section>\n'
    )


def _published(reports: Sequence[TransferReport]) -> str:
    rows = [
        PublishedRow(
            target=report.target["dataset"],
            model=model_name(report.model),
            accuracy=with_uncertainty(report.summary["accuracy"]),
            published=f"{one.accuracy:g}",
            study_model=one.model,
            study_data=one.setting,
            source=one.source,
        )
        for report in reports
        for one in find_published(report)
    ]
    if not rows:
        return ""
    headings = dict(PUBLISHED_HEADINGS)
    if len({model_name(report.model) for report in reports}) == 1:
        del headings["model"]
    table = scrolling(as_html(rows, headings), "Published beside ours")
    note = f'<p class="muted">{_text(PUBLISHED_NOTE)}</p>'
    return f'<div class="published"><h3>Published beside ours</h3>{table}{note}</div>'


def _training(curves: Curves) -> str:
    """Returns the section of training losses; curves of one folder, as `random_init/seed0`, share a colour."""
    groups: dict[str, dict[str, Any]] = {"model": {}}
    for name, points in curves.items():
        group, _, last = name.rpartition("/")
        groups.setdefault(group or "model", {})[last] = points
    chart = line_chart("Training loss", groups, x_name="step")
    if chart is None:
        return ""
    drawn = embed_picture(chart, name="training")
    return f'<section><h2>Fine-tuning</h2><div class="figures">{drawn}</div></section>\n'


def _list(texts: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(text)}</li>" for text in texts) + "</ul>"


def _text(value: object) -> str:
    return html.escape(str(value))
