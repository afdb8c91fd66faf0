"""The report as one self-contained page: no outside request, light and dark, readable on a phone and without script."""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etils import epath

from lingjax.files import write_text
from lingjax.reporting.figures import Curves, StripRow, line_chart, strip_chart
from lingjax.reporting.formats import as_html
from lingjax.reporting.page import as_page
from lingjax.reporting.report import TransferReport
from lingjax.reporting.table import HEADINGS, SUMMARY_NOTE, figure, model_name, table_rows

_ORIENTATIONS = {
    "direct": "The model ranks like pairs above unlike ones.",
    "flipped": "The model ranks the wrong way round: unlike pairs above like ones.",
    "undetermined": "No ranking can be told from chance.",
}
_AUDIT_LABELS = {
    "unknown_token_fraction": "Unknown tokens",
    "rows_all_unknown": "Rows of unknown tokens only",
    "truncated_rows": "Truncated rows",
    "cut_rows": "Rows cut to max_characters",
    "tokens_per_row": "Tokens a row: 5 %, median, 95 %, largest",
    "characters_per_token": "Characters a token",
    "duplicate_rows": "Duplicate rows",
    "conflicting_label_rows": "Rows with conflicting labels",
    "rows_shared_with_source": "Rows shared with the source",
    "negatives_that_encode_fraction": "Negatives whose DNA encodes part of the protein",
    "positives_that_encode_fraction": "Positives whose DNA encodes part of the protein",
    "length_predicts_label": "Label told by lengths alone: AUROC within the target",
    "composition_predicts_label": "Label told by letter shares alone: AUROC within the target",
}


def render_report_page(reports: Sequence[TransferReport], training_curves: Curves | None = None) -> str:
    """Returns the page for the reports of one run.

    Args:
      reports: one a target.
      training_curves: name (say, `seed 0`) -> points (step, loss).
    """
    body = [_header(reports), *_warnings(reports)]
    if reports:
        body.append(_summary(reports))
    body += map(_target, reports)
    if training_curves:
        chart = line_chart("Training loss by step", training_curves)
        body.append(f'<section><h2>Fine-tuning</h2><div class="figures">{chart}</div></section>\n')
    return as_page("lingjax transfer report", "".join(body))


def write_report_page(
    path: epath.PathLike, reports: Sequence[TransferReport], training_curves: Curves | None = None
) -> None:
    """Writes `render_report_page` to a file, complete or not at all."""
    write_text(path, render_report_page(reports, training_curves))


def _header(reports: Sequence[TransferReport]) -> str:
    if not reports:
        return "<header><h1>Transfer report</h1><p>No target was evaluated.</p></header>\n"
    first = reports[0]
    models = ", ".join(sorted({model_name(report.model) for report in reports}))
    sources = ", ".join(sorted({_source_name(report) for report in reports}))
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
        f'<p class="muted">{_text(first.created_utc)} · lingjax {_text(first.code_version)}</p></header>\n{synthetic}'
    )


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
    columns = ["target", "auroc", "accuracy", "flipped_accuracy", "best_control", "orientation", "seeds", "warnings"]
    # The page's heading names model and source; only if they differ does a row have to.
    if len({_source_name(report) for report in reports}) > 1:
        columns.insert(0, "source")
    if len({model_name(report.model) for report in reports}) > 1:
        columns.insert(0, "model")
    return (
        '<section class="summary"><h2>Summary</h2><div class="scroll">'
        f"{as_html(table_rows(reports), {column: HEADINGS[column] for column in columns})}</div>"
        f'<p class="muted">{_text(SUMMARY_NOTE)}</p></section>\n'
    )


def _target(report: TransferReport) -> str:
    target, verdict = report.target, report.verdict
    counts = target["label_counts"]
    beaten = {True: "It beats the best control.", False: "It does not clearly beat the best control.", None: ""}
    return (
        f"<section><h2>{_text(_source_name(report))} → {_text(target['dataset'])}</h2>\n"
        f"<p>{_ORIENTATIONS[verdict['orientation']]} {beaten[verdict['above_best_control']]}</p>\n"
        f'<p class="muted">{target["rows"]:,} pairs of split {_text(target["split"])}: {counts["0"]:,} with label 0, '
        f'{counts["1"]:,} with label 1</p>\n<div class="figures">\n'
        f"{_strips(report, 'auroc', 'AUROC; dashed: chance', reference=0.5)}"
        f"{_strips(report, 'accuracy', 'Accuracy; dashed: always the commoner label', reference=_majority(report))}"
        '</div>\n<p class="muted">Broad bars: 95 % intervals over items. Thin line: over items and seeds. Circles: '
        "seeds.</p>\n"
        '<div class="figures"><div><h3>Confusion matrices</h3><div class="confusions">'
        f"{''.join(map(_confusion, report.seeds))}</div></div>\n"
        f"<div><h3>Audit of the data</h3>{_table(_audit_rows(report))}</div>{_sign_tests(report)}</div>\n"
        f"<details><summary>How this came about</summary>{_table(_provenance_rows(report))}</details></section>\n"
    )


