"""The training loop: the same turns for fine-tuning and pretraining."""

import contextlib
import dataclasses
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh
from tqdm import tqdm

from lingjax.axes import Parameters
from lingjax.errors import InputError
from lingjax.training.checkpoint import Checkpointer
from lingjax.training.interruption import EXIT_CODE, watch_for_sigterm
from lingjax.training.loss import LossTally
from lingjax.training.mesh import place_batch
from lingjax.training.metrics import MetricsLog
from lingjax.training.state import TrainState
from lingjax.training.steps import TrainStep
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
    """When things happen, in steps; 0 means never, except at the end.

    Attributes:
      total_steps: updates of the whole run.
      log_every: mean loss over the steps since the last log.
      evaluate_every: run the evaluation that was passed in.
      save_every: write a checkpoint; one is written after each evaluation too.
      keep_checkpoints: how many of the newest checkpoints are kept beside the best one.
      patience: stop after this many evaluations in a row without a better score; 0 never stops early.
      profile_at: the first of three steps that JAX's profiler records into `profile/`.
      flops_per_token: of a training step, for the log's share of the chip's peak; 0 leaves it out.
      wandb_project: also log to this project of Weights & Biases; empty for none.
      groups: names of the tally's groups, whose losses are logged one by one.
    """

    total_steps: int
    log_every: int = 50
    evaluate_every: int = 0
    save_every: int = 0
    keep_checkpoints: int = 1
    patience: int = 0
    profile_at: int = 0
    flops_per_token: float = 0.0
    wandb_project: str = ""
    groups: Sequence[str] = ()


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
    batch_rows: int | None = None,
    evaluate: Callable[[int, Parameters], Evaluation],
    folder: epath.PathLike,
    learning_rate: Callable[[int], Any],
    clock: Callable[[], float],
    title: str,
) -> LoopResult:
    """Runs to `total_steps`, going on from the newest checkpoint in `folder` if there is one.

    Every turn: one step; then, where due, log, evaluate, save, in this order, so that a checkpoint holds all that was
    known at its step and a resumed run repeats nothing that counts. SIGTERM makes the turn it falls into the last:
    it saves, and the program ends with exit code 143.

    Args:
      state: the first state, already on the mesh.
      batches: dataclasses of arrays with `document_ids`; `is_real` or `counted` marks the examples.
      config: when things happen.
      step: makes one update.
      mesh: where batches are placed.
      batch_rows: rows of a batch over all hosts, where each is given its share only; None where each is given all.
      evaluate: called with the step and the parameters after a step that is due, and after the last.
      folder: of the run; receives `checkpoints/`, `metrics.jsonl`, `tensorboard/`.
      learning_rate: shown in the log.
      clock: seconds, increasing.
      title: of the progress bar.

    Raises:
      InputError: the loss or the gradient is not finite; names the step and the batch's rows.
      SystemExit: SIGTERM came, and a checkpoint was written.
    """
    folder = epath.Path(folder)
    history: list[dict[str, float]] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.set_mesh(mesh))  # the model says where its activations lie
        checkpointer = stack.enter_context(Checkpointer(folder / "checkpoints", keep=config.keep_checkpoints))
        restored = checkpointer.restore(state)
        if restored is not None:
            state = restored.state
            history = restored.progress["history"]
            batches.set_state(restored.progress["iterator"])
        first_step = int(state.step)
        log = stack.enter_context(MetricsLog(folder, resumed_step=first_step, wandb_project=config.wandb_project))
        bar = stack.enter_context(
            tqdm(
                desc=title,
                total=config.total_steps,
                initial=first_step,
                unit="step",
                mininterval=0.5 if sys.stderr.isatty() else 15,
                dynamic_ncols=True,
                disable=jax.process_index() > 0,
            )
        )
        must_stop = stack.enter_context(watch_for_sigterm())
        profile = stack.enter_context(_Profile(folder / "profile", config.profile_at))
        window, rate = Window(clock), Window(clock)
        if restored is not None:
            window.set_sums(restored.progress["window"])
        unchecked: list[tuple[int, LossTally, jax.Array, str]] = []

        for done in range(first_step + 1, config.total_steps + 1):
            if _stopped_early(history, config.patience):
                break
            profile.before(done)
            asked = clock()
            batch = next(batches)
            waited = clock() - asked
            state, tally, gradient_norm = step(state, place_batch(batch, mesh, num_rows=batch_rows))
            profile.after(done, state)
            window.add(batch, tally, data_seconds=waited)
            unchecked.append((done, tally, gradient_norm, _rows(batch)))
            if done == first_step + 1:
                # The first step compiles; the rate is that of the steps after it.
                jax.block_until_ready(state.step)
                rate.restart()
            else:
                rate.add(batch, tally, data_seconds=waited)
            bar.update()
            last = done == config.total_steps
            interrupted = must_stop(done)
            logged = last or _due(done, config.log_every)
            evaluated = last or (_due(done, config.evaluate_every) and not interrupted)
            saved = evaluated or interrupted or _due(done, config.save_every)
            if logged or saved:
                # Looked at before saving too, so that no checkpoint holds parameters that are beyond repair.
                _check_finite(unchecked, folder)
                unchecked.clear()
                means = window.tally.means()
            if logged:
                bar.set_postfix(loss=f"{means['loss']:.3f}", accuracy=f"{means['accuracy']:.3f}")
                values = {
                    **means,
                    **_losses_by_group(window.tally, config.groups),
                    "learning_rate": float(learning_rate(done - 1)),
                    "gradient_norm": float(gradient_norm),
                }
                log.write(done, {**values, **_rates(window, config.flops_per_token)})
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
            if interrupted and not last:
                checkpointer.wait()
                bar.close()
                if jax.process_index() == 0:
                    sys.stderr.write(f"{folder}: SIGTERM; saved step {done}, the same command goes on from there\n")
                raise SystemExit(EXIT_CODE)
        jax.block_until_ready(state.step)
        rate.pause()
    best = max(history, key=lambda evaluation: (evaluation["score"], -evaluation["step"]))
    return LoopResult(state, history, int(best["step"]), rate.seconds, rate.examples, rate.tokens)


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


