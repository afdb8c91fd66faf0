"""What is known of the training behind the models that are judged."""

import dataclasses
from typing import Any

from absl import logging

from experiments.checkpoints import Trained
from experiments.tasks import Task, open_source
from experiments.watching import target_metrics
from lingjax.errors import InputError
from lingjax.evaluation import SourceEvidence
from lingjax.training.run_folder import read_result, read_run_description


@dataclasses.dataclass(frozen=True)
class SourceSide:
    """What is known of the training behind the models; nothing, for a Hugging Face folder."""

    described: dict[str, Any] | None
    source: Task | None
    dev: Task | None
    history: list[dict[str, Any]]
    seconds: dict[str, float]

    @staticmethod
    def of(trained: Trained) -> "SourceSide":
        """Reads what the runs left, and opens their datasets again if they are still there."""
        if not trained.folders:
            return SourceSide(None, None, None, [], {})
        settings = read_run_description(next(iter(trained.folders.values())))["settings"]
        results = {seed: read_result(folder) for seed, folder in trained.folders.items()}
        described = dict(settings["source"])
        accuracies = {str(seed): result["best"]["dev_accuracy"] for seed, result in results.items()}
        described["dev"] = described["dev"] | {"accuracy": accuracies}
        history = [
            {"seed": seed, "epoch": entry["step"] / result["steps_per_epoch"], **entry}
            for seed, result in results.items()
            for entry in result["history"]
        ]
        seconds = {"finetune": sum(result["seconds"] for result in results.values())}
        for name, runs in trained.controls.items():
            seconds[f"finetune_{name}"] = sum(read_result(folder)["seconds"] for folder in runs.values())
        try:
            source, dev = open_source(**settings["reopen"])
        except InputError as error:
            logging.warning("the training data cannot be opened again, so overlap is not audited: %s", error)
            source = dev = None
        return SourceSide(described, source, dev, history, seconds)

    def learning_curve(self, target: str) -> list[dict[str, Any]]:
        """Returns the source's dev figures and the target's at every evaluation of every seed."""
        return [
            {
                **{name: entry[name] for name in ("seed", "step", "epoch")},
                "source_dev_loss": entry["dev_loss"],
                "source_dev_accuracy": entry["dev_accuracy"],
                **target_metrics(entry, target),
            }
            for entry in self.history
        ]

    def judged(self) -> SourceEvidence | None:
        """What the verdict needs."""
        if self.described is None:
            return None
        dev = self.described["dev"]
        return SourceEvidence(
            dev_accuracy={int(seed): accuracy for seed, accuracy in dev["accuracy"].items()},
            dev_majority_fraction=dev["majority_fraction"],
            median_tokens=dev["median_tokens"],
        )
