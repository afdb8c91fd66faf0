"""Simulated studies whose truth is known: items, seeds and groups with effects of their own."""

import dataclasses
import functools
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from lingjax.evaluation.auroc_interval import Interval, RankedRows, ranked_interval, together
from lingjax.evaluation.bootstrap import ItemSpread
from lingjax.evaluation.metrics import PairPredictions
from lingjax.evaluation.statistics import MetricSummary, crossed_interval, seed_interval, summarise

SEED_WIDTH = 0.6
_DRAWS = 400_000
_LEVELS = np.linspace(0, 1, 20_001)
_ITEM_SHARE = 0.6
_GROUP_SHARE = 0.3

Draw = Callable[[np.random.Generator, int | tuple[int, ...]], Float[np.ndarray, "..."]]


def _gamma(rng: np.random.Generator, shape: int | tuple[int, ...]) -> Float[np.ndarray, "..."]:
    return (rng.gamma(2.0, size=shape) - 2) / math.sqrt(2)


def _student(rng: np.random.Generator, shape: int | tuple[int, ...]) -> Float[np.ndarray, "..."]:
    return rng.standard_t(3, size=shape) / math.sqrt(3)


FAMILIES: Mapping[str, Draw] = {"gamma": _gamma, "t3": _student}
"""Effects of items and of what is left, with mean 0 and variance 1."""


