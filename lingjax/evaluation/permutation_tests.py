"""Permutation tests of a ranking: is the AUROC, averaged over seeds, above chance, and above that of a control?"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from lingjax.evaluation.auroc_interval import Groups, RankedRows, together
from lingjax.evaluation.controls import Control, ControlResult
from lingjax.evaluation.metrics import Labels, PairPredictions, checked_labels
from lingjax.evaluation.recorded import Recorded
from lingjax.evaluation.statistics import shared_labels

CHANCE = "chance"
"""The name of the test against chance among those against controls."""

PERMUTATIONS = 9_999
"""Drawn where there are more than can be counted out: the smallest p is 1 in 10,000."""

# 2 M numbers (16 MB) a block bound the memory, 100 M drawn numbers the time: about two seconds.
_NUMBERS_PER_BLOCK = 2_000_000
_MOST_NUMBERS = 100_000_000
_FEWEST_PERMUTATIONS = 999
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class PermutationTest(Recorded):
    """A one-sided test; `p` is how likely so great an AUROC (or gain over a control) is if there is nothing to it.

    `wins` counts the rows that the model places better than its rival among the rows of the other label, `losses`
    worse, `ties` alike, each by the mean over seeds; chance orders every row rightly against half of them.
    `p_corrected` is Bonferroni's for the number of targets judged together, or as `false_discovery` makes it.
    """

    wins: int
    losses: int
    ties: int
    p: float
    p_corrected: float


def permutation_tests(
    predictions: Mapping[int, PairPredictions],
    controls: Mapping[str, Control],
    *,
    num_targets: int,
    groups: Groups | None = None,
    seed: int = 0,
) -> dict[str, PermutationTest]:
    """Tests the model's ranking against chance (key `chance`) and against every control that is no model, by name.

    They speak of these very models on other pairs: rows are counted, not seeds. A control that is a model is an
    experiment with seeds of its own, so it has no test here.

    Against chance labels are permuted, all rows and all seeds at once; against a control, model and control change
    places in rows drawn at random (Bandos et al. 2005, doi:10.1002/sim.2149, by its sum of influences). Rows of a group
    stay together: whole groups change their sign.

    To beat all controls is to pass every test, which needs no correction; to pass on one target of several does.

    Args:
      predictions: by training seed; all on the target's rows.
      controls: by name.
      num_targets: how many targets are judged together.
      groups: the group of every row, None if every row stands for itself.
      seed: decides the permutations.

    Raises:
      ValueError: `num_targets` is not positive.
    """
    if num_targets < 1:
        raise ValueError(f"num_targets={num_targets} must be at least 1: the target itself counts")
    labels = shared_labels(predictions)
    scores = np.stack([one.positive_probability for one in predictions.values()])
    tests = {CHANCE: _test(labels, scores, None, groups, num_targets=num_targets, seed=seed)}
    for name, control in controls.items():
        if not isinstance(control, ControlResult) or control.scores is None or control.is_trained:
            continue
        rows = np.arange(labels.size) if control.rows is None else control.rows
        rival = control.scores if np.ptp(control.scores, axis=1).any() else None  # a constant orders nothing
        if rival is None and control.rows is None:
            tests[name] = tests[CHANCE]
            continue
        of_rows = None if groups is None else groups[rows]
        tests[name] = _test(labels[rows], scores[:, rows], rival, of_rows, num_targets=num_targets, seed=seed)
    return tests


def false_discovery(tests: Mapping[str, Mapping[str, PermutationTest]]) -> dict[str, dict[str, PermutationTest]]:
    """Returns the tests with `p_corrected` by Benjamini and Hochberg, over all targets, for each test by itself.

    Calling significant what has at most 0.05 keeps the expected share of false ones among these calls at 5 %; weaker
    than Bonferroni, by which 5 % is the chance of any false one at all.

    Source: Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.

    Args:
      tests: by target and name; all targets judged together.
    """
    adjusted: dict[str, dict[str, PermutationTest]] = {target: dict(of_target) for target, of_target in tests.items()}
    for name in {name for of_target in tests.values() for name in of_target}:
        targets = [target for target, of_target in tests.items() if name in of_target]
        values = stats.false_discovery_control([tests[target][name].p for target in targets], method="bh")
        for target, p in zip(targets, values.tolist(), strict=True):
            adjusted[target][name] = dataclasses.replace(tests[target][name], p_corrected=p)
    return adjusted


def _test(
    labels: Labels,
    scores: Float[np.ndarray, "seeds rows"],
    rival_scores: Float[np.ndarray, "rival_seeds rows"] | None,
    groups: Groups | None,
    *,
    num_targets: int,
    seed: int,
) -> PermutationTest:
    positive = checked_labels(labels, scores[0])
    if positive.all() or not positive.any():
        return PermutationTest(0, 0, labels.size, 1.0, 1.0)
    groups = together(groups)
    ours = RankedRows.of(positive, scores).placements
    theirs = 0.5 if rival_scores is None else RankedRows.of(positive, rival_scores).placements
    gains = np.where(np.abs(ours - theirs) < _ROUNDING, 0.0, ours - theirs)
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    rng = np.random.default_rng(seed)
    if rival_scores is None and groups is None:
        p = _label_permutation_p(positive, stats.rankdata(scores, axis=1).mean(axis=0), rng)
    elif rival_scores is None:
        ranks = stats.rankdata(scores, axis=1).mean(axis=0)
        products = (positive - positive.mean()) * (ranks - ranks.mean())
        p = _sign_flip_p(np.bincount(groups, products), products.sum(), rng)
    else:
        terms = gains / np.where(positive, positive.sum(), (~positive).sum())
        p = _sign_flip_p(terms if groups is None else np.bincount(groups, terms), terms[positive].sum(), rng)
    return PermutationTest(wins, losses, labels.size - wins - losses, p, min(1.0, p * num_targets))


def _label_permutation_p(
    positive: Bool[np.ndarray, " rows"], ranks: Float[np.ndarray, " rows"], rng: np.random.Generator
) -> float:
    """Returns how often as many rows drawn at random have ranks as high: counted out where there are few choices."""
    chosen = int(positive.sum())
    observed = ranks[positive].sum() * (1 - _ROUNDING)
    if math.comb(positive.size, chosen) <= PERMUTATIONS:
        sums = [ranks[list(rows)].sum() for rows in itertools.combinations(range(positive.size), chosen)]
        return float(np.mean(np.array(sums) >= observed))
    drawn = [rng.permuted(np.tile(positive, (size, 1)), axis=1) @ ranks for size in _blocks(positive.size)]
    return _monte_carlo_p(np.concatenate(drawn) >= observed)


def _sign_flip_p(terms: Float[np.ndarray, " units"], observed: float, rng: np.random.Generator) -> float:
    """Returns how often the terms' sum under random signs reaches the observed statistic."""
    least = observed - _ROUNDING * np.abs(terms).sum()
    drawn = [(2.0 * rng.integers(0, 2, (size, terms.size), np.int8) - 1) @ terms for size in _blocks(terms.size)]
    return _monte_carlo_p(np.concatenate(drawn) >= least)


def _monte_carlo_p(as_great: Bool[np.ndarray, " permutations"]) -> float:
    return float((1 + as_great.sum()) / (1 + as_great.size))


def _blocks(units: int) -> Iterator[int]:
    """Yields how many permutations to draw at a time."""
    left = min(PERMUTATIONS, max(_FEWEST_PERMUTATIONS, _MOST_NUMBERS // units))
    block = max(1, _NUMBERS_PER_BLOCK // units)
    while left > 0:
        yield min(block, left)
        left -= block
