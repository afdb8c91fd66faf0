"""The books of a run during training: log, evaluations, checkpoints, and what has to be looked at before each."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from etils import epath

from lingjax.axes import Parameters
from lingjax.errors import InputError, range_problems
from lingjax.training.checkpoint import Checkpointer, restore_together
from lingjax.training.loss import LossTally
from lingjax.training.metrics import MetricsLog
from lingjax.training.state import TrainState
from lingjax.training.throughput import Window, model_flops_utilization


class BatchIterator(Protocol):
    """Batches in a fixed order, with a place in it that can be saved and gone back to."""

    def __next__(self) -> Any: ...

    def get_state(self) -> Any:
        """Returns a plain value that names the place after the last batch given out."""

    def set_state(self, state: Any) -> None:
        """Goes to a place that `get_state` named."""


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """When things happen in a training loop, in steps; 0 means never, except at the end. A part of every recipe.

    Attributes:
      log_every: mean loss over the steps since the last log.
      evaluate_every: run the evaluation that the run has.
      save_every: write a checkpoint; one is written after each evaluation too.
      keep_checkpoints: how many of the newest checkpoints are kept beside the best one.
      patience: evaluations in a row without a better score after which training stops; 0 never stops early.
      profile_at: the first of three steps that JAX's profiler records into `profile/`; 0 records none.
      wandb: also log to this project of Weights & Biases; empty for none.
    """

    log_every: int = 50
    evaluate_every: int = 0
    save_every: int = 0
    keep_checkpoints: int = 1
    patience: int = 0
    profile_at: int = 0
    wandb: str = ""

    def problems(self) -> list[str]:
        """Returns what is out of range; the recipe that this is part of tells it with its own."""
        return range_problems(
            vars(self),
            at_least_1=["keep_checkpoints"],
            not_negative=["patience", "evaluate_every", "save_every", "log_every", "profile_at"],
        )


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluation during training: named numbers, and what to choose the best checkpoint by."""

    values: dict[str, float]
    score: float


