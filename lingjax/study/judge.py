"""Judges models on targets: predictions, controls, audit and verdict, as one report a target."""

import dataclasses
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from lingjax.data import PairEncoder, text_of_vocabulary
from lingjax.evaluation import (
    AuditedRows,
    Control,
    PairPredictions,
    SkippedControl,
    TextControls,
    Verdict,
    assess,
    audit_rows,
    audit_target,
    check_unknown_tokens,
    complete_controls,
    corrected_by,
    label_shortcuts,
    model_control,
    performance_bands,
    reliability_bins,
    summarise,
)
from lingjax.evaluation.representation_study import RepresentationStudy
from lingjax.evaluation.text_controls import MOST_SOURCE_ROWS
from lingjax.models import says_more
from lingjax.reporting import (
    SCHEMA_VERSION,
    TransferReport,
    build_report,
    environment_info,
    read_report,
    write_predictions,
    write_report,
    write_worst_pairs,
)
from lingjax.study.checkpoints import JudgingConfig, Trained
from lingjax.study.encoded import EncodedTask
from lingjax.study.evidence import SourceSide
from lingjax.study.models import label_warning
from lingjax.study.occasion import Occasion
from lingjax.study.predict import TargetPredictions, predict_targets
from lingjax.study.tasks import Task
from lingjax.training.loaded_model import LoadedModel

_LOG = logging.getLogger(__name__)

# Seconds of one core; of the AUROC they leave an interval of about +-0.025.
_MOST_ROWS_AUDITED = 2000


def encode_targets(targets: Mapping[str, Task], start: LoadedModel, config: JudgingConfig) -> dict[str, EncodedTask]:
    """Encodes every target and looks at its tokens, before anything costly is done.

    Raises:
      InputError: a target is mostly unknown tokens, and that is not allowed.
    """
    encoder = PairEncoder(start.tokenizer, **config.pairs)
    encoded = {name: EncodedTask(task, encoder) for name, task in targets.items()}
    statistics = {name: one.statistics for name, one in encoded.items()}
    for name, tokens in statistics.items():
        check_unknown_tokens(
            tokens,
            target=name,
            tokenizer=start.tokenizer.name,
            allow_unknown=config.allow_unknown,
            wanted_text="" if encoder.tokenizer.text else text_of_vocabulary(start.tokenizer.vocabulary()),
        )
    return encoded


def judge_targets(
    trained: Trained,
    targets: Mapping[str, EncodedTask],
    *,
    config: JudgingConfig,
    occasion: Occasion,
    mesh: Mesh,
    out: Path,
    source: tuple[EncodedTask, EncodedTask] | None = None,
    sample_efficiency: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Path]:
    """Writes `reports/TARGET.json` and `predictions/TARGET.seedN.jsonl`, and returns the reports' paths by target.

    A report that holds the same configuration, data and models is left as it is.

    Args:
      trained: the models.
      targets: by name, from `encode_targets`.
      config: how to judge.
      occasion: when and how it was asked for.
      mesh: devices.
      out: the folder.
      source: training and dev pairs, where they are open already.
      sample_efficiency: by target, what `FewShots` measured; None if nothing was.
    """
    encoder = PairEncoder(trained.start.tokenizer, **config.pairs)
    evidence = SourceSide.of(trained, encoder, source)
    paths = {name: out / "reports" / f"{name}.json" for name in targets}
    current = _Current(occasion.config, evidence, trained, num_targets=len(targets))
    judged = {name: target for name, target in targets.items() if not current.is_written(paths[name], target.task)}
    if judged and config.correction != "bonferroni":  # what is known of one depends on all
        judged = dict(targets)
    for name in targets.keys() - judged.keys():
        _LOG.info("%s is up to date", paths[name])
    if not judged:
        return paths
    study = _representation_study(judged, evidence, config=config, mesh=mesh)
    predicted, no_control = predict_targets(trained, judged, config=config, mesh=mesh, study=study)
    if jax.process_index():  # all compute the predictions, one judges and writes
        return paths
    judge = _Judge(
        config=config,
        evidence=evidence,
        text_controls=TextControls(
            source=evidence.source and evidence.source.sides(most=MOST_SOURCE_ROWS),
            dev=evidence.dev and evidence.dev.sides(),
            kmer_sizes=config.kmer_sizes,
        ),
        no_control=no_control,
        num_targets=len(targets),
        described={
            "created_utc": occasion.created_utc,
            "command": occasion.command,
            "config": dict(occasion.config),
            "environment": environment_info(
                device_kind=jax.devices()[0].device_kind,
                device_count=jax.device_count(),
                processes=jax.process_count(),
            ),
            "model": _describe_model(trained),
            "source": evidence.described,
        },
        label_warning=None if trained.folders else label_warning(trained.start),
    )
    measured: dict[str, _Measured] = {}
    for name, target in judged.items():
        parts = {
            "learning_curve": evidence.learning_curve(name),
            "sample_efficiency": (sample_efficiency or {}).get(name),
            "alignment": study and study.measure(name),
        }
        measured[name] = judge.measure(target, predicted[name], parts)
        pair_ids = [record.pair_id for record in target.task.rows]
        for seed, one in predicted[name].judged.items():
            groups = measured[name].groups
            write_predictions(out / "predictions" / f"{name}.seed{seed}.jsonl", one, pair_ids, groups=groups)
        write_worst_pairs(
            out / "predictions" / f"{name}.worst.tsv",
            target.task.rows,
            predicted[name].judged,
            measured[name].described["controls"],
        )
        if config.correction == "bonferroni":
            write_report(paths[name], measured[name].report())
    if config.correction != "bonferroni":  # each verdict depends on the other targets
        verdicts = corrected_by(config.correction, {name: one.verdict for name, one in measured.items()})
        for name, verdict in verdicts.items():
            write_report(paths[name], dataclasses.replace(measured[name], verdict=verdict).report())
    return paths


