"""The report page's section about one target: figures, confusion matrices, audit, sign tests, provenance."""

import html
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lingjax.reporting.audit_page import findings_list
from lingjax.reporting.numbers import figure, p_text, seed_share
from lingjax.reporting.panels import Picture, number_pictures
from lingjax.reporting.report import TransferReport
from lingjax.reporting.report_figures import report_pictures
from lingjax.reporting.table import interval_text, source_name
from lingjax.reporting.verdict_words import verdict_sentences

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
    "rows_that_share_a_text": "Rows that share a text with another row",
    "groups": "Groups of rows that share texts",
    "rows_similar_to_source": "Rows similar to the source's: copies, fragments, homologs",
    "negatives_that_encode_fraction": "Negatives whose DNA encodes part of the protein",
    "positives_that_encode_fraction": "Positives whose DNA encodes part of the protein",
    "length_predicts_label": "Label told by lengths alone: AUROC within the target",
    "composition_predicts_label": "Label told by letter shares alone: AUROC within the target",
}


_FIGURES = {
    "accuracy": "Accuracy",
    "flipped_accuracy": "Accuracy with labels exchanged",
    "auroc": "AUROC",
    "f1": "F1",
    "mcc": "MCC (Matthews correlation)",
    "log_loss": "Log loss",
    "ece": "ECE (expected calibration error)",
    "predicted_positive_fraction": "Share predicted as label 1",
}
_FIGURE_HEADING = (
    "Figure",
    "Mean",
    "± over seeds",
    "95 % over items",
    "95 % over seeds",
    "95 % over both",
    "Doubt from seeds",
)


def target_section(report: TransferReport, *, anchor: str, folded: bool = False, path: str | None = None) -> str:
    """Returns the section; parts that the report lacks are left out.

    Args:
      report: what was found on one target.
      anchor: the section's `id`, a plain word.
      folded: all but the verdict and its figures is shown on demand, as suits a page of many targets.
      path: the start of this target's files' names beside the page, if they are known to lie there.
    """
    target, pictures = report.target, report_pictures(report)

    def figures(*plots: str) -> str:
        return "".join(_figures(pictures[plot], name=f"{anchor}-{plot}") for plot in plots if plot in pictures)

    counts = target["label_counts"]
    parts = {
        "By part of the target": figures("bands"),
        "Calibration and learning curves": figures("calibration", "learning_curve", "sample_efficiency")
        + _few_shots_left_out(report),
        "Representations": figures("alignment"),
        "All figures": _table(_figure_rows(report), heading=_FIGURE_HEADING),
        "Confusion matrices": f'<div class="confusions">{"".join(map(_confusion, report.seeds))}</div>\n',
        "Audit of the data": _table(_audit_rows(report)) + _giveaways(report),
        "Sign tests": _sign_tests(report),
    }
    shown = "".join(_part(heading, content, is_open=not folded) for heading, content in parts.items() if content)
    shown += _part("How this came about", _table(_provenance_rows(report)), is_open=False)
    return (
        f'<section id="{anchor}"><h2>{_text(source_name(report))} → {_text(target["dataset"])}</h2>\n'
        f"<p>{_text(' '.join(verdict_sentences(report)))}</p>\n"
        f'<p class="muted">{target["rows"]:,} pairs of split {_text(target["split"])}: {counts["0"]:,} with label 0, '
        f'{counts["1"]:,} with label 1</p>\n{_files(report, path)}<div class="figures">\n'
        f"{''.join(number_pictures(pictures['scores'], name=f'{anchor}-scores'))}"
        '</div>\n<p class="muted">Broad bars: 95 % intervals over items. Thin line: over items and seeds. Circles: '
        f"seeds.</p>\n{shown}</section>\n"
    )


def _part(heading: str, content: str, *, is_open: bool) -> str:
    """Returns a part that a click on its heading shows or hides; on paper all of it is shown."""
    return f"<details{' open' if is_open else ''}><summary><h3>{heading}</h3></summary>{content}</details>\n"


def _files(report: TransferReport, name: str | None) -> str:
    """Returns links to the files that lie beside the page."""
    if name is None:
        return ""
    links = [("report", f"reports/{name}.json")]
    links += [(f"predictions of seed {s['seed']}", f"predictions/{name}.seed{s['seed']}.jsonl") for s in report.seeds]
    links += [("plots", "plots")]
    listed = ", ".join(f'<a href="{urllib.parse.quote(address)}">{_text(said)}</a>' for said, address in links)
    return f'<p class="muted">Files: {listed}</p>\n'


def _figures(pictures: Sequence[Picture], *, name: str) -> str:
    """Returns figures side by side."""
    return f'<div class="figures small">{"".join(number_pictures(pictures, name=name))}</div>\n'


