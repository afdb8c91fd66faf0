"""The evaluation stage: fine-tuned runs and targets in, one judged report a target out."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from experiments import runtime
from experiments.checkpoints import EvaluationConfig, Trained
from experiments.evidence import SourceSide
from experiments.predicting import TargetPredictions, predict_targets
from experiments.tasks import Task
from lingjax.data import PairEncoder, TokenStatistics, measure_tokens
from lingjax.evaluation import (
    Control,
    PairPredictions,
    PairSides,
    SkippedControl,
    TextControls,
    assess,
    audit_target,
    check_unknown_tokens,
    complete_controls,
    label_shortcuts,
    model_control,
    performance_bands,
    reliability_bins,
    summarise,
    text_groups,
)
from lingjax.evaluation.representation_study import RepresentationStudy
from lingjax.evaluation.text_controls import MOST_SOURCE_ROWS
from lingjax.reporting import (
    TABLE_HEADINGS,
    TransferReport,
    as_text,
    build_report,
    environment_info,
    read_report,
    table_rows,
    write_plots,
    write_predictions,
    write_report,
    write_report_page,
    write_table,
)
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.metrics import read_metrics


def check_targets(
    targets: Mapping[str, Task], start: LoadedModel, config: EvaluationConfig
) -> dict[str, TokenStatistics]:
    """Counts every target's tokens, before anything costly is done.

    Raises:
      InputError: a target is mostly unknown tokens, and that is not allowed.
    """
    encoder = PairEncoder(start.tokenizer, **config.pairs)
    statistics = {name: measure_tokens(task.rows, encoder) for name, task in targets.items()}
    for name, tokens in statistics.items():
        check_unknown_tokens(tokens, target=name, tokenizer=start.tokenizer.name, allow_unknown=config.allow_unknown)
    return statistics


def evaluate_targets(
    trained: Trained,
    targets: Mapping[str, Task],
    *,
    config: EvaluationConfig,
    resolved: Mapping[str, Any],
    mesh: Mesh,
    out: Path,
    command: str,
    created_utc: str,
    sample_efficiency: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Path]:
    """Writes `reports/TARGET.json` and `predictions/TARGET.seedN.jsonl` in `out`, and returns the reports' paths.

    A report that holds the same configuration, data and models is left as it is.

    Args:
      trained: the models.
      targets: by name.
      config: how to evaluate.
      resolved: the configuration as the report holds it.
      mesh: devices.
      out: the folder.
      command: the command line.
      created_utc: now.
      sample_efficiency: by target, what `FewShots` measured; None if nothing was.
    """
    statistics = check_targets(targets, trained.start, config)
    evidence = SourceSide.of(trained)
    paths = {name: out / "reports" / f"{name}.json" for name in targets}
    wanted = [
        name
        for name, task in targets.items()
        if not _is_current(
            paths[name], task=task, resolved=resolved, evidence=evidence, trained=trained, beside=len(targets)
        )
    ]
    for name in targets.keys() - wanted:
        logging.info("%s is up to date", paths[name])
    if not wanted:
        return list(paths.values())
    encoder = PairEncoder(trained.start.tokenizer, **config.pairs)
    judged = {name: targets[name] for name in wanted}
    study = _representation_study(judged, encoder, evidence, config=config, mesh=mesh)
    predicted, no_control = predict_targets(trained, judged, encoder, config=config, mesh=mesh, study=study)
    if not runtime.is_first_process():  # all compute the predictions, one judges and writes
        return list(paths.values())
    judge = _Judge(
        config=config,
        evidence=evidence,
        text_controls=_text_controls(trained.start, evidence, config),
        no_control=no_control,
        num_targets=len(targets),
        described={
            "created_utc": created_utc,
            "command": command,
            "config": dict(resolved),
            "environment": environment_info(
                device_kind=jax.devices()[0].device_kind,
                device_count=jax.device_count(),
                processes=jax.process_count(),
            ),
            "model": _describe_model(trained.start),
            "source": evidence.described,
        },
    )
    for name, task in judged.items():
        sides = PairSides.of(task.rows, trained.start.tokenizer)
        parts = {
            "learning_curve": evidence.learning_curve(name),
            "sample_efficiency": (sample_efficiency or {}).get(name),
            "alignment": study and study.measure(name),
        }
        report = judge.report(task, sides, statistics[name], predicted[name], parts)
        pair_ids = [task.rows[row].pair_id for row in range(len(task.rows))]
        for seed, one in predicted[name].judged.items():
            write_predictions(out / "predictions" / f"{name}.seed{seed}.jsonl", one, pair_ids)
        write_report(paths[name], report)
    return list(paths.values())


@dataclasses.dataclass(frozen=True)
class _Judge:
    """What the reports of one evaluation share; `described` are their fields that do not depend on the target."""

    config: EvaluationConfig
    evidence: SourceSide
    text_controls: TextControls
    no_control: Mapping[str, str]
    num_targets: int
    described: Mapping[str, Any]

    def report(
        self,
        task: Task,
        sides: PairSides,
        tokens: TokenStatistics,
        predicted: TargetPredictions,
        parts: Mapping[str, Any],
    ) -> TransferReport:
        """Judges one target; `parts` are fields of the report that were measured before."""
        evidence, replicates = self.evidence, self.config.bootstrap_replicates
        groups = text_groups(sides.first, sides.second).of_row
        summary = summarise(predicted.judged, groups=groups, replicates=replicates)
        began = time.perf_counter()
        controls = _controls(self.text_controls.measure(sides), predicted.controls, self.no_control, groups)
        shortcuts = label_shortcuts(sides)
        bands = performance_bands(sides, predicted.judged)
        control_seconds = time.perf_counter() - began
        audit = audit_target(
            task.rows, tokens, source_records=evidence.source and evidence.source.rows, shortcuts=shortcuts
        )
        verdict = assess(
            predicted.judged,
            summary=summary,
            controls=controls,
            audit=audit,
            source=evidence.judged(),
            synthetic=task.synthetic or bool(evidence.described and evidence.described["synthetic"]),
            num_targets=self.num_targets,
            groups=groups,
        )
        runs = predicted.num_models / predicted.seconds
        return build_report(
            predictions=predicted.judged,
            summary=summary,
            controls=controls,
            audit=audit,
            verdict=verdict,
            target=task.to_json(),
            bands={name: [band.to_json() for band in some] for name, some in bands.items()},
            calibration=[one.to_json() for one in reliability_bins(predicted.judged)],
            timing={
                "wall_seconds": {**evidence.seconds, "evaluate": predicted.seconds, "controls": control_seconds},
                "examples_per_second": len(task.rows) * runs,
                "tokens_per_second": int(np.sum(tokens.tokens_per_row)) * runs,
                "mfu": None,
            },
            **self.described,
            **parts,
        )


def publish(workdir: Path, paths: Sequence[Path]) -> str:
    """Writes `table.md`, `report.html` and `plots/` from reports, and returns the table for the terminal."""
    reports = [read_report(path) for path in paths]
    curves = {
        str(folder.parent.relative_to(workdir)): [(line["step"], line["loss"]) for line in lines if line.get("loss")]
        for folder in _logs(workdir)
        if (lines := read_metrics(folder.parent))
    }
    write_table(workdir / "table.md", reports)
    write_report_page(workdir / "report.html", reports, curves)
    write_plots(workdir / "plots", {path.stem: report for path, report in zip(paths, reports, strict=True)})
    return f"{as_text(table_rows(reports), TABLE_HEADINGS)}\n{workdir / 'report.html'}\n"


def _logs(workdir: Path) -> list[Path]:
    """The logs of all runs in a workdir, by the patterns they can have: a bucket is not searched through."""
    patterns = ("metrics.jsonl", "seed*/metrics.jsonl", "*/seed*/metrics.jsonl")
    return sorted(path for pattern in patterns for path in workdir.glob(pattern))


def _representation_study(
    targets: Mapping[str, Task],
    encoder: PairEncoder,
    evidence: SourceSide,
    *,
    config: EvaluationConfig,
    mesh: Mesh,
) -> RepresentationStudy | None:
    if not config.alignment_rows:
        return None
    return RepresentationStudy(
        source=evidence.source and evidence.source.rows,
        targets={name: task.rows for name, task in targets.items()},
        encoder=encoder,
        mesh=mesh,
        most_rows=config.alignment_rows,
    )


def _text_controls(start: LoadedModel, evidence: SourceSide, config: EvaluationConfig) -> TextControls:
    source, dev = (
        None if task is None else PairSides.of(task.rows, start.tokenizer, most=most)
        for task, most in ((evidence.source, MOST_SOURCE_ROWS), (evidence.dev, None))
    )
    return TextControls(source=source, dev=dev, kmer_sizes=config.kmer_sizes)


def _controls(
    of_texts: Mapping[str, Control],
    of_models: Mapping[str, Mapping[int, PairPredictions]],
    no_control: Mapping[str, str],
    groups: np.ndarray,
) -> dict[str, Control]:
    measured = {name: SkippedControl(reason) for name, reason in no_control.items()}
    measured |= {name: model_control(predictions, groups=groups) for name, predictions in of_models.items()}
    return complete_controls({**of_texts, **measured}, reason="not run")


def _describe_model(start: LoadedModel) -> dict[str, Any]:
    return {
        "family": start.config.family,
        "parameters": start.num_parameters,
        "init": start.init,
        "tokenizer": {
            "name": start.tokenizer.name,
            "fingerprint": start.tokenizer.fingerprint,
            "vocab_size": start.tokenizer.vocab_size,
        },
    }


def _is_current(
    path: Path, *, task: Task, resolved: Mapping[str, Any], evidence: SourceSide, trained: Trained, beside: int
) -> bool:
    """Whether the report is what would be written now, with `beside` targets judged together."""
    if not path.exists():
        return False
    report = read_report(path)
    return (
        report.config == resolved
        and report.model == _describe_model(trained.start)
        and report.target == task.to_json()
        and report.source == evidence.described
        and report.verdict.get("targets_judged_together") == beside
        and report.bands is not None  # reports written before there were any have none
        and not any("skipped" in report.controls[name] for name in trained.controls)
        and [seed["seed"] for seed in report.seeds] == sorted(trained.folders or {0: None})
    )