def _rows(batch: Any) -> str:
    """Names the rows of a batch, so that one that breaks a run can be looked at."""
    row_ids = batch.row_ids[batch.row_ids >= 0].tolist()
    listed = ", ".join(map(str, row_ids[:40])) + (", ..." if len(row_ids) > 40 else "")
    if not hasattr(batch, "domain_ids"):
        return listed
    return f"{listed} of domains {', '.join(map(str, batch.domain_ids[:40].tolist()))}"


def _check_finite(steps: Sequence[tuple[int, LossTally, jax.Array, str]], folder: epath.Path) -> None:
    for done, tally, gradient_norm, rows in steps:
        for name, value in {"loss": np.sum(tally.loss_sum), "gradient's norm": gradient_norm}.items():
            if not math.isfinite(float(value)):
                raise InputError(
                    f"{folder}: the {name} is {float(value)} at step {done}, in a batch of the rows {rows}; "
                    "lower the learning rate, clip the gradient, or compute in float32"
                )


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
    """The window's rates over all hosts, each of which counts its own rows."""
    rates = window.rates()
    for name in ("examples_per_second", "tokens_per_second"):
        rates[name] *= jax.process_count()
    if not flops_per_token:
        return rates
    utilization = model_flops_utilization(
        rates["tokens_per_second"], flops_per_token=flops_per_token, devices=jax.devices()
    )
    return {**rates, "mfu": utilization}


class _Profile:
    """Records three steps from `first` on, if it is not 0; leaving ends a recording that is still going on."""

    def __init__(self, folder: epath.Path, first: int):
        self._folder, self._first, self._recording = folder, first, False

    def __enter__(self) -> "_Profile":
        return self

    def __exit__(self, *_):
        if self._recording:
            jax.profiler.stop_trace()

    def before(self, step: int) -> None:
        if self._first and step == self._first:
            jax.profiler.start_trace(str(self._folder))
            self._recording = True

    def after(self, step: int, state: TrainState) -> None:
        if self._recording and step == self._first + 2:
            jax.block_until_ready(state.step)
            jax.profiler.stop_trace()
            self._recording = False


def _stopped_early(history: list[dict[str, float]], patience: int) -> bool:
    if not patience or len(history) <= patience:
        return False
    best = max(range(len(history)), key=lambda index: history[index]["score"])
    return len(history) - 1 - best >= patience
