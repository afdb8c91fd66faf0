"""The report page's section about one target: figures, confusion matrices, audit, sign tests, provenance."""

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lingjax.reporting.alignment_figures import alignment_figures
from lingjax.reporting.binned_figures import band_chart, reliability_diagram
from lingjax.reporting.figures import Curves, StripRow, line_chart, strip_chart
from lingjax.reporting.report import TransferReport
from lingjax.reporting.table import figure

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


def target_section(report: TransferReport, *, anchor: str, folded: bool = False) -> str:
    """Returns the section; parts that the report lacks are left out.

    Args:
      report: of one target.
      anchor: the section's `id`, a plain word.
      folded: all but the verdict and its figures is shown on demand, as suits a page of many targets.
    """
    target, verdict = report.target, report.verdict
    counts = target["label_counts"]
    beaten = {True: "It beats the best control.", False: "It does not clearly beat the best control.", None: ""}
    parts = {
        "By part of the target": _figures(_bands(report)),
        "Calibration and learning curves": _figures(_learning(report)),
        "Representations": _figures(alignment_figures(report.alignment) if report.alignment else ()),
        "Confusion matrices": f'<div class="confusions">{"".join(map(_confusion, report.seeds))}</div>\n',
        "Audit of the data": _table(_audit_rows(report)),
        "Sign tests": _sign_tests(report),
    }
    shown = "".join(_part(heading, content, is_open=not folded) for heading, content in parts.items() if content)
    shown += _part("How this came about", _table(_provenance_rows(report)), is_open=False)
    return (
        f'<section id="{anchor}"><h2>{_text(source_name(report))} → {_text(target["dataset"])}</h2>\n'
        f"<p>{_ORIENTATIONS[verdict['orientation']]} {beaten[verdict['above_best_control']]}</p>\n"
        f'<p class="muted">{target["rows"]:,} pairs of split {_text(target["split"])}: {counts["0"]:,} with label 0, '
        f'{counts["1"]:,} with label 1</p>\n<div class="figures">\n'
        f"{_strips(report, 'auroc', 'AUROC; dashed: chance')}"
        f"{_strips(report, 'accuracy', 'Accuracy; dashed: always the commoner label')}"
        '</div>\n<p class="muted">Broad bars: 95 % intervals over items. Thin line: over items and seeds. Circles: '
        f"seeds.</p>\n{shown}</section>\n"
    )


def _part(heading: str, content: str, *, is_open: bool) -> str:
    """Returns a part that a click on its heading shows or hides; on paper all of it is shown."""
    return f"<details{' open' if is_open else ''}><summary><h3>{heading}</h3></summary>{content}</details>\n"


def source_name(report: TransferReport) -> str:
    """Returns the source's name, or what to say where it is not known."""
    return "an unknown source" if report.source is None else report.source["dataset"]


def _figures(drawn: Iterable[str]) -> str:
    """Returns figures side by side; nothing if there are none."""
    joined = "".join(drawn)
    return f'<div class="figures small">{joined}</div>\n' if joined else ""


def _bands(report: TransferReport) -> Iterator[str]:
    for name, bands in (report.bands or {}).items():
        yield band_chart(f"AUROC and accuracy by {name}; dashed: chance", bands)


def _learning(report: TransferReport) -> Iterator[str]:
    if report.calibration:
        yield reliability_diagram("Reliability, all seeds; dashed: honest probabilities", report.calibration)
    for title, curves, reference in learning_curves(report):
        yield line_chart(title, {"": curves}, x_name="step", y_bounds=(0, 1), reference=reference)
    yield line_chart(
        "AUROC after fine-tuning on the target; dashed: chance",
        few_shot_curves(report),
        x_name="training pairs of the target",
        y_bounds=(0, 1),
        reference=0.5,
    )


def few_shot_curves(report: TransferReport) -> dict[str, Curves]:
    """Returns by start and seed the target's AUROC over its own training pairs; what was transferred begins at none."""
    groups: dict[str, dict[str, list[tuple[int, float]]]] = {}
    points = (report.sample_efficiency or {}).get("points", ())
    zero_shot = [{**seed, "shots": 0, "start": "transferred"} for seed in report.seeds] if points else []
    for point in (*zero_shot, *points):
        if point["auroc"] is not None:
            curves = groups.setdefault(point["start"], {})
            curves.setdefault(f"seed {point['seed']}", []).append((point["shots"], point["auroc"]))
    return groups


def learning_curves(report: TransferReport) -> Iterator[tuple[str, Curves, float | None]]:
    """Yields title, curves by seed over steps, and chance, for each metric measured at more than one step."""
    for key, title, reference in (
        ("source_dev_accuracy", "Accuracy on the source's dev set, by seed", None),
        ("auroc", "AUROC on the target, by seed; dashed: chance", 0.5),
    ):
        curves = _by_seed(report, key)
        if any(len(curve) > 1 for curve in curves.values()):
            yield title, curves, reference


def _by_seed(report: TransferReport, key: str) -> Curves:
    curves: dict[str, list[tuple[int, float]]] = {}
    for entry in report.learning_curve:
        if entry[key] is not None:
            curves.setdefault(f"seed {entry['seed']}", []).append((entry["step"], entry[key]))
    return curves


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
        '<p class="muted">Permutation tests: how many rows the model places better '
        f"among those of the other label than the rival does{corrected}.</p>{_table(rows)}"
    )


def _strips(report: TransferReport, metric: str, title: str) -> str:
    rows, reference = strip_rows(report, metric)
    return strip_chart(title, rows, reference=reference)


def strip_rows(report: TransferReport, metric: str) -> tuple[list[StripRow], float]:
    """Returns the model's mean, its seeds and every control, and what is reached without any skill.

    Args:
      report: of one target.
      metric: `auroc` or `accuracy`.
    """
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
    return rows, 0.5 if metric == "auroc" else _majority(report)


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


def _table(rows: Iterator[tuple[str, str]]) -> str:
    body = "".join(f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>' for name, value in rows)
    return f'<div class="scroll"><table class="pairs"><tbody>{body}</tbody></table></div>'


def _text(value: object) -> str:
    return html.escape(str(value))
