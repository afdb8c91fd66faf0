"""Which pictures a report has: the page and the files in plots/ show the same."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lingjax.reporting.figures import (
    Curves,
    StripRow,
    band_chart,
    heat_map,
    line_chart,
    reliability_diagram,
    scatter,
    strip_chart,
)
from lingjax.reporting.panels import Picture
from lingjax.reporting.report import TransferReport

_PROJECTIONS = {"after": "PCA", "after_tsne": "t-SNE"}  # earlier reports lack the second
_NO_POINTS: Mapping[str, Sequence[Sequence[float]]] = {"source": (), "target": ()}
_STATES = ("before", "after")
_ATTENDED = {"matching": "aligned token", "same_token": "same token elsewhere", "elsewhere": "other tokens"}


def report_pictures(report: TransferReport) -> dict[str, list[Picture]]:
    """Returns by plot's name what there is to show: `scores`, and where the report has them `bands`, `calibration`,
    `learning_curve`, `sample_efficiency` and `alignment`.
    """
    found: dict[str, list[Picture | None]] = {
        "scores": [
            _strips(report, "auroc", "AUROC; dashed: chance"),
            _strips(report, "accuracy", "Accuracy; dashed: always the commoner label"),
        ],
        "bands": [
            band_chart(f"AUROC and accuracy by {name}; dashed: chance", bands)
            for name, bands in (report.bands or {}).items()
        ],
        "calibration": [
            reliability_diagram("Reliability, all seeds; dashed: honest probabilities", report.calibration or [])
        ],
        "learning_curve": list(_learning(report)),
        "sample_efficiency": [
            line_chart(
                "AUROC after fine-tuning on the target; dashed: chance",
                _few_shot_curves(report),
                x_name="training pairs of the target",
                share=True,
                reference=0.5,
            )
        ],
        "alignment": list(_alignment(report.alignment)) if report.alignment else [],
    }
    kept = {plot: [one for one in pictures if one is not None] for plot, pictures in found.items()}
    return {plot: pictures for plot, pictures in kept.items() if pictures}


def _strips(report: TransferReport, metric: str, title: str) -> Picture:
    """Draws the model's mean, its seeds and every control, beside what is reached without any skill."""
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
    counts = report.target["label_counts"].values()
    return strip_chart(title, rows, reference=0.5 if metric == "auroc" else max(counts) / max(sum(counts), 1))


def _learning(report: TransferReport) -> Iterator[Picture | None]:
    for key, title, reference in (
        ("source_dev_accuracy", "Accuracy on the source's dev set, by seed", None),
        ("auroc", "AUROC on the target, by seed; dashed: chance", 0.5),
    ):
        curves: dict[str, list[tuple[int, float]]] = {}
        for entry in report.learning_curve:
            if entry[key] is not None:
                curves.setdefault(f"seed {entry['seed']}", []).append((entry["step"], entry[key]))
        if any(len(curve) > 1 for curve in curves.values()):
            yield line_chart(title, {"": curves}, x_name="step", share=True, reference=reference, by_name=True)


def _few_shot_curves(report: TransferReport) -> dict[str, Curves]:
    """Returns by start and seed the target's AUROC over its own training pairs; what was transferred begins at none."""
    groups: dict[str, dict[str, list[tuple[int, float]]]] = {}
    points = (report.sample_efficiency or {}).get("points", ())
    zero_shot = [{**seed, "shots": 0, "start": "transferred"} for seed in report.seeds] if points else []
    for point in (*zero_shot, *points):
        if point["auroc"] is not None:
            curves = groups.setdefault(point["start"], {})
            curves.setdefault(f"seed {point['seed']}", []).append((point["shots"], point["auroc"]))
    return groups


def _alignment(alignment: Mapping[str, Any]) -> Iterator[Picture | None]:
    after = alignment["states"]["after"]
    changes = {"target": after["cka"], "source": after["source_cka"]}
    yield heat_map("CKA with the state before fine-tuning, by layer", alignment["layers"], changes)
    yield line_chart(
        "Similarity of like pairs less that of unlike ones, by layer; dashed: none",
        _similarity_curves(alignment),
        x_name="layer",
        reference=0,
    )
    yield line_chart(
        "Attention to the other sentence of a target's pair, by block, after fine-tuning",
        _attention_curves(alignment),
        x_name="block",
    )
    for key, name in _PROJECTIONS.items():
        yield scatter(f"Pairs as points, after fine-tuning, {name}", alignment["projection"].get(key, _NO_POINTS))


def _similarity_curves(alignment: Mapping[str, Any]) -> dict[str, Curves]:
    """Returns by dataset and state how much more alike the sentences of like pairs are than those of unlike ones."""
    return {
        f"{dataset}, {state}": {"": curve}
        for dataset, key in (("target", "similarity"), ("source", "source_similarity"))
        for state in _STATES
        if (curve := _known(alignment["layers"], alignment["states"].get(state, {}).get(key)))
    }


def _attention_curves(alignment: Mapping[str, Any]) -> dict[str, Curves]:
    """Returns by kind of token the share of attention that it gets in the target's pairs, over blocks from 1."""
    shares = alignment["attention"]["after"]["target"] or {}
    return {
        name: {"": curve}
        for key, name in _ATTENDED.items()
        if (curve := _known(range(1, len(shares.get(key) or ()) + 1), shares.get(key)))
    }


def _known(places: Sequence[int], values: Sequence[float | None] | None) -> list[tuple[int, float]]:
    return [(place, value) for place, value in zip(places, values or (), strict=False) if value is not None]
