"""What is known of the training behind the models that are judged."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from lingjax.data import PairEncoder
from lingjax.errors import InputError
from lingjax.evaluation import SourceEvidence
from lingjax.study.checkpoints import Trained
from lingjax.study.encoded import EncodedTask
from lingjax.study.tasks import open_source
from lingjax.study.watch import target_metrics
from lingjax.training.run_folder import read_result, read_run_description

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SourceSide:
    """What is known of the training behind the models; nothing, for a Hugging Face folder.

    Attributes:
      described: the report's `source`.
      source, dev: training and dev pairs; None if they are not there any more.
      history: what all seeds reached, one entry an evaluation.
      seconds: that training took, by stage.
    """

    described: dict[str, Any] | None
    source: EncodedTask | None
    dev: EncodedTask | None
    history: list[dict[str, Any]]
    seconds: dict[str, float]

    @staticmethod
    def of(
        trained: Trained, encoder: PairEncoder, opened: tuple[EncodedTask, EncodedTask] | None = None
    ) -> "SourceSide":
        """Reads what the runs left.

        Args:
          trained: the models.
          encoder: how they read pairs.
          opened: source and dev, where this program trained on them; otherwise they are opened again if they can be.
        """
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
        source, dev = opened or _reopen(settings["reopen"], encoder)
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


def _reopen(settings: Mapping[str, Any], encoder: PairEncoder) -> tuple[EncodedTask, EncodedTask] | tuple[None, None]:
    try:
        source, dev = open_source(**settings)
    except InputError as error:
        _LOG.warning("the training data cannot be opened again, so overlap is not audited: %s", error)
        return None, None
    return EncodedTask(source, encoder), EncodedTask(dev, encoder)
