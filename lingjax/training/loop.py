"""The training loop: the same turns for fine-tuning and pretraining."""

import contextlib
import dataclasses
import math
import sys
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jax.sharding import Mesh
from tqdm import tqdm

from lingjax.axes import Parameters
from lingjax.errors import InputError
from lingjax.training.checkpoint import Checkpointer
from lingjax.training.loss import LossTally
from lingjax.training.mesh import place_batch
from lingjax.training.metrics import MetricsLog
from lingjax.training.state import TrainState
from lingjax.training.steps import TrainStep


class BatchIterator(Protocol):
    """Batches in a fixed order, with a place in it that can be saved and gone back to."""

    def __next__(self) -> Any: ...

    def get_state(self) -> Any:
        """Returns a plain value that names the place after the last batch given out."""

    def set_state(self, state: Any) -> None:
        """Goes to a place that `get_state` named."""


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """When things happen, in steps; 0 means never, except at the end.

    Attributes:
      total_steps: updates of the whole run.
      log_every: mean loss over the steps since the last log.
      evaluate_every: run the evaluation that was passed in.
      save_every: write a checkpoint; one is written after each evaluation too.
      patience: stop after this many evaluations in a row without a better score; 0 never stops early.
    """

    total_steps: int
    log_every: int = 50
    evaluate_every: int = 0
    save_every: int = 0
    patience: int = 0


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluation during training: named numbers, and what to choose the best checkpoint by."""

    values: dict[str, float]
    score: float


@dataclasses.dataclass(frozen=True)
class LoopResult:
    """How a run went.

    Attributes:
      state: after the last step made.
      history: every evaluation: `step`, `score` and its values.
      best_step: that of the highest score, the earliest of equals.
      seconds: spent in steps by this process, without evaluations, checkpoints and the first step's compilation.
      examples, tokens: handled in those seconds.
    """

    state: TrainState
    history: list[dict[str, float]]
    best_step: int
    seconds: float
    examples: int
    tokens: int


def train(
    state: TrainState,
    batches: BatchIterator,
    *,
    config: LoopConfig,
    step: TrainStep,
    mesh: Mesh,
    evaluate: Callable[[int, Parameters], Evaluation],
    folder: epath.PathLike,
    learning_rate: Callable[[int], Any],
    clock: Callable[[], float],
    title: str,
) -> LoopResult:
    """Runs to `total_steps`, going on from the newest checkpoint in `folder` if there is one.

    Every turn: one step; then, where due, log, evaluate, save, in this order, so that a checkpoint holds all that was
    known at its step and a resumed run repeats nothing that counts.

    Args:
      state: the first state, already on the mesh.
      batches: dataclasses of arrays with `document_ids`; `is_real` or `counted` marks the examples.
      config: when things happen.
      step: makes one update.
      mesh: where batches are placed.
      evaluate: called with the step and the parameters after a step that is due, and after the last.
      folder: of the run; receives `checkpoints/`, `metrics.jsonl`, `tensorboard/`.
      learning_rate: shown in the log.
      clock: seconds, increasing.
      title: of the progress bar.

    Raises:
      InputError: the loss or the gradient is not finite.
    """
    folder = epath.Path(folder)
    history: list[dict[str, float]] = []
    with contextlib.ExitStack() as stack:
        checkpointer = stack.enter_context(Checkpointer(folder / "checkpoints"))
        restored = checkpointer.restore(state)
        if restored is not None:
            state = restored.state
            history = restored.progress["history"]
            batches.set_state(restored.progress["iterator"])
        first_step = int(state.step)
        log = stack.enter_context(MetricsLog(folder, resumed_step=first_step))
        bar = stack.enter_context(
            tqdm(
                desc=title,
                total=config.total_steps,
                initial=first_step,
                unit="step",
                mininterval=0.5 if sys.stderr.isatty() else 15,
                dynamic_ncols=True,
            )
        )
        window = _Window(clock)
        rate = _Window(clock)
        if restored is not None:
            window.set_sums(restored.progress["window"])

        for done in range(first_step + 1, config.total_steps + 1):
            if _stopped_early(history, config.patience):
                break
            batch = next(batches)
            state, tally, gradient_norm = step(state, place_batch(batch, mesh))
            window.add(batch, tally)
            if done == first_step + 1:
                # The first step compiles; the rate is that of the steps after it.
                jax.block_until_ready(state.step)
                rate.restart()
            else:
                rate.add(batch, tally)
            bar.update()
            last = done == config.total_steps
            logged = last or _due(done, config.log_every)
            evaluated = last or _due(done, config.evaluate_every)
            saved = evaluated or _due(done, config.save_every)
            if logged or saved:
                # Looked at before saving too, so that no checkpoint holds parameters that are beyond repair.
                means = window.tally.means()
                _check_finite({"loss": means["loss"], "gradient's norm": float(gradient_norm)}, folder, done)
            if logged:
                bar.set_postfix(loss=f"{means['loss']:.3f}", accuracy=f"{means['accuracy']:.3f}")
                values = {
                    **means,
                    "learning_rate": float(learning_rate(done - 1)),
                    "gradient_norm": float(gradient_norm),
                }
                log.write(done, {**values, **window.rates()})
                window.restart()
            if saved:
                jax.block_until_ready(state.step)
                window.pause()
                rate.pause()
            if evaluated:
                evaluation = evaluate(done, state.parameters)
                history.append({"step": done, "score": evaluation.score, **evaluation.values})
                log.write(done, evaluation.values)
            if saved:
                checkpointer.save(
                    state,
                    progress={"history": history, "iterator": batches.get_state(), "window": window.sums()},
                    score=history[-1]["score"] if evaluated else None,
                )
                window.resume()
                rate.resume()
        jax.block_until_ready(state.step)
        rate.pause()
    best = max(history, key=lambda evaluation: (evaluation["score"], -evaluation["step"]))
    return LoopResult(state, history, int(best["step"]), rate.seconds, rate.examples, rate.tokens)


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


def _check_finite(values: dict[str, float], folder: epath.Path, done: int) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise InputError(
                f"{folder}: the {name} is {value} at step {done}; "
                "lower the learning rate, clip the gradient, or compute in float32"
            )


def _stopped_early(history: list[dict[str, float]], patience: int) -> bool:
    if not patience or len(history) <= patience:
        return False
    best = max(range(len(history)), key=lambda index: history[index]["score"])
    return len(history) - 1 - best >= patience


class _Window:
    """Sums over the steps since `restart`, and the time they took."""

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        self.tally = LossTally.empty()
        self.examples = 0
        self.tokens = 0
        self.seconds = 0.0
        self._since: float | None = self._clock()

    def pause(self) -> None:
        if self._since is not None:
            self.seconds += self._clock() - self._since
            self._since = None

    def resume(self) -> None:
        if self._since is None:
            self._since = self._clock()

    def add(self, batch: Any, tally: LossTally) -> None:
        self.tally = self.tally + tally  # stays on the device: no step waits for the host
        self.examples += int(np.count_nonzero(batch.is_real)) if hasattr(batch, "is_real") else len(batch.token_ids)
        self.tokens += int(np.count_nonzero(batch.document_ids))

    def sums(self) -> dict[str, float]:
        """Returns the sums as plain values, which `set_sums` takes back in a resumed run."""
        return {
            "loss_sum": float(self.tally.loss_sum),
            "correct": int(self.tally.correct),
            "count": int(self.tally.count),
            "examples": self.examples,
            "tokens": self.tokens,
            "seconds": self.seconds,
        }

    def set_sums(self, sums: dict[str, float]) -> None:
        self.tally = LossTally(jnp.float32(sums["loss_sum"]), jnp.int32(sums["correct"]), jnp.int32(sums["count"]))
        self.examples, self.tokens, self.seconds = sums["examples"], sums["tokens"], sums["seconds"]

    def rates(self) -> dict[str, float]:
        self.pause()
        seconds = max(self.seconds, 1e-9)
        return {
            "examples_per_second": self.examples / seconds,
            "tokens_per_second": self.tokens / seconds,
            "seconds": self.seconds,
        }
