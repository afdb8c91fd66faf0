"""Pretrains a causal language model on a weighted mixture of packed corpora."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etils import epath
from jax.sharding import Mesh

from lingjax.axes import Parameters
from lingjax.data import PackedSource, held_out_batches, mixture_batches
from lingjax.errors import InputError, raise_problems
from lingjax.models import axes_by_path
from lingjax.training.loop import Evaluation, LoopConfig, train
from lingjax.training.loss import LossTally
from lingjax.training.mesh import place_batch, place_state, row_shards
from lingjax.training.optimizer import OptimizerConfig, learning_rate_schedule, make_optimizer
from lingjax.training.start import Start, describe_run, write_result
from lingjax.training.state import new_state
from lingjax.training.steps import make_evaluation_step, make_train_step, token_loss_function


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """The recipe.

    Attributes:
      optimizer: update rule and schedule.
      batch_size: rows an update.
      steps: updates of the whole run.
      accumulation: micro-batches an update is computed in.
      evaluate_every, save_every, log_every: in steps; 0 means only at the end.
    """

    optimizer: OptimizerConfig
    batch_size: int
    steps: int
    accumulation: int = 1
    evaluate_every: int = 0
    save_every: int = 0
    log_every: int = 50

    def __post_init__(self):
        problems = []
        for name in ("batch_size", "steps", "accumulation"):
            if getattr(self, name) < 1:
                problems.append(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("evaluate_every", "save_every", "log_every"):
            if getattr(self, name) < 0:
                problems.append(f"{name}={getattr(self, name)} must not be negative")
        raise_problems("training configuration", problems)


def pretrain(
    start: Start,
    *,
    config: PretrainConfig,
    mixture: Sequence[tuple[PackedSource, float]],
    held_out: Mapping[str, PackedSource],
    mesh: Mesh,
    seed: int,
    folder: epath.PathLike,
    settings: Mapping[str, Any],
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Trains in `folder`, going on where an interrupted run stopped, and returns what `result.json` then holds.

    Args:
      start: a model with the `language_model` head; its parameters' memory is reused.
      config: the recipe.
      mixture: packed corpora and their shares of the tokens.
      held_out: packed rows by domain; each domain's loss is logged as `DOMAIN_loss`, in nats a token.
      mesh: devices.
      seed: of the order of the rows and of dropout.
      folder: of the run.
      settings: plain values to keep beside the model.
      clock: seconds, increasing.

    Raises:
      InputError: rows are longer than the model's positions, or a batch does not divide over the devices.
    """
    longest = max(source.length for source, _ in mixture)
    if longest > start.config.max_length:
        raise InputError(f"rows of {longest} tokens exceed the model's {start.config.max_length} positions")
    parts = row_shards(mesh) * config.accumulation
    if config.batch_size % parts:
        raise InputError(f"batch_size={config.batch_size} does not divide into {parts} parts (devices x accumulation)")
    optimizer = make_optimizer(config.optimizer, total_steps=config.steps)
    loss = token_loss_function(start.graph)
    evaluation_step = make_evaluation_step(loss)
    axes = axes_by_path(start.config.family, start.head)
    state = place_state(new_state(start.parameters, optimizer, seed=seed), axes, mesh)

    def evaluate(_: int, parameters: Parameters) -> Evaluation:
        total = LossTally.empty()
        values = {}
        for domain, source in held_out.items():
            tally = LossTally.empty()
            for batch in held_out_batches(source, batch_size=config.batch_size):
                tally = evaluation_step(parameters, place_batch(batch, mesh), tally)
            values[f"{domain}_loss"] = tally.means()["loss"]
            total = total + tally
        values["held_out_loss"] = total.means()["loss"]
        return Evaluation(values, score=-values["held_out_loss"])

    describe_run(folder, start, settings)
    done = train(
        state,
        mixture_batches(mixture, batch_size=config.batch_size, seed=seed),
        config=LoopConfig(
            total_steps=config.steps,
            log_every=config.log_every,
            evaluate_every=config.evaluate_every,
            save_every=config.save_every,
        ),
        step=make_train_step(loss, optimizer, accumulation=config.accumulation),
        mesh=mesh,
        evaluate=evaluate,
        folder=folder,
        learning_rate=learning_rate_schedule(config.optimizer, total_steps=config.steps),
        clock=clock,
        title="pretrain",
    )
    result = {
        "best_step": done.best_step,
        "total_steps": config.steps,
        "history": done.history,
        "seconds": done.seconds,
        "tokens_per_second": done.tokens / done.seconds if done.seconds else None,
    }
    write_result(folder, result)
    return result
