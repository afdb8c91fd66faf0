"""AdamW with warm-up, three schedules, clipping and decay exclusions."""

import dataclasses
from typing import Literal

import jax
import optax

from lingjax.axes import Parameters
from lingjax.errors import nearest, raise_problems, range_problems

SCHEDULES = ("constant", "linear", "cosine")


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The recipe of the update. The defaults are the study's (arXiv 2412.07678).

    Attributes:
      learning_rate: peak rate.
      schedule: after warm-up `constant`, `linear` (to 0 at the last step) or `cosine` (to 0 at the last step).
      warmup_fraction: share of all steps in which the rate rises linearly from 0.
      weight_decay: decoupled decay; never applied to biases and norms.
      beta1, beta2, epsilon: of Adam.
      clip_norm: the gradient's global norm is scaled down to this; 0 switches clipping off.
    """

    learning_rate: float = 1e-5
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_fraction: float = 0.1
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float = 1.0

    def __post_init__(self):
        problems = []
        problems += range_problems(vars(self), above_0=["learning_rate"])
        if self.schedule not in SCHEDULES:
            problems.append(f"schedule='{self.schedule}' is not known, {nearest(self.schedule, SCHEDULES)}")
        problems += range_problems(vars(self), below_1=("warmup_fraction", "beta1", "beta2"))
        problems += range_problems(vars(self), not_negative=("weight_decay", "clip_norm"))
        problems += range_problems(vars(self), above_0=["epsilon"])
        raise_problems("training configuration", problems)


def learning_rate_schedule(config: OptimizerConfig, *, total_steps: int) -> optax.Schedule:
    """Returns the learning rate as a function of the number of updates already made.

    The first update uses 1/warm-up of the peak, so no update is wasted on a rate of 0.
    """
    warmup_steps = round(config.warmup_fraction * total_steps)
    rest = max(total_steps - warmup_steps, 1)
    after = {
        "constant": lambda: optax.constant_schedule(config.learning_rate),
        "linear": lambda: optax.linear_schedule(config.learning_rate, 0.0, rest),
        "cosine": lambda: optax.cosine_decay_schedule(config.learning_rate, rest),
    }[config.schedule]()
    if warmup_steps == 0:
        return after
    rise = optax.linear_schedule(config.learning_rate / warmup_steps, config.learning_rate, max(warmup_steps - 1, 1))
    return optax.join_schedules([rise, after], [warmup_steps])


def decayed(parameters: Parameters) -> Parameters:
    """Marks which parameters weight decay shrinks: kernels and embeddings, not biases and norms' scales."""

    def is_decayed(path, _) -> bool:
        name = jax.tree_util.keystr(path[-1:], simple=True)
        return name not in ("scale", "bias") and not name.endswith("_bias")

    return jax.tree_util.tree_map_with_path(is_decayed, parameters)


def make_optimizer(config: OptimizerConfig, *, total_steps: int) -> optax.GradientTransformation:
    """Returns clipping followed by AdamW on the schedule (Loshchilov and Hutter 2019)."""
    adamw = optax.adamw(
        learning_rate_schedule(config, total_steps=total_steps),
        b1=config.beta1,
        b2=config.beta2,
        eps=config.epsilon,
        weight_decay=config.weight_decay,
        mask=decayed,
    )
    if config.clip_norm == 0:
        return adamw
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adamw)
