"""Fine-tunes a pair classifier on one task: the study's recipe, with its best checkpoint chosen on a dev set."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import jax
import optax
from etils import epath
from flax import nnx
from jax.sharding import Mesh

from lingjax.axes import Parameters
from lingjax.data import (
    EncodedPairs,
    PairEncoder,
    PairRecord,
    evaluation_batches,
    steps_per_epoch,
    training_batches,
)
from lingjax.errors import nearest, raise_problems, range_problems
from lingjax.models import axes_by_path
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.loop import OneRun, Program, train
from lingjax.training.loss import LossTally
from lingjax.training.mesh import place_batch, place_new_state, plan_new_state, row_shards
from lingjax.training.optimizer import OptimizerConfig, learning_rate_schedule, make_optimizer
from lingjax.training.run_folder import describe_run, write_result
from lingjax.training.run_log import BatchIterator, Evaluation, LoopConfig, Run, RunLog
from lingjax.training.side_by_side import RunLogs, SideBySide, needed_bytes, runs_that_fit
from lingjax.training.state import TrainState
from lingjax.training.steps import EvaluationStep, TrainStep, make_evaluation_step, make_train_step, pair_loss_function

BEST_BY = ("loss", "accuracy", "last")

# Packed batches differ in rows by a few; the largest of so many stands for all.
_BATCHES_LOOKED_AT = 20


@dataclasses.dataclass(frozen=True)
class FinetuneConfig:
    """The recipe. The defaults are the study's (arXiv 2412.07678).

    Attributes:
      optimizer: update rule and schedule.
      batch_size: pairs an update.
      epochs: passes over the training pairs; fractions are allowed.
      steps: updates of the whole run; 0 follows `epochs`.
      label_smoothing: share of the target spread over both classes.
      accumulation: micro-batches an update is computed in.
      pairs_per_row: most pairs packed into one row; 1 gives plain padded rows. Same numbers, less padding.
      best_by: keep the checkpoint with the lowest dev `loss`, the highest dev `accuracy`, or the `last`.
      evaluation_batch_size: pairs a forward pass in evaluation.
      loop: when it is logged, evaluated and saved; `evaluate_every` 0 means once an epoch.
    """

    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    batch_size: int = 20
    epochs: float = 4
    steps: int = 0
    label_smoothing: float = 0.0
    accumulation: int = 1
    pairs_per_row: int = 8
    best_by: Literal["loss", "accuracy", "last"] = "loss"
    evaluation_batch_size: int = 64
    loop: LoopConfig = dataclasses.field(default_factory=LoopConfig)

    def __post_init__(self):
        counts = ["batch_size", "accumulation", "pairs_per_row", "evaluation_batch_size"]
        problems = range_problems(vars(self), at_least_1=counts, not_negative=["steps"]) + self.loop.problems()
        if not self.steps and not self.epochs > 0:
            problems.append(f"epochs={self.epochs} must be positive where steps is 0")
        problems += range_problems(vars(self), below_1=["label_smoothing"])
        if self.best_by not in BEST_BY:
            problems.append(f"best_by='{self.best_by}' is not known, {nearest(self.best_by, BEST_BY)}")
        raise_problems("training configuration", problems)

    def to_json(self) -> dict[str, Any]:
        """Returns plain scalars, the optimizer's and the loop's among them."""
        values = dataclasses.asdict(self)
        return {**values.pop("optimizer"), **values.pop("loop"), **values}


@dataclasses.dataclass(frozen=True)
class FinetuneRun:
    """What sets one fine-tuning apart from the others of its recipe.

    Attributes:
      start: the model; its parameters' memory is reused.
      source: training pairs.
      dev: pairs that choose the best checkpoint; never a target's.
      seed: decides the order of the pairs and dropout.
      folder: where the run lives.
      settings: plain values to keep beside the model, so that it can be evaluated the same way.
      on_evaluation: called with step and parameters at every dev evaluation; what it returns stands in the history.
    """

    start: LoadedModel
    source: Sequence[PairRecord] | EncodedPairs
    dev: Sequence[PairRecord] | EncodedPairs
    seed: int
    folder: epath.PathLike
    settings: Mapping[str, Any]
    on_evaluation: Callable[[int, Parameters], dict[str, Any]] | None = None


def finetune(
    runs: Sequence[FinetuneRun],
    *,
    config: FinetuneConfig,
    encoder: PairEncoder,
    mesh: Mesh,
    title: str = "fine-tune",
    clock: Callable[[], float] = time.perf_counter,
) -> list[dict[str, Any]]:
    """Trains every run in its folder, going on where an interrupted one stopped; several runs as one program.

    Args:
      runs: train models of one shape, over as many pairs each.
      config: the recipe.
      encoder: text to token ids.
      mesh: devices.
      title: what the progress bar says.
      clock: seconds, increasing.

    Returns:
      For each run what its `result.json` then holds: `best_step`, `best` (its evaluation), `total_steps`, `history`
      (one entry an evaluation: step, dev_loss, dev_accuracy), `seconds`, `examples_per_second`, `tokens_per_second`
      (null where no step was left to time). Runs of one program share its seconds evenly.
    """
    recipe = _Recipe(config, runs[0].start, encoder, mesh, rows=len(runs[0].source), num_runs=len(runs))
    for run in runs:
        describe_run(run.folder, run.start, run.settings)
    program = recipe.program()
    log = recipe.log(runs, program, clock=clock)
    train(
        log,
        program,
        total_steps=recipe.total_steps,
        learning_rate=learning_rate_schedule(config.optimizer, total_steps=recipe.total_steps),
        clock=clock,
        title=title,
    )
    results = [
        {
            "best_step": done.best_step,
            "best": done.best,
            "total_steps": recipe.total_steps,
            "steps_per_epoch": recipe.epoch_steps,
            "history": done.history,
            "seconds": done.seconds,
            "examples_per_second": done.examples / done.seconds if done.seconds else None,
            "tokens_per_second": done.tokens / done.seconds if done.seconds else None,
        }
        for done in log.outcomes()
    ]
    # Last, and one after another: a run that was cut off before the others' ends goes on beside those it began with.
    for run, result in zip(runs, results, strict=True):
        write_result(run.folder, result)
    return results


def rows_multiple(mesh: Mesh, *, accumulation: int = 1) -> int:
    """Returns what the number of rows of each training batch divides by.

    Every number of rows is compiled on its own, so only some occur, for a few rows of padding: even ones on a CPU,
    multiples of 8 on accelerators, where a compilation takes longer and a row less.
    """
    coarse = 2 if mesh.devices.flat[0].platform == "cpu" else 8
    return math.lcm(coarse, row_shards(mesh) * accumulation)


def runs_at_once(
    wanted: int, run: FinetuneRun, *, config: FinetuneConfig, encoder: PairEncoder, mesh: Mesh, limit_bytes: int
) -> int:
    """Returns how many such runs fit into a device's memory as one program, found by compiling their step.

    One, where a row holds one pair: rows would be as long as the longest pair of any run, and dropout would differ
    from that of a run alone. And one, where attention may be cuDNN's, which takes no axis of runs.

    Args:
      wanted: how many there are.
      run: one of them; its `start` may hold shapes in place of parameters.
      config, encoder, mesh: as in `finetune`.
      limit_bytes: what a device has to spare.
    """
    if config.pairs_per_row == 1 or run.start.config.attention in ("cudnn", "auto"):
        return 1

    def bytes_of(num_runs: int) -> int:
        recipe = _Recipe(config, run.start, encoder, mesh, rows=len(run.source), num_runs=num_runs)
        program = recipe.program()
        batches = recipe.batches(run)
        largest = max(
            (next(batches) for _ in range(min(recipe.total_steps, _BATCHES_LOOKED_AT))),
            key=lambda batch: len(batch.token_ids),
        )
        return needed_bytes(program.compile(recipe.state_shapes, program.place([largest] * num_runs)))

    return runs_that_fit(wanted, bytes_of, limit_bytes=limit_bytes)


class _Recipe:
    """What all runs of one fine-tuning share."""

    def __init__(
        self, config: FinetuneConfig, start: LoadedModel, encoder: PairEncoder, mesh: Mesh, *, rows: int, num_runs: int
    ):
        self.epoch_steps = steps_per_epoch(rows, config.batch_size)
        self.total_steps = config.steps or max(1, round(config.epochs * self.epoch_steps))
        self._config, self._encoder, self._mesh, self._num_runs = config, encoder, mesh, num_runs
        self._axes = axes_by_path(start.config.family, start.head)
        self._optimizer, self._step, self._evaluation_step = _compiled(
            start.graph, config, self.total_steps, several_runs=num_runs > 1
        )
        self.state_shapes, self._placed = plan_new_state(start.parameters, self._optimizer, self._axes, mesh)

    def state(self, run: FinetuneRun) -> TrainState:
        return place_new_state(run.start.parameters, self._optimizer, self._axes, self._mesh, seed=run.seed)

    def batches(self, run: FinetuneRun) -> BatchIterator:
        return training_batches(
            run.source,
            self._encoder,
            batch_size=self._config.batch_size,
            seed=run.seed,
            epochs=math.ceil(self.total_steps / self.epoch_steps),
            max_pairs_per_row=self._config.pairs_per_row,
            rows_multiple=rows_multiple(self._mesh, accumulation=self._config.accumulation),
        )

    def program(self) -> Program:
        if self._num_runs == 1:
            return OneRun(self._step, self._mesh)
        pad_id = self._encoder.tokenizer.pad_id
        return SideBySide(self._step, self._mesh, self._placed, num_runs=self._num_runs, pad_id=pad_id)

    def log(self, runs: Sequence[FinetuneRun], program: Program, *, clock: Callable[[], float]) -> RunLog | RunLogs:
        every = self._config.loop.evaluate_every or self.epoch_steps
        config = dataclasses.replace(self._config.loop, evaluate_every=every)
        begun = [Run(self.state(run), self.batches(run), self.evaluation(run), run.folder) for run in runs]
        if self._num_runs == 1:
            return RunLog(begun[0], config, clock=clock)
        return RunLogs(begun, config, program, clock=clock)

    def evaluation(self, run: FinetuneRun) -> Callable[[int, Parameters], Evaluation]:
        def evaluate(done: int, parameters: Parameters) -> Evaluation:
            tally = LossTally.empty()
            batches = evaluation_batches(
                run.dev,
                self._encoder,
                batch_size=self._config.evaluation_batch_size,
                rows_multiple=row_shards(self._mesh),
            )
            with jax.set_mesh(self._mesh):  # not the mesh of the runs
                for batch in batches:
                    tally = self._evaluation_step(parameters, place_batch(batch, self._mesh), tally)
                more = {} if run.on_evaluation is None else run.on_evaluation(done, parameters)
            means = tally.means()
            score = {"loss": -means["loss"], "accuracy": means["accuracy"], "last": float(done)}[self._config.best_by]
            return Evaluation({"dev_loss": means["loss"], "dev_accuracy": means["accuracy"], **more}, score)

        return evaluate


@functools.lru_cache(maxsize=2)
def _compiled(
    graph: nnx.GraphDef, config: FinetuneConfig, total_steps: int, *, several_runs: bool
) -> tuple[optax.GradientTransformation, TrainStep, EvaluationStep]:
    """The jitted steps; kept, because the runs of several seeds differ in nothing that is compiled."""
    optimizer = make_optimizer(config.optimizer, total_steps=total_steps)
    loss = pair_loss_function(graph, label_smoothing=config.label_smoothing)
    # The dev loss is the plain one, comparable between smoothed and unsmoothed runs.
    evaluation_step = make_evaluation_step(pair_loss_function(graph))
    step = make_train_step(loss, optimizer, accumulation=config.accumulation, several_runs=several_runs)
    return optimizer, step, evaluation_step
