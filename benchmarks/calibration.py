"""Do 95 % intervals hold their 95 %, and how often does a verdict claim what is not so? Simulated studies, known truth.

Prints Markdown on stdout, progress on stderr. Commands and how to read the result: benchmarks/README.md.
"""

import dataclasses
import functools
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from absl import flags
from jaxtyping import Float

from lingjax import command
from lingjax.evaluation.audit import TargetAudit
from lingjax.evaluation.auroc_interval import Interval, RankedRows, ranked_interval, together
from lingjax.evaluation.bootstrap import ItemSpread
from lingjax.evaluation.controls import ControlResult, majority
from lingjax.evaluation.metrics import PairPredictions, pair_metrics
from lingjax.evaluation.statistics import MetricSummary, crossed_interval, seed_interval, summarise, wilson_interval
from lingjax.evaluation.verdict import Verdict, assess

_STUDIES = flags.DEFINE_integer("studies", 200, "Simulated studies a cell of the tables.", lower_bound=1)
_RESAMPLED = flags.DEFINE_integer(
    "resampled", 50, "Of these, how many where intervals are resampled, which is slow.", lower_bound=0
)
_ALARM_STUDIES = flags.DEFINE_integer("alarm_studies", 100, "Of the tables of false alarms.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of all draws.")
_QUICK = flags.DEFINE_boolean("quick", False, "Two lines of each table and 10 studies: seconds, to see that it runs.")

AUROCS = (0.5, 0.75, 0.95, 0.99)
_QUICK_STUDIES = 10
_DRAWS = 400_000
_LEVELS = np.linspace(0, 1, 20_001)
_SEED_WIDTH = 0.6
_ITEM_SHARE = 0.6
_GROUP_SHARE = 0.3
_SIGNIFICANT = 0.05
_AUDIT = TargetAudit(
    unknown_token_fraction=0.0,
    rows_all_unknown=0,
    truncated_rows=0,
    cut_rows=0,
    tokens_per_row={"p50": 20.0, "p95": 20.0, "max": 20.0},
    characters_per_token=4.0,
    duplicate_rows=0,
    conflicting_label_rows=0,
    rows_shared_with_source=0,
)

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


DESIGNS = (
    *(Design(rows, one_in) for one_in in (2, 20) for rows in (20, 50, 100, 400)),
    *(Design(rows, seeds=seeds) for seeds in (3, 5) for rows in (20, 50, 100, 400)),
    *(Design(400, group=group) for group in (5, 10, 50)),
)

ALARM_DESIGNS = (Design(50), Design(50, seeds=3), Design(50, seeds=5), Design(100, group=10))


class Population:
    """Scores of label 0 are an item's effect plus what is left to a seed; label 1 adds the seed's own skill.

    What it holds of distributions is counted from many draws.
    """

    def __init__(self, family: str, *, grouped: bool, width: float = _SEED_WIDTH, draws: int = _DRAWS, seed: int = 1):
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
            predictions=_predictions(labels, scores - threshold),
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


_wilson = functools.cache(wilson_interval)


def _quantiles(drawn: Float[np.ndarray, " draws"]) -> Float[np.ndarray, " quantiles"]:
    return np.quantile(drawn, _LEVELS)