@dataclasses.dataclass(frozen=True)
class _Judge:
    """What the reports of one evaluation share; `described` are their fields that do not depend on the target."""

    config: JudgingConfig
    evidence: SourceSide
    text_controls: TextControls
    no_control: Mapping[str, SkippedControl]
    num_targets: int
    described: Mapping[str, Any]
    label_warning: str | None

    def measure(self, target: EncodedTask, predicted: TargetPredictions, parts: Mapping[str, Any]) -> "_Measured":
        """Judges one target; `parts` are fields of the report that were measured before."""
        task, tokens, sides = target.task, target.statistics, target.sides()
        evidence, replicates = self.evidence, self.config.bootstrap_replicates
        groups = sides.groups.of_row
        summary = summarise(predicted.judged, groups=groups, replicates=replicates)
        began = time.perf_counter()
        controls = _controls(self.text_controls.measure(sides), predicted.controls, self.no_control, groups)
        shortcuts = label_shortcuts(sides)
        bands = performance_bands(sides, predicted.judged)
        control_seconds = time.perf_counter() - began
        began = time.perf_counter()
        audit = audit_target(
            task.rows,
            tokens,
            source_records=evidence.source and evidence.source.task.rows,
            shortcuts=shortcuts,
            giveaways=audit_rows(AuditedRows.of(task.rows), most_rows=_MOST_ROWS_AUDITED, reads_origin=False),
        )
        audit_seconds = time.perf_counter() - began
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
        if self.label_warning:
            verdict = dataclasses.replace(verdict, findings=(f"{self.label_warning}.", *verdict.findings))
        runs = predicted.num_models / predicted.seconds
        described = dict(
            predictions=predicted.judged,
            summary=summary,
            controls=controls,
            audit=audit,
            target=task.to_json(),
            bands={name: [band.to_json() for band in some] for name, some in bands.items()},
            calibration=[one.to_json() for one in reliability_bins(predicted.judged)],
            timing={
                "wall_seconds": {
                    **evidence.seconds,
                    "evaluate": predicted.seconds,
                    "controls": control_seconds,
                    "audit": audit_seconds,
                },
                "examples_per_second": len(task.rows) * runs,
                "tokens_per_second": int(np.sum(tokens.tokens_per_row)) * runs,
                "mfu": None,
            },
            **self.described,
            **parts,
        )
        return _Measured(verdict, described, groups if np.bincount(groups).max(initial=0) > 1 else None)


@dataclasses.dataclass(frozen=True)
class _Measured:
    """A target's verdict, the report's other fields, and the groups of rows that hang together, None if none do."""

    verdict: Verdict
    described: Mapping[str, Any]
    groups: np.ndarray | None

    def report(self) -> TransferReport:
        """The report."""
        return build_report(verdict=self.verdict, **self.described)


def _representation_study(
    targets: Mapping[str, EncodedTask], evidence: SourceSide, *, config: JudgingConfig, mesh: Mesh
) -> RepresentationStudy | None:
    if not config.alignment_rows:
        return None
    return RepresentationStudy(
        source=evidence.source and evidence.source.sample(config.alignment_rows),
        targets={name: target.pairs for name, target in targets.items()},
        mesh=mesh,
        most_rows=config.alignment_rows,
    )


def _controls(
    of_texts: Mapping[str, Control],
    of_models: Mapping[str, Mapping[int, PairPredictions]],
    no_control: Mapping[str, SkippedControl],
    groups: np.ndarray,
) -> dict[str, Control]:
    measured: dict[str, Control] = dict(no_control)
    measured |= {name: model_control(predictions, groups=groups) for name, predictions in of_models.items()}
    return complete_controls({**of_texts, **measured}, reason="not run")


def _describe_model(trained: Trained) -> dict[str, Any]:
    start = trained.start
    # What was fine-tuned here learned our classes, whatever the folder called them that it started from.
    labels = {"labels": list(start.labels)} if not trained.folders and says_more(start.labels) else {}
    return labels | {
        "family": start.config.family,
        "parameters": start.num_parameters,
        "init": start.init,
        "tokenizer": {
            "name": start.tokenizer.name,
            "fingerprint": start.tokenizer.fingerprint,
            "vocab_size": start.tokenizer.vocab_size,
        },
    }


@dataclasses.dataclass(frozen=True)
class _Current:
    """What a report must hold to be the one that would be written now, with `num_targets` judged together."""

    config: Mapping[str, Any]
    evidence: SourceSide
    trained: Trained
    num_targets: int

    def is_written(self, path: Path, task: Task) -> bool:
        """Says whether the file is such a report on a target."""
        if not path.exists():
            return False
        report, trained = read_report(path), self.trained
        return (
            report.config == self.config
            and report.model == _describe_model(trained)
            and report.target == task.to_json()
            and report.source == self.evidence.described
            and report.verdict.get("targets_judged_together") == self.num_targets
            and report.schema_version == SCHEMA_VERSION  # the figures of older reports mean something else
            and not any("skipped" in report.controls[name] for name in trained.controls)
            and [seed["seed"] for seed in report.seeds] == sorted(trained.folders or {0: None})
        )
