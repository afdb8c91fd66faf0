"""Is a copy of a control said to add to it, and is half of a signal seen? The table of `adds_to_best_control`."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from benchmarks.simulated_studies import Design, logits_to_predictions, monte_carlo_error, percent, with_progress
from lingjax.evaluation.added_value import added_value
from lingjax.evaluation.controls import ControlResult

ADDED_DESIGNS = (Design(100), Design(100, seeds=3), Design(500), Design(500, seeds=3), Design(500, seeds=3, group=10))


def _noisy(
    rng: np.random.Generator, control: Float[np.ndarray, " rows"], seeds: int
) -> Float[np.ndarray, "seeds rows"]:
    return control + 0.3 * rng.standard_normal((seeds, control.size))


def _shared_noise(
    rng: np.random.Generator, control: Float[np.ndarray, " rows"], seeds: int
) -> Float[np.ndarray, "seeds rows"]:
    return _noisy(rng, control + 0.5 * rng.standard_normal(control.size), seeds)


def _monotone(
    rng: np.random.Generator, control: Float[np.ndarray, " rows"], seeds: int
) -> Float[np.ndarray, "seeds rows"]:
    return np.tanh(rng.uniform(0.5, 3, (seeds, 1)) * control)


COPIES = {"noisy copy": _noisy, "copy, noise shared by seeds": _shared_noise, "monotone copy": _monotone}
"""Models that know of the labels what the control knows, and nothing else."""


def additions(design: Design, *, copy: str | None, studies: int, rng: np.random.Generator) -> tuple[float, float]:
    """Returns how often a model is said to add to the control, and how often that is left open.

    The label is the control plus noise, in half of the studies normal noise and in the others a step with 10 % of the
    labels exchanged; the model is a copy of the control. With `copy=None` the label is the control plus as much of
    another signal, plus noise, and the model that other signal plus noise. Rows of a group share half of the variance.
    """
    claims = []
    for number in range(studies):
        control, other, rest = (_grouped_normal(rng, design) for _ in range(3))
        if copy is None:
            labels = control + other + 0.7 * rest > 0
            scores = other + 0.7 * rng.standard_normal((design.seeds, design.rows))
        else:
            labels = control + rest > 0 if number % 2 else (control > 0) ^ (rng.random(design.rows) < 0.1)
            scores = COPIES[copy](rng, control, design.seeds)
        labels = labels.astype(np.int64)
        rival = ControlResult(accuracy=None, auroc=None, ci95=None, scores=control[None])
        groups = None if design.group == 1 else np.arange(design.rows) // design.group
        claims.append(
            added_value(logits_to_predictions(labels, scores), name="control", control=rival, groups=groups).adds
        )
    return claims.count(True) / studies, claims.count(None) / studies


def _grouped_normal(rng: np.random.Generator, design: Design) -> Float[np.ndarray, " rows"]:
    if design.group == 1:
        return rng.standard_normal(design.rows)
    of_groups = np.repeat(rng.standard_normal(-(-design.rows // design.group)), design.group)[: design.rows]
    return math.sqrt(0.5) * (of_groups + rng.standard_normal(design.rows))


def added_table(designs: Sequence[Design], *, studies: int, rng: np.random.Generator) -> Iterable[str]:
    """Yields the lines of the table of `adds_to_best_control`."""
    error = f"{studies} studies a cell; Monte Carlo error ± {monte_carlo_error(0.05, studies):.1f} at 5 %"
    yield f"`adds_to_best_control` true, in %: models that are copies of the control, and one that is not ({error})"
    yield ""
    yield "| rows | balance | rows a group | seeds | " + " | ".join(COPIES) + " | other half of the signal |"
    yield "|---" * (5 + len(COPIES)) + "|"
    for design in with_progress(designs, "additions"):
        cells = [additions(design, copy=copy, studies=studies, rng=rng)[0] for copy in (*COPIES, None)]
        yield f"{design} " + " | ".join(map(percent, cells)) + " |"
    yield ""
