"""Fine-tunes a pair classifier on one task: the study's recipe, with its best checkpoint chosen on a dev set."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import optax
from etils import epath
from flax import nnx
from jax.sharding import Mesh

from lingjax.axes import Parameters
from lingjax.data import (
    PairEncoder,
    PairSource,
    SubsetSource,
    evaluation_batches,
    steps_per_epoch,
    training_batches,
)
from lingjax.errors import nearest, raise_problems
from lingjax.models import axes_by_path
from lingjax.training.journal import Evaluation, LoopConfig
from lingjax.training.loop import train
from lingjax.training.loss import LossTally
from lingjax.training.mesh import place_batch, place_new_state, row_shards
from lingjax.training.optimizer import OptimizerConfig, learning_rate_schedule, make_optimizer
from lingjax.training.start import Start, describe_run, write_result
from lingjax.training.steps import EvaluationStep, TrainStep, make_evaluation_step, make_train_step, pair_loss_function

BEST_BY = ("loss", "accuracy", "last")


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
      patience: evaluations without improvement after which training stops; 0 never.
      evaluate_every, save_every, log_every: in steps; `evaluate_every` 0 means once an epoch.
      keep_checkpoints: how many of the newest checkpoints are kept beside the best one.
      evaluation_batch_size: pairs a forward pass in evaluation.
      profile_at: the first of three steps that JAX's profiler records; 0 records none.
      wandb: also log to this project of Weights & Biases; empty for none.
    """

    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    batch_size: int = 20
    epochs: float = 4
    steps: int = 0
    label_smoothing: float = 0.0
    accumulation: int = 1
    pairs_per_row: int = 8
    best_by: Literal["loss", "accuracy", "last"] = "loss"
    patience: int = 0
    evaluate_every: int = 0
    save_every: int = 0
    log_every: int = 50
    keep_checkpoints: int = 1
    evaluation_batch_size: int = 64
    profile_at: int = 0
    wandb: str = ""

    def __post_init__(self):
        problems = []
        for name in ("batch_size", "accumulation", "pairs_per_row", "keep_checkpoints", "evaluation_batch_size"):
            if getattr(self, name) < 1:
                problems.append(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("steps", "patience", "evaluate_every", "save_every", "log_every", "profile_at"):
            if getattr(self, name) < 0:
                problems.append(f"{name}={getattr(self, name)} must not be negative")
        if not self.steps and not self.epochs > 0:
            problems.append(f"epochs={self.epochs} must be positive where steps is 0")
        if not 0 <= self.label_smoothing < 1:
            problems.append(f"label_smoothing={self.label_smoothing} must be at least 0 and less than 1")
        if self.best_by not in BEST_BY:
            problems.append(f"best_by='{self.best_by}' is not known, {nearest(self.best_by, BEST_BY)}")
        raise_problems("training configuration", problems)

    def to_json(self) -> dict[str, Any]:
        """Returns plain scalars, the optimizer's among them."""
        values = dataclasses.asdict(self)
        return {**values.pop("optimizer"), **values}


def finetune(
    start: Start,
    *,
    config: FinetuneConfig,
    source: PairSource | SubsetSource,
    dev: PairSource | SubsetSource,
    encoder: PairEncoder,
    mesh: Mesh,
    seed: int,
    folder: epath.PathLike,
    settings: Mapping[str, Any],
    title: str = "fine-tune",
    on_evaluation: Callable[[int, Parameters], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Trains in `folder`, going on where an interrupted run stopped, and returns what `result.json` then holds.

    Args:
      start: the model; its parameters' memory is reused.
      config: the recipe.
      source: training pairs.
      dev: pairs that choose the best checkpoint; never a target's.
      encoder: text to token ids.
      mesh: devices.
      seed: of the order of the pairs and of dropout.
      folder: of the run.
      settings: plain values to keep beside the model, so that it can be evaluated the same way.
      title: of the progress bar.
      on_evaluation: called with step and parameters at every dev evaluation.
      clock: seconds, increasing.

    Returns:
      `best_step`, `total_steps`, `history` (one entry an evaluation: step, dev_loss, dev_accuracy), `seconds`,
      `examples_per_second`, `tokens_per_second` (null where no step was left to time).
    """
    epoch_steps = steps_per_epoch(len(source), config.batch_size)
    total_steps = config.steps or max(1, round(config.epochs * epoch_steps))
    # Even numbers of rows halve the shapes that XLA compiles, for at most one row of padding.
    rows_multiple = math.lcm(2, row_shards(mesh) * config.accumulation)
    optimizer, step, evaluation_step = _compiled(start.graph, config, total_steps)
    axes = axes_by_path(start.config.family, start.head)
    state = place_new_state(start.parameters, optimizer, axes, mesh, seed=seed)

    def evaluate(done: int, parameters: Parameters) -> Evaluation:
        tally = LossTally.empty()
        batches = evaluation_batches(
            dev, encoder, batch_size=config.evaluation_batch_size, rows_multiple=row_shards(mesh)
        )
        for batch in batches:
            tally = evaluation_step(parameters, place_batch(batch, mesh), tally)
        means = tally.means()
        if on_evaluation is not None:
            on_evaluation(done, parameters)
        return Evaluation(
            {"dev_loss": means["loss"], "dev_accuracy": means["accuracy"]},
            score={"loss": -means["loss"], "accuracy": means["accuracy"], "last": float(done)}[config.best_by],
        )

    describe_run(folder, start, settings)
    done = train(
        state,
        training_batches(
            source,
            encoder,
            batch_size=config.batch_size,
            seed=seed,
            epochs=math.ceil(total_steps / epoch_steps),
            max_pairs_per_row=config.pairs_per_row,
            rows_multiple=rows_multiple,
        ),
        config=LoopConfig(
            total_steps=total_steps,
            log_every=config.log_every,
            evaluate_every=config.evaluate_every or epoch_steps,
            save_every=config.save_every,
            patience=config.patience,
            keep_checkpoints=config.keep_checkpoints,
            profile_at=config.profile_at,
            wandb_project=config.wandb,
        ),
        step=step,
        mesh=mesh,
        evaluate=evaluate,
        folder=folder,
        learning_rate=learning_rate_schedule(config.optimizer, total_steps=total_steps),
        clock=clock,
        title=title,
    )
    result = {
        "best_step": done.best_step,
        "total_steps": total_steps,
        "steps_per_epoch": epoch_steps,
        "history": done.history,
        "seconds": done.seconds,
        "examples_per_second": done.examples / done.seconds if done.seconds else None,
        "tokens_per_second": done.tokens / done.seconds if done.seconds else None,
    }
    write_result(folder, result)
    return result


@functools.lru_cache(maxsize=2)
def _compiled(
    graph: nnx.GraphDef, config: FinetuneConfig, total_steps: int
) -> tuple[optax.GradientTransformation, TrainStep, EvaluationStep]:
    """The jitted steps; kept, because the runs of several seeds differ in nothing that is compiled."""
    optimizer = make_optimizer(config.optimizer, total_steps=total_steps)
    loss = pair_loss_function(graph, label_smoothing=config.label_smoothing)
    # The dev loss is the plain one, comparable between smoothed and unsmoothed runs.
    evaluation_step = make_evaluation_step(pair_loss_function(graph))
    return optimizer, make_train_step(loss, optimizer, accumulation=config.accumulation), evaluation_step
