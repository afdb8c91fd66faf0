"""The training loop: the same turns for fine-tuning and pretraining."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable
from typing import Any, Protocol

import jax
from jax.sharding import Mesh
from tqdm import tqdm

from lingjax.training.interruption import watch_for_stop
from lingjax.training.loss import LossTally
from lingjax.training.mesh import place_batch
from lingjax.training.profile import Profile
from lingjax.training.run_log import RunLog
from lingjax.training.state import TrainState
from lingjax.training.steps import TrainStep


class Program(Protocol):
    """How steps are made. That of several runs (`lingjax.training.side_by_side`) takes and returns a list of each.

    Attributes:
      mesh: where its arrays lie.
    """

    mesh: Mesh

    def begin(self, state: Any) -> Any:
        """Takes the first state over, in the form that `step` replaces."""

    def step(self, carried: Any, batch: Any) -> tuple[Any, Any, Any]:
        """Makes a step; returns what is carried on, and the step's tally and gradient norm."""


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

    def begin(self, state: TrainState) -> TrainState:
        """Returns the state as it is."""
        return state

    def step(self, carried: TrainState, batch: Any) -> tuple[TrainState, LossTally, jax.Array]:
        """Makes one step."""
        return self.update(carried, place_batch(batch, self.mesh, num_rows=self.batch_rows))


def train(
    log: RunLog,
    program: Program,
    *,
    total_steps: int,
    learning_rate: Callable[[int], Any],
    clock: Callable[[], float],
    title: str,
) -> Any:
    """Takes a run to `total_steps`, going on from its newest checkpoint if there is one.

    The order of a turn:

    1. the next batch, and one step;
    2. the step is counted, for the log's means and rates;
    3. where anything is to be written, losses and gradients are looked at: none may be infinite or no number;
    4. log, if it is due;
    5. evaluate, if it is due, and write that down;
    6. save, after an evaluation, when it is due, and when the run was asked to stop.

    So a checkpoint holds all that was known at its step, and a resumed run repeats nothing that counts. SIGTERM or
    Ctrl-C makes the turn it falls into the last: it saves, and the program ends with exit code 143 or 130.

    Args:
      log: the run at its beginning, and the books that are kept of it; says when things happen.
      program: makes the steps.
      total_steps: updates of the whole run.
      learning_rate: gives that of the step after so many, shown in the log.
      clock: seconds, increasing.
      title: what the progress bar is called.

    Returns:
      What the program carried out of the last step; `log` knows how the run went.

    Raises:
      InputError: a loss or a gradient is not finite; names the run, the step and the batch's rows.
      SystemExit: SIGTERM or SIGINT came, and a checkpoint was written.
    """
    config = log.config
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.set_mesh(program.mesh))  # the model says where its activations lie
        stack.enter_context(log)
        carried = program.begin(log.begin())  # the steps reuse the memory of the state
        first = log.first_step + 1
        bar = stack.enter_context(_progress_bar(title, done=log.first_step, total=total_steps))
        stop = stack.enter_context(watch_for_stop())
        profile = stack.enter_context(Profile(log.folder / "profile", config.profile_at))

        for done in range(first, total_steps + 1):
            if log.stopped_early:
                break
            profile.before(done)
            asked = clock()
            batch = log.next_batch()
            waited = clock() - asked
            carried, *seen = program.step(carried, batch)
            profile.after(done, carried)
            if done == first:
                jax.block_until_ready(carried)  # it compiled; the rate is that of the steps after it
            log.add(done, batch, *seen, data_seconds=waited, is_first=done == first)
            if done == first:
                bar.set_postfix(_rounded(log.means()))
            bar.update()

            last = done == total_steps
            interrupted = stop.after(done)
            logged = last or _due(done, config.log_every)
            evaluated = last or (_due(done, config.evaluate_every) and not interrupted)
            saved = evaluated or interrupted or _due(done, config.save_every)
            if logged or saved:
                # Looked at before saving too, so that no checkpoint holds parameters that are beyond repair.
                log.check_finite()
            if logged:
                bar.set_postfix(_rounded(log.write_means(done, learning_rate=float(learning_rate(done - 1)))))
            if saved:
                jax.block_until_ready(carried)
                log.save(done, carried, evaluated=evaluated)
            if interrupted and not last:
                bar.close()
                log.wait()
                _tell(f"{stop.sent.name}; saved step {done}, the same command goes on from there", log)
                raise SystemExit(stop.exit_code)
        jax.block_until_ready(carried)
        return carried


def _progress_bar(title: str, *, done: int, total: int) -> tqdm:
    return tqdm(
        desc=title,
        total=total,
        initial=done,
        unit="step",
        mininterval=0.5 if sys.stderr.isatty() else 15,
        dynamic_ncols=True,
        disable=jax.process_index() > 0,
    )


def _rounded(means: dict[str, float]) -> dict[str, str]:
    return {name: f"{mean:.3f}" for name, mean in means.items()}


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


def _tell(message: str, log: RunLog) -> None:
    if jax.process_index() == 0:
        for folder in log.folders:
            sys.stderr.write(f"{folder}: {message}\n")
