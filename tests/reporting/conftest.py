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
from lingjax.reporting import build_report


@pytest.fixture(scope="session")
def make_report():
    """`make_report(**fields)`: a whole report on made-up predictions; `fields` replace the described ones."""

    def make(*, seeds=3, skill=1.5, rows=211, draw=0, **fields):
        rng = np.random.default_rng(draw)
        labels = rng.integers(0, 2, rows).astype(np.int32)

        def predictions(strength):
            difference = strength * (labels - 0.5) + rng.normal(size=rows)
            return PairPredictions(
                np.arange(rows, dtype=np.int32), labels, np.stack([0 * difference, difference], 1).astype(np.float32)
            )

        by_seed = {seed: predictions(skill) for seed in range(seeds)}
        summary = summarise(by_seed, replicates=50)
        measured = {
            "majority": majority(labels),
            "token_jaccard": threshold_control(labels * 0.5 + rng.normal(size=rows), labels, source=None),
            "random_init": model_control({seed: predictions(0.0) for seed in range(2)}),
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