def _below(quantiles: Float[np.ndarray, " quantiles"], values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.interp(values, quantiles, _LEVELS)


def _predictions(labels: np.ndarray, scores: Float[np.ndarray, "seeds rows"]) -> Mapping[int, PairPredictions]:
    rows = np.arange(labels.size)
    return {
        seed: PairPredictions(rows, labels, np.stack([np.zeros_like(one), one], axis=1))
        for seed, one in enumerate(scores)
    }


def covered(
    populations: Sequence[Population],
    design: Design,
    *,
    auroc: float,
    studies: int,
    resampled: int,
    rng: np.random.Generator,
) -> dict[str, list[float | None]]:
    """Returns, by metric, the share of the intervals over items, seeds and both that hold the truth; None if none.

    Populations take turns. The accuracy of several seeds, or of groups, is summarised in `resampled` of the studies.
    """
    held: dict[str, list[list[bool]]] = {"auroc": [[], [], []], "accuracy": [[], [], []]}
    for number in range(studies):
        study = populations[number % len(populations)].study(design, auroc=auroc, rng=rng)
        intervals = {"auroc": study.auroc_intervals()}
        if design.seeds == 1 and design.group == 1:
            right = (study.predictions[0].positive_probability > 0.5) == design.labels
            intervals["accuracy"] = (_wilson(int(right.sum()), design.rows), None, None)
        elif number < resampled:
            one = study.summary()["accuracy"]
            intervals["accuracy"] = (one.ci95_over_items, one.ci95_over_seeds, one.ci95_over_both)
        for metric, given in intervals.items():
            for known, interval, truth in zip(held[metric], given, study.truth[metric], strict=True):
                if interval is not None:
                    known.append(interval[0] <= truth <= interval[1])
    return {metric: [float(np.mean(one)) if one else None for one in lists] for metric, lists in held.items()}


def false_alarms(
    populations: Sequence[Population], design: Design, *, studies: int, rng: np.random.Generator
) -> dict[str, float]:
    """Returns how often studies of mean AUROC 0.5 are said to be above it."""
    claims: dict[str, list[bool]] = {"direct": [], "over_both": [], "permutation": []}
    for number in range(studies):
        study = populations[number % len(populations)].study(design, auroc=0.5, rng=rng)
        summary = study.summary(for_auroc_alone=True)
        verdict = _verdict(study, summary, {})
        both = summary["auroc"].ci95_over_both
        claims["direct"].append(verdict.orientation == "direct")
        claims["over_both"].append(both is not None and not both[0] <= 0.5 <= both[1])
        claims["permutation"].append(verdict.sign_tests["chance"].p <= _SIGNIFICANT)
    return {name: float(np.mean(claimed)) for name, claimed in claims.items()}


def control_alarms(
    populations: Sequence[Population],
    design: Design,
    *,
    control_seeds: int,
    auroc: float,
    studies: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Returns how often a method is said to be above itself as a trained control, and how often nothing is said."""
    claims = []
    for number in range(studies):
        population = populations[number % len(populations)]
        study = population.study(design, auroc=auroc, rng=rng)
        again = dataclasses.replace(design, seeds=control_seeds)
        rival = population.with_items(again, study.items, auroc=auroc, rng=rng)
        scores = np.stack([one.positive_probability for one in rival.predictions.values()])
        metrics = [pair_metrics(design.labels, one).to_json() for one in scores]
        mean = float(np.mean([one["auroc"] for one in metrics]))
        control = ControlResult(accuracy=None, auroc=mean, ci95=None, scores=scores, seeds=tuple(metrics))
        summary = study.summary(for_auroc_alone=True)
        claims.append(_verdict(study, summary, {"random_init": control}).above_best_control)
    return claims.count(True) / studies, claims.count(None) / studies


def _verdict(study: Study, summary: Mapping[str, MetricSummary], controls: Mapping[str, ControlResult]) -> Verdict:
    return assess(
        study.predictions,
        summary=summary,
        controls={"majority": majority(study.predictions[0].labels), **controls},
        audit=_AUDIT,
        source=None,
        synthetic=False,
        groups=study.groups,
    )


def percent(share: float | None) -> str:
    """Returns a cell's figure."""
    return "–" if share is None else f"{100 * share:.0f}"


def monte_carlo_error(share: float, studies: int) -> float:
    """Returns the standard error, in points of a hundred, of a share that is counted in so many studies."""
    return 100 * math.sqrt(share * (1 - share) / studies)


def _with_progress(lines: Sequence[Design], title: str) -> Iterator[Design]:
    begin = time.monotonic()
    for number, line in enumerate(lines):
        yield line
        spent = time.monotonic() - begin
        left = spent / (number + 1) * (len(lines) - number - 1)
        print(f"{title}: {number + 1}/{len(lines)}, {left:.0f} s left", file=sys.stderr, flush=True)


def coverage_tables(
    designs: Sequence[Design], *, studies: int, resampled: int, rng: np.random.Generator
) -> Iterable[str]:
    """Yields the lines of the two tables of coverage, AUROC's and accuracy's."""
    of = {grouped: [Population(name, grouped=grouped) for name in FAMILIES] for grouped in (False, True)}
    lines: dict[str, list[str]] = {"auroc": [], "accuracy": []}
    for design in _with_progress(designs, "coverage"):
        cells = [
            covered(of[design.group > 1], design, auroc=one, studies=studies, resampled=resampled, rng=rng)
            for one in AUROCS
        ]
        for metric, table in lines.items():
            shown = (cell[metric] if design.seeds > 1 else cell[metric][:1] for cell in cells)
            table.append(f"{design} " + " | ".join(" / ".join(map(percent, one)) for one in shown) + " |")
    caption = f"{studies} studies a cell; Monte Carlo error ± {monte_carlo_error(0.95, studies):.1f} at 95 %"
    few = f"; of several seeds or groups the accuracy in {resampled}"
    few += f", ± {monte_carlo_error(0.95, resampled):.1f}" if resampled else ", so it is not known"
    for metric, title in (("auroc", "AUROC"), ("accuracy", "accuracy")):
        counted = caption + few if metric == "accuracy" else caption
        yield f"Coverage in % of the intervals of the {title}: over items, or over items / seeds / both ({counted})"
        yield ""
        yield "| rows | balance | rows a group | seeds | " + " | ".join(f"AUROC {one:g}" for one in AUROCS) + " |"
        yield "|---" * (4 + len(AUROCS)) + "|"
        yield from lines[metric]
        yield ""


def alarm_tables(
    designs: Sequence[Design], against: Sequence[tuple[int, int]], *, studies: int, rng: np.random.Generator
) -> Iterable[str]:
    """Yields the lines of the tables of false alarms: against chance, and against a control."""
    error = f"{studies} studies a cell; Monte Carlo error ± {monte_carlo_error(0.05, studies):.1f} at 5 %"
    yield f"False alarms in % at a mean AUROC of 0.5: seeds alike / seeds that differ ({error})"
    yield ""
    yield "| rows | balance | rows a group | seeds | `direct` | `ci95_over_both` excludes 0.5 | permutation p <= 0.05 |"
    yield "|---" * 7 + "|"
    widths = (0.0, _SEED_WIDTH)
    of = {
        (grouped, width): [Population(name, grouped=grouped, width=width) for name in FAMILIES]
        for grouped in (False, True)
        for width in widths
    }
    for design in _with_progress(designs, "false alarms"):
        alarms = [false_alarms(of[design.group > 1, width], design, studies=studies, rng=rng) for width in widths]
        claims = ("direct", "over_both", "permutation") if design.seeds > 1 else ("direct", "", "permutation")
        cells = (" / ".join(percent(one.get(claim)) for one in alarms) if claim else "–" for claim in claims)
        yield f"{design} " + " | ".join(cells) + " |"
    yield ""
    yield f"`above_best_control` in % against the same method, AUROC 0.75, 100 rows, 1:1 ({error})"
    yield ""
    yield "| seeds, control's seeds | true | null |"
    yield "|---|---|---|"
    for seeds, control_seeds in against:
        design = Design(100, seeds=seeds)
        true, unknown = control_alarms(
            of[False, _SEED_WIDTH], design, control_seeds=control_seeds, auroc=0.75, studies=studies, rng=rng
        )
        yield f"| {seeds}, {control_seeds} | {percent(true)} | {percent(unknown)} |"


def main(_: list[str]) -> None:
    """Simulates and prints."""
    rng = np.random.default_rng(_SEED.value)
    studies = _QUICK_STUDIES if _QUICK.value else _STUDIES.value
    resampled = _QUICK_STUDIES if _QUICK.value else min(_RESAMPLED.value, studies)
    chosen = (Design(20), Design(50, seeds=3)) if _QUICK.value else DESIGNS
    alarms = chosen[1:] if _QUICK.value else ALARM_DESIGNS
    against = ((1, 1), (3, 3)) if _QUICK.value else ((1, 1), (3, 1), (3, 3), (5, 5))
    for line in coverage_tables(chosen, studies=studies, resampled=resampled, rng=rng):
        print(line)
    for line in alarm_tables(
        alarms, against, studies=_QUICK_STUDIES if _QUICK.value else _ALARM_STUDIES.value, rng=rng
    ):
        print(line, flush=True)


if __name__ == "__main__":
    command.run(main)