@dataclasses.dataclass(frozen=True)
class Design:
    """One line of a table: one of `one_in` rows has label 1; `group` rows of one label hang together."""

    rows: int
    one_in: int = 2
    seeds: int = 1
    group: int = 1

    @property
    def labels(self) -> Float[np.ndarray, " rows"]:
        """Rows of label 1 first."""
        return (np.arange(self.rows) < self.rows // self.one_in).astype(np.int64)

    def __str__(self) -> str:
        return f"| {self.rows} | 1:{self.one_in - 1} | {self.group} | {self.seeds} |"


class Population:
    """Scores of label 0 are an item's effect plus what is left to a seed; label 1 adds the seed's own skill.

    What it holds of distributions is counted from many draws.
    """

    def __init__(self, family: str, *, grouped: bool, width: float = SEED_WIDTH, draws: int = _DRAWS, seed: int = 1):
        self._draw, self._grouped, self.width = FAMILIES[family], grouped, width
        rng = np.random.default_rng(seed)
        scores = [self._items(rng, draws, group=1) + self._rest(rng, draws) for _ in range(2)]
        rests = [self._rest(rng, draws) for _ in range(2)]
        skills = rng.uniform(-width, width, draws)
        self._difference = _quantiles(scores[1] - scores[0])
        self._score = _quantiles(scores[0])
        self._rest_only = _quantiles(-rests[0])
        self._rest_and_skill = _quantiles(-rests[0] - skills)
        self._rest_difference = _quantiles(rests[1] - rests[0] - skills)

    def _items(self, rng: np.random.Generator, rows: int, *, group: int) -> Float[np.ndarray, " rows"]:
        if not self._grouped:
            return math.sqrt(_ITEM_SHARE) * self._draw(rng, rows)
        of_groups = np.repeat(self._draw(rng, -(-rows // group)), group)[:rows]
        alone = math.sqrt(_ITEM_SHARE - _GROUP_SHARE) * self._draw(rng, rows)
        return math.sqrt(_GROUP_SHARE) * of_groups + alone

    def _rest(self, rng: np.random.Generator, shape: int | tuple[int, ...]) -> Float[np.ndarray, "..."]:
        return math.sqrt(1 - _ITEM_SHARE) * self._draw(rng, shape)

    def auroc(self, skills: Float[np.ndarray, " seeds"]) -> float:
        """The mean AUROC, over all pairs there could be, of models with these skills."""
        return float(_below(self._difference, skills).mean())

    @functools.cached_property
    def _skill_grid(self) -> Float[np.ndarray, " points"]:
        return self.width * ((np.arange(401) + 0.5) / 200.5 - 1)

    @functools.lru_cache  # noqa: B019 (populations live as long as the program)
    def centre(self, auroc: float) -> float:
        """The mean skill at which the mean AUROC over all models and pairs is so great; by bisection."""
        low, high = -1.0, 20.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.auroc(middle + self._skill_grid) < auroc else (low, middle)
        return 0.0 if auroc == 0.5 else low

    def accuracy(self, skills: Float[np.ndarray, " seeds"], threshold: float, share: float) -> float:
        """The mean accuracy, over all pairs there could be, where `share` has label 1."""
        zeros = float(_below(self._score, np.array(threshold)))
        ones = float(1 - _below(self._score, threshold - skills).mean())
        return share * ones + (1 - share) * zeros

    def study(self, design: Design, *, auroc: float, rng: np.random.Generator) -> "Study":
        """Draws one study."""
        items = self._items(rng, design.rows, group=design.group)
        return self.with_items(design, items, auroc=auroc, rng=rng)

    def with_items(
        self, design: Design, items: Float[np.ndarray, " rows"], *, auroc: float, rng: np.random.Generator
    ) -> "Study":
        """Draws a study's models for given items; two studies of the same items differ by their seeds alone."""
        labels, centre = design.labels, self.centre(auroc)
        skills = centre + rng.uniform(-self.width, self.width, design.seeds)
        scores = items + self._rest(rng, (design.seeds, design.rows)) + skills[:, None] * labels
        share, threshold = float(labels.mean()), centre / 2
        ones, zeros = items[labels == 1], items[labels == 0]
        beaten = _below(self._rest_difference, centre + ones[:, None] - zeros)
        right_ones = _below(self._rest_and_skill, centre + ones - threshold)
        right_zeros = 1 - _below(self._rest_only, zeros - threshold)
        everywhere = centre + self._skill_grid
        return Study(
            predictions=logits_to_predictions(labels, scores - threshold),
            groups=None if design.group == 1 else np.arange(design.rows) // design.group,
            items=items,
            truth={
                "auroc": (self.auroc(skills), float(beaten.mean()), auroc),
                "accuracy": (
                    self.accuracy(skills, threshold, share),
                    share * float(right_ones.mean()) + (1 - share) * float(right_zeros.mean()),
                    self.accuracy(everywhere, threshold, share),
                ),
            },
        )


@dataclasses.dataclass(frozen=True)
class Study:
    """One study; `truth` holds what its intervals over items, over seeds and over both should hold, by metric."""

    predictions: Mapping[int, PairPredictions]
    groups: np.ndarray | None
    items: Float[np.ndarray, " rows"]
    truth: Mapping[str, tuple[float, float, float]]

    def auroc_intervals(self) -> tuple[Interval | None, Interval | None, Interval | None]:
        """What `summarise` says of the AUROC, without its other metrics, which take most of its time."""
        labels = self.predictions[0].labels
        scores = np.stack([one.positive_probability for one in self.predictions.values()])
        ranked = RankedRows.of(labels, scores)
        over_items = ranked_interval(ranked, groups=together(self.groups))
        if over_items is None:
            return None, None, None
        values = ranked.aurocs.tolist()
        variance = ranked.variance(ranked.placements, groups=together(self.groups))
        over_seeds = seed_interval(values, bounds=(0.0, 1.0))
        over_both = crossed_interval(values, ItemSpread(over_items, variance), bounds=(0.0, 1.0))
        if over_both is not None:
            known = [one for one in (over_items, over_seeds, over_both) if one is not None]
            over_both = min(low for low, _ in known), max(high for _, high in known)
        return over_items, over_seeds, over_both

    def summary(self, *, for_auroc_alone: bool = False) -> Mapping[str, MetricSummary]:
        """What a report says. Resamples are left out where neither metric rests on them."""
        needed = not for_auroc_alone and (len(self.predictions) > 1 or self.groups is not None)
        return summarise(self.predictions, groups=self.groups, replicates=1000 if needed else 2)


def _quantiles(drawn: Float[np.ndarray, " draws"]) -> Float[np.ndarray, " quantiles"]:
    return np.quantile(drawn, _LEVELS)


def _below(quantiles: Float[np.ndarray, " quantiles"], values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.interp(values, quantiles, _LEVELS)


def logits_to_predictions(labels: np.ndarray, scores: Float[np.ndarray, "seeds rows"]) -> Mapping[int, PairPredictions]:
    """Returns predictions by seed whose logits these are."""
    rows = np.arange(labels.size)
    return {
        seed: PairPredictions(rows, labels, np.stack([np.zeros_like(one), one], axis=1))
        for seed, one in enumerate(scores)
    }


def percent(share: float | None) -> str:
    """Returns a cell's figure."""
    return "–" if share is None else f"{100 * share:.0f}"


def monte_carlo_error(share: float, studies: int) -> float:
    """Returns the standard error, in points of a hundred, of a share that is counted in so many studies."""
    return 100 * math.sqrt(share * (1 - share) / studies)


def with_progress(lines: Sequence[Design], title: str) -> Iterator[Design]:
    """Yields the lines, and says on stderr how many are done and how long the others will take."""
    begin = time.monotonic()
    for number, line in enumerate(lines):
        yield line
        spent = time.monotonic() - begin
        left = spent / (number + 1) * (len(lines) - number - 1)
        print(f"{title}: {number + 1}/{len(lines)}, {left:.0f} s left", file=sys.stderr, flush=True)
