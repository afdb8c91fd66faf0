"""How fast a run goes: sums over steps, and the share of the chip's peak that its arithmetic takes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lingjax.models import ModelConfig
from lingjax.training.chips import find_chip
from lingjax.training.loss import LossTally


def training_flops_per_token(config: ModelConfig, *, num_parameters: int, length: int) -> float:
    """Returns the floating-point operations of one training step for each token, forward and backward.

    Args:
      config: the model.
      num_parameters: all of them. The position and token tables count too, the latter as the output matrix.
      length: tokens of a row, each of which attention compares with all others, causal or not.

    Source: Chowdhery et al. 2022 (PaLM), appendix B: 6 N + 12 L d T.
    """
    return 6 * num_parameters + 12 * config.depth * config.width * length


def model_flops_utilization(
    tokens_per_second: float, *, flops_per_token: float, devices: list[jax.Device]
) -> float | None:
    """Returns the share of the devices' peak that the model's arithmetic takes; None on an unlisted device."""
    chip = find_chip(devices[0].device_kind)
    return None if chip is None else tokens_per_second * flops_per_token / (chip.peak_flops * len(devices))


class Window:
    """Sums over the steps since `restart`, and the time they took.

    Args:
      clock: seconds, increasing.
    """

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Starts anew from nothing."""
        self.tally = LossTally.empty()
        self.steps = 0
        self.examples = 0
        self.tokens = 0
        self.seconds = 0.0
        self.data_seconds = 0.0
        self._since: float | None = self._clock()

    def pause(self) -> None:
        """Stops the time, for an evaluation or a checkpoint."""
        if self._since is not None:
            self.seconds += self._clock() - self._since
            self._since = None

    def resume(self) -> None:
        """Lets the time go on."""
        if self._since is None:
            self._since = self._clock()

    def add(self, batch: Any, tally: LossTally, *, data_seconds: float = 0.0, batch_rows: int | None = None) -> None:
        """Counts one step of all hosts.

        Args:
          batch: all rows, or this host's share of them.
          tally: sums over the whole batch.
          data_seconds: that the step waited for its batch.
          batch_rows: rows of the batch over all hosts; by default those that are given are all. The other hosts' rows
            are taken to hold as much as these.
        """
        rows = len(batch.token_ids)
        whole = rows if batch_rows is None else batch_rows
        self.tally = self.tally + tally  # stays on the device: no step waits for the host
        self.steps += 1
        examples = int(np.count_nonzero(batch.is_real)) if hasattr(batch, "is_real") else rows
        self.examples += examples * whole // rows
        self.tokens += int(np.count_nonzero(batch.document_ids)) * whole // rows
        self.data_seconds += data_seconds

    def sums(self) -> dict[str, Any]:
        """Returns the sums as plain values, which `set_sums` takes back in a resumed run."""
        return {
            "loss_sum": np.asarray(self.tally.loss_sum).tolist(),
            "correct": np.asarray(self.tally.correct).tolist(),
            "count": np.asarray(self.tally.count).tolist(),
            "steps": self.steps,
            "examples": self.examples,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "data_seconds": self.data_seconds,
        }

    def set_sums(self, sums: dict[str, Any]) -> None:
        """Goes on from what `sums` returned."""
        self.tally = LossTally(jnp.float32(sums["loss_sum"]), jnp.int32(sums["correct"]), jnp.int32(sums["count"]))
        for name in ("steps", "examples", "tokens", "seconds", "data_seconds"):
            setattr(self, name, sums[name])

    def rates(self) -> dict[str, float]:
        """Returns rates and times, the step's mean time and its share of waiting for data among them."""
        self.pause()
        seconds = max(self.seconds, 1e-9)
        return {
            "examples_per_second": self.examples / seconds,
            "tokens_per_second": self.tokens / seconds,
            "seconds": self.seconds,
            "step_seconds": self.seconds / max(self.steps, 1),
            "data_wait_fraction": min(self.data_seconds / seconds, 1.0) if self.seconds else 0.0,
        }
