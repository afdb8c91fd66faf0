"""Two runs on the same targets: how far they differ, pair by pair."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import Float

from lingjax.errors import InputError
from lingjax.evaluation import (
    PairedTest,
    PairPredictions,
    auroc_difference_interval,
    difference_interval,
    mcnemar_test,
    mean_spread,
    pair_metrics,
)
from lingjax.evaluation.auroc_interval import Groups, together
from lingjax.evaluation.metrics import log_losses
from lingjax.files import find_paths
from lingjax.reporting.predictions import read_groups, read_pair_ids, read_predictions
from lingjax.reporting.report import TransferReport, read_report
from lingjax.reporting.table import model_name

Interval = tuple[float, float]

# Figures recomputed from predictions are those of the report, whose JSON holds every digit.
_TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True)
class JudgedRun:
    """A report and the predictions that lie beside it.

    `pair_ids` name the rows of all seeds; `scores` are probabilities of label 1, a row a seed; `groups` says which rows
    hang together, None where the predictions do not say or every row stands for itself.
    """

    path: epath.Path
    report: TransferReport
    pair_ids: list[str]
    labels: np.ndarray
    scores: Float[np.ndarray, "seeds rows"]
    groups: Groups | None = None

    @property
    def name(self) -> str:
        """The run's folder, as far as the path tells it, and model."""
        return ": ".join(filter(None, [self.path.parent.parent.name, model_name(self.report.model)]))


