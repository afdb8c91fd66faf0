"""Do 95 % intervals hold their 95 %, and how often does a verdict claim what is not so? Simulated studies, known truth.

Prints Markdown on stdout, progress on stderr. Commands and how to read the result: benchmarks/README.md.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from absl import flags

from benchmarks.simulated_additions import ADDED_DESIGNS, added_table
from benchmarks.simulated_studies import (
    FAMILIES,
    SEED_WIDTH,
    Design,
    Population,
    Study,
    monte_carlo_error,
    percent,
    with_progress,
)
from lingjax import command
from lingjax.evaluation.audit import TargetAudit
from lingjax.evaluation.controls import ControlResult, majority
from lingjax.evaluation.metrics import pair_metrics
from lingjax.evaluation.statistics import MetricSummary, wilson_interval
from lingjax.evaluation.verdict import Verdict, assess

_STUDIES = flags.DEFINE_integer("studies", 200, "Simulated studies a cell of the tables.", lower_bound=1)
_RESAMPLED = flags.DEFINE_integer(
    "resampled", 50, "Of these, how many where intervals are resampled, which is slow.", lower_bound=0
)
_ALARM_STUDIES = flags.DEFINE_integer("alarm_studies", 100, "Of the tables of false alarms.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of all draws.")
_TABLES = flags.DEFINE_list("tables", ["coverage", "alarms", "added"], "Which tables to make.")
_QUICK = flags.DEFINE_boolean("quick", False, "Two lines of each table and 10 studies: seconds, to see that it runs.")

AUROCS = (0.5, 0.75, 0.95, 0.99)
_QUICK_STUDIES = 10
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

DESIGNS = (
    *(Design(rows, one_in) for one_in in (2, 20) for rows in (20, 50, 100, 400)),
    *(Design(rows, seeds=seeds) for seeds in (3, 5) for rows in (20, 50, 100, 400)),
    *(Design(400, group=group) for group in (5, 10, 50)),
)

ALARM_DESIGNS = (Design(50), Design(50, seeds=3), Design(50, seeds=5), Design(100, group=10))

AGAINST = (
    (Design(100), 1),
    (Design(100, seeds=3), 1),
    (Design(100, seeds=3), 3),
    (Design(100, seeds=5), 5),
    (Design(400, seeds=3, group=10), 3),
)
"""Designs, and how many seeds the control has."""

_wilson = functools.cache(wilson_interval)


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


def coverage_tables(
    designs: Sequence[Design], *, studies: int, resampled: int, rng: np.random.Generator
) -> Iterable[str]:
    """Yields the lines of the two tables of coverage, AUROC's and accuracy's."""
    of = {grouped: [Population(name, grouped=grouped) for name in FAMILIES] for grouped in (False, True)}
    lines: dict[str, list[str]] = {"auroc": [], "accuracy": []}
    for design in with_progress(designs, "coverage"):
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
    designs: Sequence[Design], against: Sequence[tuple[Design, int]], *, studies: int, rng: np.random.Generator
) -> Iterable[str]:
    """Yields the lines of the tables of false alarms: against chance, and against a control."""
    error = f"{studies} studies a cell; Monte Carlo error ± {monte_carlo_error(0.05, studies):.1f} at 5 %"
    yield f"False alarms in % at a mean AUROC of 0.5: seeds alike / seeds that differ ({error})"
    yield ""
    yield "| rows | balance | rows a group | seeds | `direct` | `ci95_over_both` excludes 0.5 | permutation p <= 0.05 |"
    yield "|---" * 7 + "|"
    widths = (0.0, SEED_WIDTH)
    of = {
        (grouped, width): [Population(name, grouped=grouped, width=width) for name in FAMILIES]
        for grouped in (False, True)
        for width in widths
    }
    for design in with_progress(designs, "false alarms"):
        alarms = [false_alarms(of[design.group > 1, width], design, studies=studies, rng=rng) for width in widths]
        claims = ("direct", "over_both", "permutation") if design.seeds > 1 else ("direct", "", "permutation")
        cells = (" / ".join(percent(one.get(claim)) for one in alarms) if claim else "–" for claim in claims)
        yield f"{design} " + " | ".join(cells) + " |"
    yield ""
    yield f"`above_best_control` in % against the same method, AUROC 0.75, seeds that differ ({error})"
    yield ""
    yield "| rows | balance | rows a group | seeds | control's seeds | true | null |"
    yield "|---" * 7 + "|"
    for design, control_seeds in against:
        populations = of[design.group > 1, SEED_WIDTH]
        true, unknown = control_alarms(
            populations, design, control_seeds=control_seeds, auroc=0.75, studies=studies, rng=rng
        )
        yield f"{design} {control_seeds} | {percent(true)} | {percent(unknown)} |"
    yield ""


def main(_: list[str]) -> None:
    """Simulates and prints."""
    rng = np.random.default_rng(_SEED.value)
    studies = _QUICK_STUDIES if _QUICK.value else _STUDIES.value
    resampled = _QUICK_STUDIES if _QUICK.value else min(_RESAMPLED.value, studies)
    chosen = (Design(20), Design(50, seeds=3)) if _QUICK.value else DESIGNS
    alarms = chosen[1:] if _QUICK.value else ALARM_DESIGNS
    against = AGAINST[:1] if _QUICK.value else AGAINST
    added = (Design(100, seeds=3),) if _QUICK.value else ADDED_DESIGNS
    alarm_studies = _QUICK_STUDIES if _QUICK.value else _ALARM_STUDIES.value
    tables = {
        "coverage": coverage_tables(chosen, studies=studies, resampled=resampled, rng=rng),
        "alarms": alarm_tables(alarms, against, studies=alarm_studies, rng=rng),
        "added": added_table(added, studies=alarm_studies, rng=rng),
    }
    for name in _TABLES.value:
        for line in tables[name]:
            print(line, flush=True)


if __name__ == "__main__":
    command.run(main)
