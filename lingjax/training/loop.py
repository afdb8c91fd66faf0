"""The training loop: the same turns for fine-tuning and pretraining."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh
from tqdm import tqdm

from lingjax.axes import Parameters
from lingjax.training.interruption import watch_for_stop
from lingjax.training.loss import LossTally
from lingjax.training.mesh import place_batch
from lingjax.training.run_log import BatchIterator, Evaluation, LoopConfig, Outcome, Run, RunLog, resume
from lingjax.training.state import TrainState
from lingjax.training.steps import TrainStep


class Program(Protocol):
    """How the runs of a loop make their steps, all of them one at a time.

    Attributes:
      mesh: where its arrays lie.
    """

    mesh: Mesh

    def begin(self, states: Sequence[TrainState]) -> Any:
        """Takes the runs' states over, in the form that `step` replaces."""

    def step(self, carried: Any, batches: Sequence[Any]) -> tuple[Any, Sequence[LossTally], Sequence[jax.Array]]:
        """Makes a step of every run; returns what is carried on, and the runs' tallies and gradient norms."""

    def state(self, carried: Any, run: int) -> TrainState:
        """Returns one run's state."""


@dataclasses.dataclass(frozen=True)
class OneRun:
    """The program of a single run.

    Attributes:
      update: makes one step.
      mesh: where batches are placed.
      batch_rows: rows of a batch over all hosts, where each is given its share only; None where each is given all.
    """

    update: TrainStep
    mesh: Mesh
    batch_rows: int | None = None

    def begin(self, states: Sequence[TrainState]) -> TrainState:
        """Returns the only state."""
        (state,) = states
        return state

    def step(
        self, carried: TrainState, batches: Sequence[Any]
    ) -> tuple[TrainState, Sequence[LossTally], Sequence[jax.Array]]:
        """Makes one step."""
        (batch,) = batches
        state, tally, gradient_norm = self.update(carried, place_batch(batch, self.mesh, num_rows=self.batch_rows))
        return state, [tally], [gradient_norm]

    def state(self, carried: TrainState, run: int) -> TrainState:
        """Returns the only state."""
        return carried


@dataclasses.dataclass(frozen=True)
class LoopResult(Outcome):
    """How a single run went; `state` is that after the last step made."""

    state: TrainState


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
    """Makes a single run: `train_together` with the arguments of `Run` and `OneRun`."""
    state, (outcome,) = train_together(
        [Run(state, batches, evaluate, folder, batch_rows)],
        OneRun(step, mesh, batch_rows),
        config=config,
        learning_rate=learning_rate,
        clock=clock,
        title=title,
    )
    return LoopResult(**vars(outcome), state=state)


def train_together(
    runs: Sequence[Run],
    program: Program,
    *,
    config: LoopConfig,
    learning_rate: Callable[[int], Any],
    clock: Callable[[], float],
    title: str,
) -> tuple[Any, list[Outcome]]:
    """Takes every run to `total_steps`, going on from the newest step of which all have a checkpoint, if there is one.

    The order of a turn:

    1. every run's next batch, and one step;
    2. the step is counted, for the log's means and rates;
    3. where anything is to be written, losses and gradients are looked at: none may be infinite or no number;
    4. log, if it is due;
    5. evaluate, if it is due, and write that down;
    6. save, after an evaluation, when it is due, and when the run was asked to stop.

    So a checkpoint holds all that was known at its step, and a resumed run repeats nothing that counts. SIGTERM or
    Ctrl-C makes the turn it falls into the last: it saves, and the program ends with exit code 143 or 130. A run that
    stops early is left alone until the others end.

    Args:
      runs: of one recipe, all at their beginning.
      program: makes their steps.
      config: when things happen.
      learning_rate: shown in the log.
      clock: seconds, increasing.
      title: of the progress bar.

    Returns:
      What the program carried out of the last step, and how each run went.

    Raises:
      InputError: a loss or a gradient is not finite; names the run, the step and the batch's rows.
      SystemExit: SIGTERM or SIGINT came, and checkpoints were written.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.set_mesh(program.mesh))  # the model says where its activations lie
        # Together, the runs go on from a step that all have: a kill may come when only some have saved the newest.
        keep = max(config.keep_checkpoints, min(len(runs), 2))
        run_logs = [stack.enter_context(RunLog(run, config, keep=keep, clock=clock)) for run in runs]
        states = resume(run_logs)
        first_step = int(states[0].step)
        carried = program.begin(states)
        del states  # the program's steps reuse their memory
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
        stop = stack.enter_context(watch_for_stop())
        profile = stack.enter_context(_Profile(epath.Path(runs[0].folder) / "profile", config.profile_at))

        for done in range(first_step + 1, config.total_steps + 1):
            if all(run_log.stopped_early for run_log in run_logs):
                break
            profile.before(done)
            asked = clock()
            batches = [next(run.batches) for run in runs]
            waited = clock() - asked
            carried, tallies, gradient_norms = program.step(carried, batches)
            profile.after(done, carried)
            is_first = done == first_step + 1
            if is_first:
                # The first step compiles; the rate is that of the steps after it.
                jax.block_until_ready(carried)
                _show(bar, [tally.means() for tally in tallies])
            going = [run_log for run_log in run_logs if not run_log.stopped_early]
            for run_log, *made in zip(run_logs, batches, tallies, gradient_norms, strict=True):
                if run_log in going:
                    run_log.add(done, *made, data_seconds=waited, is_first=is_first)
            bar.update()
            last = done == config.total_steps
            interrupted = stop.after(done)
            logged = last or _due(done, config.log_every)
            evaluated = last or (_due(done, config.evaluate_every) and not interrupted)
            saved = evaluated or interrupted or _due(done, config.save_every)
            if logged or saved:
                # Looked at before saving too, so that no checkpoint holds parameters that are beyond repair.
                for run_log in going:
                    run_log.check_finite()
            if logged:
                means = [run_log.write_means(done, learning_rate=float(learning_rate(done - 1))) for run_log in going]
                _show(bar, means)
            if saved:
                jax.block_until_ready(carried)
                for run_log in run_logs:
                    run_log.pause()
                for run_log in run_logs:
                    run_log.wait()  # no run gets two steps ahead of another
                for index, run_log in enumerate(run_logs):
                    # One that stopped is saved too, so that all have a step in common to go on from.
                    run_log.save(done, program.state(carried, index), evaluated=evaluated and run_log in going)
                for run_log in run_logs:
                    run_log.resume()
            if interrupted and not last:
                bar.close()
                for run_log in run_logs:
                    run_log.wait()
                    if jax.process_index() == 0:
                        sys.stderr.write(
                            f"{run_log.folder}: {stop.sent.name}; saved step {done}, the same command goes on from "
                            "there\n"
                        )
                raise SystemExit(stop.exit_code)
        jax.block_until_ready(carried)
        return carried, [run_log.outcome(of_runs=len(runs)) for run_log in run_logs]


def _show(bar: tqdm, means: Sequence[dict[str, float]]) -> None:
    """Puts the means of all runs behind the progress bar."""
    bar.set_postfix({name: f"{np.mean([mean[name] for mean in means]):.3f}" for name in means[0]})


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


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

    def after(self, step: int, carried: Any) -> None:
        if self._recording and step == self._first + 2:
            jax.block_until_ready(carried)
            jax.profiler.stop_trace()
            self._recording = False
