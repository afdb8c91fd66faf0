import numpy as np
import pytest

from lingjax.evaluation import (
    PairPredictions,
    SourceEvidence,
    TargetAudit,
    assess,
    complete_controls,
    majority,
    model_control,
    summarise,
    threshold_control,
)
from lingjax.reporting import build_report, write_predictions, write_report


def predict(rng, labels, strength):
    difference = strength * (labels - 0.5) + rng.normal(size=labels.size)
    return PairPredictions(
        np.arange(labels.size, dtype=np.int32), labels, np.stack([0 * difference, difference], 1).astype(np.float32)
    )


def draw_predictions(rng, *, seeds, skill, rows):
    """Labels, and predictions by seed."""
    labels = rng.integers(0, 2, rows).astype(np.int32)
    return labels, {seed: predict(rng, labels, skill) for seed in range(seeds)}


@pytest.fixture(scope="session")
def make_run(make_report):
    """`make_run(folder, **fields)`: a report as `make_report` makes it, with its predictions; returns its path."""

    def make(folder, *, seeds=3, skill=1.5, rows=211, draw=0, **fields):
        report = make_report(seeds=seeds, skill=skill, rows=rows, draw=draw, **fields)
        name = report.target["dataset"]
        write_report(folder / "reports" / f"{name}.json", report)
        _, by_seed = draw_predictions(np.random.default_rng(draw), seeds=seeds, skill=skill, rows=rows)
        for seed, predictions in by_seed.items():
            path = folder / "predictions" / f"{name}.seed{seed}.jsonl"
            write_predictions(path, predictions, [f"pair{row}" for row in range(rows)])
        return folder / "reports" / f"{name}.json"

    return make


@pytest.fixture(scope="session")
def make_report():
    """`make_report(**fields)`: a whole report on made-up predictions; `fields` replace the described ones."""

    def make(*, seeds=3, skill=1.5, rows=211, draw=0, **fields):
        rng = np.random.default_rng(draw)
        labels, by_seed = draw_predictions(rng, seeds=seeds, skill=skill, rows=rows)
        summary = summarise(by_seed, replicates=50)
        measured = {
            "majority": majority(labels),
            "token_jaccard": threshold_control(labels * 0.5 + rng.normal(size=rows), labels, source=None),
            "random_init": model_control({seed: predict(rng, labels, 0.0) for seed in range(2)}),
        }
        controls = complete_controls(measured, reason="belongs to a later release")
        audit = TargetAudit(
            unknown_token_fraction=0.0,
            rows_all_unknown=0,
            truncated_rows=3,
            cut_rows=0,
            tokens_per_row={"p5": 30.0, "p50": 51.0, "p95": 71.5, "max": 128.0},
            characters_per_token=4.43,
            duplicate_rows=1,
            conflicting_label_rows=0,
            rows_shared_with_source=2,
        )
        verdict = assess(
            by_seed,
            summary=summary,
            controls=controls,
            audit=audit,
            source=SourceEvidence(dict.fromkeys(range(seeds), 0.9), 0.56, 50.0),
            synthetic=False,
        )
        dataset = {
            "dataset": "paws_en",
            "split": "test",
            "fingerprint": "ab" * 32,
            "rows": rows,
            "label_counts": {"0": int((labels == 0).sum()), "1": int(labels.sum())},
            "synthetic": False,
        }
        development = {
            "dataset": "paws_en",
            "split": "dev",
            "rows": 2000,
            "majority_fraction": 0.56,
            "median_tokens": 50.0,
            "accuracy": {str(seed): 0.9 for seed in range(seeds)},
        }
        described = {
            "created_utc": "2026-11-22T12:00:00Z",
            "command": "python -m experiments.transfer --workdir=W",
            "config": {"train": {"batch_size": 20}, "seeds": seeds},
            "environment": {
                "python": "3.11.2",
                "platform": "Linux",
                "packages": {"jax": "0.10.2"},
                "device_kind": "cpu",
                "device_count": 1,
                "processes": 1,
            },
            "model": {
                "family": "bert",
                "parameters": 22_000_000,
                "init": {"kind": "pretrained", "source": "models/minilm", "sha256": "cd" * 32},
                "tokenizer": {"name": "minilm", "fingerprint": "ef" * 32, "vocab_size": 30522},
            },
            "source": dataset | {"training": {"learning_rate": 4e-5, "epochs": 5}, "dev": development},
            "target": dataset | {"dataset": "paws_de"},
            "learning_curve": [
                {
                    "seed": 0,
                    "step": 100,
                    "epoch": 1,
                    "source_dev_loss": 0.6,
                    "source_dev_accuracy": 0.7,
                    "accuracy": 0.6,
                    "auroc": None,
                    "log_loss": None,
                }
            ],
            "timing": {
                "wall_seconds": {"finetune": 100.5, "evaluate": 20.25},
                "examples_per_second": 41.0,
                "tokens_per_second": None,
                "mfu": None,
            },
        }
        return build_report(
            predictions=by_seed, summary=summary, controls=controls, audit=audit, verdict=verdict, **described | fields
        )

    return make