@dataclasses.dataclass(frozen=True)
class Run:
    """A run at its beginning.

    Attributes:
      state: the first one, already on the mesh.
      batches: dataclasses of arrays with `document_ids`; `is_real` or `counted` marks the examples.
      evaluate: called with the step and the parameters after a step that is due, and after the last.
      folder: receives `checkpoints/`, `metrics.jsonl`, `tensorboard/`.
      batch_rows: rows of a batch over all hosts, where each is given its share only; None where each is given all.
      flops_per_token: what a training step takes, for the log's share of the chip's peak; 0 leaves it out.
      groups: names of the tally's groups, whose losses are logged one by one.
    """

    state: TrainState
    batches: BatchIterator
    evaluate: Callable[[int, Parameters], Evaluation]
    folder: epath.PathLike
    batch_rows: int | None = None
    flops_per_token: float = 0.0
    groups: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run went.

    Attributes:
      history: every evaluation: `step`, `score` and its values.
      best_step: that of the highest score, the earliest of equals.
      seconds: this run's share of those that this process spent in steps, without evaluations, checkpoints and the
        first step's compilation.
      examples, tokens: of this run, handled in those seconds.
    """

    history: list[dict[str, float]]
    best_step: int
    seconds: float
    examples: int
    tokens: int

    @property
    def best(self) -> dict[str, float]:
        """The evaluation at `best_step`."""
        return next(evaluation for evaluation in self.history if evaluation["step"] == self.best_step)


class RunLog:
    """What is written down of one run; a context manager, whose end waits for the writers.

    Args:
      run: whose books these are.
      config: when things happen.
      clock: seconds, increasing.

    Attributes:
      config: as given.
      folder: where the run lives.
      folders: that folder alone; the logs of several runs have several.
      first_step: how many steps were made before, known after `begin`.
      history: the evaluations so far.
    """

    def __init__(self, run: Run, config: LoopConfig, *, clock: Callable[[], float]):
        self.config = config
        self.folder = epath.Path(run.folder)
        self.folders = [self.folder]
        self.first_step = 0
        self.history: list[dict[str, float]] = []
        self._run = run
        self._window, self._rate = Window(clock), Window(clock)
        self._unchecked: list[tuple[int, LossTally, jax.Array, str]] = []
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "RunLog":
        checkpointer = Checkpointer(self.folder / "checkpoints", keep=self.config.keep_checkpoints)
        self.checkpointer = self._open.enter_context(checkpointer)
        return self

    def __exit__(self, *error):
        return self._open.__exit__(*error)

    def begin(self) -> TrainState:
        """Returns the state that the run goes on from: that of its newest checkpoint, or its first one."""
        return begin_together([self])[0]

    def begin_at(self, state: TrainState, progress: dict[str, Any] | None) -> None:
        """Opens the log at the state that the run goes on from; `progress` is that of its checkpoint."""
        self.first_step = int(state.step)
        if progress is not None:
            self.history = progress["history"]
            self.checkpointer.check_scores({entry["step"]: entry["score"] for entry in self.history})
            self._run.batches.set_state(progress["iterator"])
        self._log = self._open.enter_context(
            MetricsLog(self.folder, resumed_step=self.first_step, wandb_project=self.config.wandb)
        )
        self._window.restart()
        self._rate.restart()
        if progress is not None:
            self._window.set_sums(progress["window"])

    def next_batch(self) -> Any:
        """Returns the batch of the next step."""
        return next(self._run.batches)

    @property
    def stopped_early(self) -> bool:
        """Whether the last evaluations were no better than one before them, as many as patience allows."""
        patience = self.config.patience
        if not patience or len(self.history) <= patience:
            return False
        best = max(range(len(self.history)), key=lambda index: self.history[index]["score"])
        return len(self.history) - 1 - best >= patience

    def add(
        self,
        done: int,
        batch: Any,
        tally: LossTally,
        gradient_norm: jax.Array,
        *,
        data_seconds: float,
        is_first: bool,
    ) -> None:
        """Counts one step; the first of a process is left out of the rate, because it compiles."""
        counted = {"data_seconds": data_seconds, "batch_rows": self._run.batch_rows}
        self._window.add(batch, tally, **counted)
        self._unchecked.append((done, tally, gradient_norm, _rows(batch)))
        if is_first:
            self._log.prepare()
            self._rate.restart()
        else:
            self._rate.add(batch, tally, **counted)

    def means(self) -> dict[str, float]:
        """Returns mean loss and accuracy since the last log."""
        return self._window.tally.means()

    def check_finite(self) -> None:
        """Refuses to go on where a loss or a gradient since the last check is not finite."""
        for done, tally, gradient_norm, rows in self._unchecked:
            for name, value in {"loss": np.sum(tally.loss_sum), "gradient's norm": gradient_norm}.items():
                if not math.isfinite(float(value)):
                    raise InputError(
                        f"{self.folder}: the {name} is {float(value)} at step {done}, in a batch of the rows {rows}; "
                        "lower the learning rate, clip the gradient, or compute in float32"
                    )
        if self._unchecked:
            self._gradient_norm = float(self._unchecked[-1][2])
        self._unchecked.clear()

    def write_means(self, done: int, *, learning_rate: float) -> dict[str, float]:
        """Logs the steps since the last log, and returns their mean loss and accuracy."""
        means = self.means()
        values = {
            **means,
            **_losses_by_group(self._window.tally, self._run.groups),
            "learning_rate": learning_rate,
            "gradient_norm": self._gradient_norm,
        }
        self._log.write(done, {**values, **_rates(self._window, self._run.flops_per_token)})
        self._window.restart()
        return means

    def pause(self) -> None:
        """Stops the time, for evaluations and checkpoints."""
        self._window.pause()
        self._rate.pause()

    def resume(self) -> None:
        """Lets the time go on."""
        self._window.resume()
        self._rate.resume()

    def save(self, done: int, state: TrainState, *, evaluated: bool) -> None:
        """Writes a checkpoint, after an evaluation if one is due; the time stands still meanwhile."""
        self.pause()
        self.wait()
        self.save_now(done, state, evaluated=evaluated)
        self.resume()

    def save_now(self, done: int, state: TrainState, *, evaluated: bool) -> None:
        """As `save`, where the time stands still and nothing is being written."""
        if evaluated:
            evaluation = self._run.evaluate(done, state.parameters)
            self.history.append({"step": done, "score": evaluation.score, **evaluation.values})
            self._log.write(done, evaluation.values)
        progress = {
            "history": self.history,
            "iterator": self._run.batches.get_state(),
            "window": self._window.sums(),
        }
        self.checkpointer.save(state, progress=progress, score=self.history[-1]["score"] if evaluated else None)

    def wait(self) -> None:
        """Returns when all that was saved is written."""
        self.checkpointer.wait()

    def outcomes(self, *, shared_by: int = 1) -> list[Outcome]:
        """Returns how the run went, alone in a list; `shared_by` is how many runs its time was that of."""
        self._rate.pause()
        best = max(self.history, key=lambda evaluation: (evaluation["score"], -evaluation["step"]))
        rate = self._rate
        return [Outcome(self.history, int(best["step"]), rate.seconds / shared_by, rate.examples, rate.tokens)]


def begin_together(logs: Sequence[RunLog]) -> list[TrainState]:
    """Returns the states that runs go on from: those of their newest common checkpoints, or the first ones."""
    states = [log._run.state for log in logs]
    restored = restore_together([log.checkpointer for log in logs], states)
    if restored is not None:
        states = [each.state for each in restored]
    for index, (log, state) in enumerate(zip(logs, states, strict=True)):
        log.begin_at(state, None if restored is None else restored[index].progress)
    return states


def _rows(batch: Any) -> str:
    """Names the rows of a batch, so that one that breaks a run can be looked at."""
    row_ids = batch.row_ids[batch.row_ids >= 0].tolist()
    listed = ", ".join(map(str, row_ids[:40])) + (", ..." if len(row_ids) > 40 else "")
    if not hasattr(batch, "domain_ids"):
        return listed
    return f"{listed} of domains {', '.join(map(str, batch.domain_ids[:40].tolist()))}"


def _losses_by_group(tally: LossTally, groups: Sequence[str]) -> dict[str, float]:
    """Returns the mean loss of each group; groups of one name are one."""
    losses = {}
    for name in dict.fromkeys(groups):
        is_its = np.array([group == name for group in groups])
        count = np.asarray(tally.count)[is_its].sum()
        if count:
            losses[f"{name}_training_loss"] = float(np.asarray(tally.loss_sum, np.float64)[is_its].sum() / count)
    return losses


def _rates(window: Window, flops_per_token: float) -> dict[str, float | None]:
    rates = window.rates()
    if not flops_per_token:
        return rates
    utilization = model_flops_utilization(
        rates["tokens_per_second"], flops_per_token=flops_per_token, devices=jax.devices()
    )
    return {**rates, "mfu": utilization}