def _few_shots_left_out(report: TransferReport) -> str:
    few = report.sample_efficiency or {}
    said = [f"Not fine-tuned on the target: {few['skipped']}"] if "skipped" in few else []
    if few.get("too_few_rows_for"):
        sizes = ", ".join(f"{size:,}" for size in few["too_few_rows_for"])
        said.append(f"The target has too few pairs ({few['rows_available']:,}) for training on {sizes}.")
    return "".join(f'<p class="muted">{_text(one)}</p>\n' for one in said)


def _figure_rows(report: TransferReport) -> Iterator[Sequence[str]]:
    """Yields every summarised figure with its three intervals, and what was reached on the source's dev set."""
    for key, summary in report.summary.items():
        intervals = (summary.get(f"ci95_over_{what}") for what in ("items", "seeds", "both"))
        spread = figure(summary["std_over_seeds"])
        share = seed_share(summary, num_seeds=len(report.seeds))
        shown = "–" if share is None else f"{share:.0%}"
        yield _FIGURES.get(key, key), figure(summary["mean"]), spread, *map(interval_text, intervals), shown
    development = report.source and report.source["dev"]
    if development:
        accuracies = ", ".join(map(figure, development["accuracy"].values()))
        commoner = figure(development["majority_fraction"])
        yield (
            f"Accuracy on the source's dev set ({development['dataset']}, {development['rows']:,} rows), by seed",
            accuracies,
            f"the commoner label has {commoner}",
            *["–"] * 4,
        )


def _sign_tests(report: TransferReport) -> str:
    tests = report.verdict.get("sign_tests")
    if not tests:
        return ""
    targets = report.verdict["targets_judged_together"]
    how = " (false discovery rate)" if report.verdict.get("correction") == "benjamini_hochberg" else ""
    corrected = f", p corrected for {targets} targets{how}" if targets > 1 else ""
    rows = [
        (name, f"{_counted(test)}; {p_text(test['p_corrected'])}{_mark(test['p_corrected'])}")
        for name, test in _by_weight(tests, report.controls)
    ]
    return (
        '<p class="muted">Permutation tests: how many rows the model places better among those of the other label '
        f"than the rival does{corrected}. One-sided: a large p says that the model is not shown to be better. "
        f"* p below 0.05. Chance first, then the controls from the strongest on.</p>{_table(rows)}"
    )


def _counted(test: Mapping[str, Any]) -> str:
    return f"{test['wins']:,} better, {test['losses']:,} worse, {test['ties']:,} alike"


def _mark(p: float) -> str:
    return " *" if p < 0.05 else ""


def _by_weight(tests: Mapping[str, Any], controls: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Returns chance, then controls by falling AUROC; the majority, which ranks nothing, is chance again."""

    def strength(name: str) -> float:
        return 2.0 if name == "chance" else controls.get(name, {}).get("auroc") or 0.0

    return sorted(
        ((name, test) for name, test in tests.items() if name != "majority"), key=lambda item: -strength(item[0])
    )


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
    known = [key for key in _AUDIT_LABELS if key in report.audit]
    for key in [*known, *(key for key in report.audit if key not in (*_AUDIT_LABELS, "giveaways"))]:
        label, value = _AUDIT_LABELS.get(key, key.replace("_", " ").capitalize()), report.audit[key]
        if key == "tokens_per_row":
            yield label, ", ".join(f"{value[name]:g}" for name in ("p5", "p50", "p95", "max"))
        elif isinstance(value, Mapping) and "auroc" in value:
            yield label, f"{figure(value['auroc'])} {interval_text(value['ci95'])}"
        elif key.endswith("_fraction"):
            yield label, "–" if value is None else f"{value:.2%}"
        elif isinstance(value, int):
            yield label, f"{value:,}"
        elif isinstance(value, Mapping):
            yield label, ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
        else:
            yield label, _plain(value)


def _giveaways(report: TransferReport) -> str:
    """Returns in words what the learning audit found."""
    held = report.audit.get("giveaways")
    if not held:
        return ""
    read = f"{len(held['families'])} models on one kind of feature each, over {held['rows_read']:,} rows"
    if not held["findings"]:
        return f'<p class="muted">No give-away: {read}, and counting found nothing.</p>\n'
    return f'<h4>Give-aways</h4>{findings_list(held["findings"])}<p class="muted">By {read}, and by counting.</p>\n'


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


def _plain(value: Any) -> str:
    return figure(value, digits=2) if value is None or isinstance(value, float) else str(value)


def _table(rows: Iterable[Sequence[str]], heading: Sequence[str] = ()) -> str:
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in heading)
    body = "".join(
        f'<tr><th scope="row">{_text(name)}</th>{"".join(f"<td>{_text(value)}</td>" for value in values)}</tr>'
        for name, *values in rows
    )
    return (
        '<div class="scroll" tabindex="0"><table class="pairs">'
        + (f"<thead><tr>{head}</tr></thead>" if head else "")
        + f"<tbody>{body}</tbody></table></div>"
    )


def _text(value: object) -> str:
    return html.escape(str(value))