@dataclasses.dataclass(frozen=True)
class Difference:
    """Second minus first, means over seeds; None where a class is missing.

    `over_items`: these trained models on other pairs. `over_both`: other training runs on other pairs; None if a run
    has one seed.
    """

    value: float | None
    over_items: Interval | None
    over_both: Interval | None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two runs on the same pairs; `mcnemar` counts the rows that only one of them has right."""

    first: JudgedRun
    second: JudgedRun
    auroc: Difference
    accuracy: Difference
    log_loss: Difference
    mcnemar: PairedTest


def report_paths(place: epath.PathLike) -> list[epath.Path]:
    """Returns the reports of a workdir, or the one report that `place` is.

    Raises:
      InputError: a folder without reports.
    """
    place = epath.Path(place)
    if not place.is_dir():
        return [place]
    paths = find_paths(place, "reports/*.json")
    if not paths:
        raise InputError(f"{place}: no reports/*.json in this folder; experiments.transfer and .evaluate write them")
    return paths


def match_reports(
    first: epath.PathLike, second: epath.PathLike
) -> tuple[list[tuple[epath.Path, epath.Path]], list[epath.Path]]:
    """Pairs the reports of two workdirs (or two reports) by target; returns also those without a counterpart.

    Raises:
      InputError: no target in common, or two reports of one run about one target.
    """
    of_first, of_second = _by_target(first), _by_target(second)
    common = [target for target in of_first if target in of_second]
    if not common:
        named = (", ".join(f"{name}@{split}" for name, split in reports) for reports in (of_first, of_second))
        raise InputError(f"no target in common: {first} has {next(named)}; {second} has {next(named)}")
    alone = [path for target, path in {**of_first, **of_second}.items() if target not in common]
    return [(of_first[target], of_second[target]) for target in common], alone


def _by_target(place: epath.PathLike) -> dict[tuple[str, str], epath.Path]:
    found: dict[tuple[str, str], epath.Path] = {}
    for path in report_paths(place):
        target = read_report(path).target
        key = (target["dataset"], target["split"])
        if key in found:
            raise InputError(f"{found[key]} and {path} are about the same target {key[0]}; name the report to compare")
        found[key] = path
    return found


def read_judged_run(path: epath.PathLike) -> JudgedRun:
    """Reads `reports/TARGET.json` and `predictions/TARGET.seedN.jsonl` of all its seeds.

    Raises:
      InputError: a file is missing or damaged, or the predictions are not those that the report was made from.
    """
    path = epath.Path(path)
    report = read_report(path)
    beside = path.parent.parent / "predictions"
    files = [beside / f"{path.stem}.seed{seed['seed']}.jsonl" for seed in report.seeds]
    missing = [file for file in files if not file.exists()]
    if missing:
        raise InputError(
            f"{missing[0]}: no such file; runs are compared pair by pair, from the predictions that transfer and "
            "evaluate write beside reports/: keep the two folders together"
        )
    predictions = [read_predictions(file) for file in files]
    ids = [read_pair_ids(file) for file in files]
    for file, metrics, one, pair_ids in zip(files, report.seeds, predictions, ids, strict=True):
        same_rows = pair_ids == ids[0] and np.array_equal(one.labels, predictions[0].labels)
        if not same_rows or not _is_source_of(metrics, one):
            raise InputError(f"{file}: not the predictions that {path} was made from; evaluate that run anew")
    scores = np.stack([one.positive_probability for one in predictions])
    return JudgedRun(path, report, ids[0], predictions[0].labels, scores, together(read_groups(files[0])))


def _is_source_of(metrics: dict[str, Any], predictions: PairPredictions) -> bool:
    again = pair_metrics(predictions.labels, predictions.positive_probability).to_json()
    return again["confusion"] == metrics["confusion"] and (
        again["auroc"] == metrics["auroc"]
        if None in (again["auroc"], metrics["auroc"])
        else abs(again["auroc"] - metrics["auroc"]) < _TOLERANCE
    )


def compare_runs(
    first: JudgedRun, second: JudgedRun, *, pair_seeds: bool = False, replicates: int = 1000
) -> Comparison:
    """Measures how far two runs differ on the same pairs; rows that hang together are drawn together.

    Args:
      first, second: what is compared.
      pair_seeds: whether runs of one seed belong together, where both have the same seeds: those of an experiment whose
        arms differ in one thing alone.
      replicates: resamples of the items.

    Raises:
      InputError: their targets are not the same pairs in the same order.
    """
    ours, theirs = first.report.target["fingerprint"], second.report.target["fingerprint"]
    if ours != theirs:
        raise InputError(
            f"{first.path} and {second.path} are about different data under one name (fingerprints {ours[:12]} and "
            f"{theirs[:12]}); evaluate both runs on the same target"
        )
    if first.pair_ids != second.pair_ids or not np.array_equal(first.labels, second.labels):
        raise InputError(
            f"{first.path} and {second.path} were evaluated on different rows of their target; evaluate both runs anew"
        )
    labels = first.labels
    groups = first.groups if second.groups is None else second.groups
    of_first, of_second = (_share_right(labels, run.scores) for run in (first, second))
    more_lost = _losses(labels, second.scores) - _losses(labels, first.scores)
    over_items = {
        "auroc": auroc_difference_interval(labels, second.scores, first.scores, groups=groups),
        "accuracy": _mean_interval(of_second - of_first, groups, replicates=replicates),
        "log_loss": mean_spread(more_lost, groups=groups).interval,
    }
    seeds = [[seed["seed"] for seed in run.report.seeds] for run in (first, second)]
    paired = pair_seeds and seeds[0] == seeds[1]
    of_metrics = {
        name: _difference(first.report, second.report, name, over_items[name], paired=paired) for name in over_items
    }
    return Comparison(first, second, **of_metrics, mcnemar=mcnemar_test(of_first, of_second, groups=groups))


def _difference(
    first: TransferReport, second: TransferReport, metric: str, over_items: Interval | None, *, paired: bool
) -> Difference:
    by_run = [[seed[metric] for seed in report.seeds] for report in (first, second)]
    if None in itertools.chain(*by_run):
        return Difference(None, None, None)
    value = float(np.mean(by_run[1]) - np.mean(by_run[0]))
    if over_items is None:
        return Difference(value, None, None)
    bounds = (-math.inf, math.inf) if metric == "log_loss" else (-1.0, 1.0)
    return Difference(
        value, over_items, difference_interval(*by_run, over_items=over_items, bounds=bounds, paired=paired)
    )


def _share_right(labels: np.ndarray, scores: Float[np.ndarray, "seeds rows"]) -> Float[np.ndarray, " rows"]:
    """Returns the share of seeds that are right, by row; as everywhere, label 1 is predicted above 0.5."""
    return ((scores > 0.5) == labels).mean(axis=0)


def _losses(labels: np.ndarray, scores: Float[np.ndarray, "seeds rows"]) -> Float[np.ndarray, " rows"]:
    """Returns the log loss, mean over seeds, by row."""
    return np.mean([log_losses(labels.astype(bool), one) for one in scores], axis=0)


def _mean_interval(
    values: Float[np.ndarray, " rows"], groups: Groups | None, *, replicates: int, seed: int = 0
) -> Interval | None:
    """Returns the percentile interval at 95 % of the mean; of rows in groups, Student's t over groups.

    Few values occur (with one seed: -1, 0, 1), so a resample is a multinomial draw of how often each does.
    """
    if groups is not None:
        return mean_spread(values, groups=groups).interval
    if not values.size:
        return None
    distinct, counts = np.unique(values, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(values.size, counts / values.size, size=replicates)
    low, high = np.quantile(drawn @ distinct / values.size, [0.025, 0.975])
    return float(low), float(high)