def _sign_tests(report: TransferReport) -> str:
    tests = report.verdict.get("sign_tests")
    if not tests:
        return ""
    targets = report.verdict["targets_judged_together"]
    corrected = f", p corrected for {targets} targets" if targets > 1 else ""
    rows = (
        (
            name,
            f"{test['wins']:,} better, {test['losses']:,} worse, {test['ties']:,} alike; p = {test['p_corrected']:.2g}",
        )
        for name, test in tests.items()
    )
    return (
        '\n<div><h3>Sign tests</h3><p class="muted">Rows with label 1 matched to rows with label 0: how many the '
        f"model orders better than the rival{corrected}.</p>{_table(rows)}</div>"
    )


def _strips(report: TransferReport, metric: str, title: str, *, reference: float) -> str:
    summary = report.summary[metric]
    rows = [
        StripRow(
            "model, mean", summary["mean"], summary["ci95_over_items"], summary.get("ci95_over_both"), strong=True
        ),
        StripRow("each seed", None, dots=[seed[metric] for seed in report.seeds if seed[metric] is not None]),
    ]
    for name, control in report.controls.items():
        if control.get(metric) is not None:
            # The interval of a control is that of its AUROC.
            rows.append(StripRow(name, control[metric], control["ci95"] if metric == "auroc" else None))
    return strip_chart(title, rows, reference=reference)


def _majority(report: TransferReport) -> float:
    counts = report.target["label_counts"].values()
    return max(counts) / max(sum(counts), 1)


def _confusion(seed: Mapping[str, Any]) -> str:
    rows = ""
    for label, cells in enumerate(seed["confusion"]):
        total = max(sum(cells), 1)
        shaded = "".join(f'<td style="--share:{round(45 * cell / total)}%">{cell:,}</td>' for cell in cells)
        rows += f'<tr><th scope="row">label {label}</th>{shaded}</tr>'
    return (
        f'<table><caption>Seed {seed["seed"]}</caption><thead><tr><td style="--share:0%"></td>'
        f'<th scope="col">says 0</th><th scope="col">says 1</th></tr></thead><tbody>{rows}</tbody></table>\n'
    )


def _audit_rows(report: TransferReport) -> Iterator[tuple[str, str]]:
    for key, label in _AUDIT_LABELS.items():
        if key not in report.audit:
            continue
        value = report.audit[key]
        if key == "tokens_per_row":
            yield label, ", ".join(f"{value[name]:g}" for name in ("p5", "p50", "p95", "max"))
        elif key.endswith("_predicts_label"):
            yield label, figure(value["auroc"])
        elif key.endswith("_fraction"):
            yield label, "–" if value is None else f"{value:.2%}"
        elif isinstance(value, int):
            yield label, f"{value:,}"
        else:
            yield label, figure(value, digits=2)


def _provenance_rows(report: TransferReport) -> Iterator[tuple[str, str]]:
    yield "Command", report.command
    yield (
        "Model",
        f"{report.model['family']}, {report.model['parameters']:,} parameters, {report.model['init']['kind']}",
    )
    yield "Weights from", report.model["init"]["source"] or "–"
    yield "Tokenizer", f"{report.model['tokenizer']['name']}, {report.model['tokenizer']['vocab_size']:,} tokens"
    yield "Target fingerprint", report.target["fingerprint"]
    environment = report.environment
    yield (
        "Device",
        f"{environment['device_count']} × {environment['device_kind']}, processes: {environment['processes']}",
    )
    yield "Seconds", ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in report.timing["wall_seconds"].items())
    skipped = [f"{name} ({one['skipped']})" for name, one in report.controls.items() if "skipped" in one]
    yield "Controls not run", ", ".join(skipped) or "none"


def _source_name(report: TransferReport) -> str:
    return "an unknown source" if report.source is None else report.source["dataset"]


def _table(rows: Iterator[tuple[str, str]]) -> str:
    body = "".join(f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>' for name, value in rows)
    return f'<div class="scroll"><table class="pairs"><tbody>{body}</tbody></table></div>'


def _list(texts: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(text)}</li>" for text in texts) + "</ul>"


def _text(value: object) -> str:
    return html.escape(str(value))
