"""Exact sign tests of a ranking: does the model order more pairs of rows rightly than chance, or than a control?"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from lingjax.evaluation.controls import Control, ControlResult
from lingjax.evaluation.metrics import Labels, PairPredictions, checked_labels
from lingjax.evaluation.statistics import shared_labels

CHANCE = "chance"
"""The name of the test against chance among those against controls."""


@dataclasses.dataclass(frozen=True)
class SignTest:
    """A one-sided exact binomial test; `p` is how likely so many wins, or more, are if wins and losses are as likely.

    Of the matched rows (one with label 1, one with label 0), `wins` were ordered better by the model than by its rival,
    `losses` worse, `ties` alike. `p_corrected` is Bonferroni's for the number of targets judged together.
    """

    wins: int
    losses: int
    ties: int
    p: float
    p_corrected: float

    def to_json(self) -> dict[str, Any]:
        """The test as the report holds it."""
        return dataclasses.asdict(self)


def matched_rows(labels: Labels, *, seed: int = 0) -> tuple[Int[np.ndarray, " matches"], Int[np.ndarray, " matches"]]:
    """Returns rows with label 1 and rows with label 0, matched at random one to one; no row occurs twice.

    As matches share no rows they are independent, unlike the comparisons of all with all that make up the AUROC.
    """
    rng = np.random.default_rng(seed)
    positive = checked_labels(labels, labels)
    ones, zeros = rng.permutation(np.flatnonzero(positive)), rng.permutation(np.flatnonzero(~positive))
    count = min(ones.size, zeros.size)
    return ones[:count], zeros[:count]


def sign_tests(
    predictions: Mapping[int, PairPredictions],
    controls: Mapping[str, Control],
    *,
    num_targets: int,
    seed: int = 0,
) -> dict[str, SignTest]:
    """Tests the model's ranking against chance (key `chance`) and against every control that has scores, by name.

    Training seeds vote: a model, or a control of several seeds, orders a match as most of them do, by which of its two
    rows they score higher. The rows and not the seeds are counted, because seeds that are judged on the same rows are
    not independent of each other under the null hypothesis.

    To beat all controls is to pass every test, which needs no correction; to pass on one target of several does.

    Args:
      predictions: by training seed; all on the target's rows.
      num_targets: how many targets are judged together.
      seed: of the matching, drawn without a look at any score.

    Raises:
      ValueError: `num_targets` is not positive.
    """
    if num_targets < 1:
        raise ValueError(f"num_targets={num_targets} must be at least 1: the target itself counts")
    labels = shared_labels(predictions)
    scores = np.stack([one.positive_probability for one in predictions.values()])
    tests = {CHANCE: _test(labels, scores, np.zeros((1, labels.size)), num_targets=num_targets, seed=seed)}
    for name, control in controls.items():
        if not isinstance(control, ControlResult) or control.scores is None:
            continue
        rows = np.arange(labels.size) if control.rows is None else control.rows
        tests[name] = _test(labels[rows], scores[:, rows], control.scores, num_targets=num_targets, seed=seed)
    return tests


def _test(
    labels: Labels,
    scores: Float[np.ndarray, "seeds rows"],
    rival_scores: Float[np.ndarray, "rival_seeds rows"],
    *,
    num_targets: int,
    seed: int,
) -> SignTest:
    ones, zeros = matched_rows(labels, seed=seed)
    # A vote counts whole: else three seeds of which two are right would lose to one control that is right.
    ours, theirs = (np.sign(np.sign(one[:, ones] - one[:, zeros]).sum(axis=0)) for one in (scores, rival_scores))
    wins, losses = _count(ours > theirs), _count(ours < theirs)
    p = float(stats.binomtest(wins, wins + losses, alternative="greater").pvalue) if wins + losses else 1.0
    return SignTest(wins, losses, ones.size - wins - losses, p, min(1.0, p * num_targets))


def _count(where: Bool[np.ndarray, " matches"]) -> int:
    return int(np.count_nonzero(where))