@pytest.fixture(scope="session")
def report(make_report):
    return make_report()


@pytest.fixture(scope="session")
def full_report(make_report, report):
    """A report that has every optional part and a learning curve of the target."""

    def band(low, high, rows, auroc):
        interval = None if auroc is None else [auroc - 0.05, min(auroc + 0.05, 1.0)]
        return {"low": low, "high": high, "rows": rows, "accuracy": 0.6, "auroc": auroc, "ci95": interval}

    rng = np.random.default_rng(3)

    def layers(**values):
        names = ("cka", "similarity", "similarity_ci95")
        return {f"{prefix}{name}": None for prefix in ("", "source_") for name in names} | values

    states = {
        "before": layers(similarity=[0.1, 0.2, 0.3], similarity_ci95=[[0.0, 0.2], [0.1, 0.3], [0.2, 0.4]]),
        "after": layers(cka=[0.9, 0.5, None], similarity=[0.3, -0.2, 0.1], source_cka=[-0.01, 0.7, 1.0]),
    }
    shares = {"rows": 13, "matching": [0.4, 0.2], "same_token": None, "elsewhere": [0.1, 0.15]}
    points = rng.normal(size=(2, 13, 2)).tolist()
    return make_report(
        target=report.target | {"dataset": "dna_pairs"},
        learning_curve=[
            {
                "seed": seed,
                "step": step,
                "epoch": step / 50,
                "source_dev_loss": 0.6,
                "source_dev_accuracy": 0.5 + step / 400,
                "accuracy": 0.6,
                "auroc": 0.5 + step / 1000 + seed / 10,
                "log_loss": 0.7,
            }
            for seed in range(2)
            for step in (50, 100, 150)
        ],
        bands={
            "length": [band(30, 40, 101, 0.61), band(40, 50.5, 83, 0.72), band(50.5, 60, 27, None)],
            "identity": [band(0.25, 0.5, 100, 0.93), band(0.5, 1, 111, 0.44)],
        },
        calibration=[
            {"low": 0.5, "high": 0.6, "rows": 211, "confidence": 0.56, "accuracy": 0.51},
            {"low": 0.6, "high": 0.8, "rows": 0, "confidence": None, "accuracy": None},
            {"low": 0.8, "high": 1.0, "rows": 422, "confidence": 0.91, "accuracy": 0.67},
        ],
        sample_efficiency={
            "rows_available": 300,
            "epochs": 20.0,
            "too_few_rows_for": [512],
            "points": [
                {
                    "shots": shots,
                    "start": start,
                    "seed": seed,
                    "source_dev_accuracy": 0.7,
                    "accuracy": 0.6,
                    "auroc": None if seed == 2 and shots == 16 else 0.5 + shots / 1000 + seed / 50,
                    "log_loss": 0.7,
                }
                for start in ("transferred", "direct")
                for shots in (16, 64, 256)
                for seed in range(3)
            ],
        },
        alignment={
            "rows": {"source": 13, "target": 13},
            "layers": [0, 1, 2],
            "states": states,
            "attention": {"after": {"source": None, "target": shares}},
            "projection": {
                key: {
                    "source": points[0],
                    "target": [[*point, number % 2] for number, point in enumerate(points[1])],
                }
                for key in ("after", "after_tsne")
            },
        },
    )
