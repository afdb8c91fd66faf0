"""The evaluation stage: fine-tuned runs and targets in, one judged report a target out."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh
from tqdm import tqdm

from experiments import runtime
from experiments.checkpoints import EvaluationConfig, Trained
from experiments.evidence import SourceSide
from experiments.tasks import Task
from lingjax.data import PairEncoder, TokenStatistics, measure_tokens
from lingjax.errors import InputError
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
)
from lingjax.evaluation.representation_study import RepresentationStudy
from lingjax.evaluation.text_controls import MOST_SOURCE_ROWS
from lingjax.evaluation.zero_shot import predict_pairs
from lingjax.reporting import (
    TABLE_HEADINGS,
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
from lingjax.training.metrics import read_metrics
from lingjax.training.start import (
    Start,
    restore_run,
)

# The name under which the fine-tuned models themselves stand among the models to run.
_MODEL = ""
# The models of which hidden states are compared, and when they are from.
_STUDIED = {_MODEL: "after", "not_finetuned": "before"}


def check_targets(targets: Mapping[str, Task], start: Start, config: EvaluationConfig) -> dict[str, TokenStatistics]:
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
    # By target, then by control (the fine-tuned models under _MODEL), then by seed.
    predicted: dict[str, dict[str, dict[int, PairPredictions]]] = {name: {_MODEL: {}} for name in wanted}
    no_control = dict(trained.no_control)
    seconds = dict.fromkeys(wanted, 0.0)
    models = list(_models(trained, config, mesh))
    study = _representation_study(targets, wanted, encoder, evidence, config=config, mesh=mesh)
    total = sum(len(targets[name].rows) for name in wanted) * len(models)
    is_first = runtime.is_first_process()
    with tqdm(desc="evaluate", total=total, unit="pair", dynamic_ncols=True, disable=not is_first) as bar:
        for control, seed, make in models:
            try:
                start = make()
            except InputError as error:
                if control != "not_finetuned":
                    raise
                no_control[control] = f"the weights before fine-tuning cannot be loaded: {error}"
                continue
            if control == "not_finetuned" and start.init != trained.start.init:
                no_control[control] = f"{start.init['source']} holds other weights than fine-tuning started from"
                continue
            if study is not None and control in _STUDIED:
                study.read(_STUDIED[control], start)
            for name in wanted:
                began = time.perf_counter()
                predicted[name].setdefault(control, {})[seed] = predict_pairs(
                    start,
                    targets[name].rows,
                    encoder,
                    mesh=mesh,
                    batch_size=config.batch_size,
                    progress=bar.update,
                )
                seconds[name] += time.perf_counter() - began
    if not is_first:  # all compute the predictions, one judges and writes
        return list(paths.values())
    text_controls = _text_controls(trained.start, evidence, config)
    for name in wanted:
        task, predictions = targets[name], predicted[name].pop(_MODEL)
        summary = summarise(predictions, replicates=config.bootstrap_replicates)
        began = time.perf_counter()
        sides = PairSides.of(task.rows, trained.start.tokenizer)
        controls = _controls(text_controls.measure(sides), predicted[name], no_control)
        shortcuts = label_shortcuts(sides, replicates=config.bootstrap_replicates)
        bands = performance_bands(sides, predictions, replicates=config.bootstrap_replicates)
        control_seconds = time.perf_counter() - began
        audit = audit_target(
            task.rows,
            statistics[name],
            source_records=evidence.source and evidence.source.rows,
            shortcuts=shortcuts,
        )
        verdict = assess(
            predictions,
            summary=summary,
            controls=controls,
            audit=audit,
            source=evidence.judged(),
            synthetic=task.synthetic or bool(evidence.described and evidence.described["synthetic"]),
            num_targets=len(targets),
        )
        runs = len(predictions) + sum(map(len, predicted[name].values()))
        report = build_report(
            created_utc=created_utc,
            command=command,
            config=dict(resolved),
            environment=environment_info(
                device_kind=jax.devices()[0].device_kind,
                device_count=jax.device_count(),
                processes=jax.process_count(),
            ),
            model=_describe_model(trained.start),
            source=evidence.described,
            target=task.to_json(),
            predictions=predictions,
            summary=summary,
            controls=controls,
            audit=audit,
            verdict=verdict,
            learning_curve=evidence.learning_curve(name),
            sample_efficiency=(sample_efficiency or {}).get(name),
            bands={name: [band.to_json() for band in parts] for name, parts in bands.items()},
            alignment=study and study.measure(name),
            calibration=[one.to_json() for one in reliability_bins(predictions)],
            timing={
                "wall_seconds": {**evidence.seconds, "evaluate": seconds[name], "controls": control_seconds},
                "examples_per_second": len(task.rows) * runs / seconds[name],
                "tokens_per_second": int(np.sum(statistics[name].tokens_per_row)) * runs / seconds[name],
                "mfu": None,
            },
        )
        pair_ids = [task.rows[row].pair_id for row in range(len(task.rows))]
        for seed, one in predictions.items():
            write_predictions(out / "predictions" / f"{name}.seed{seed}.jsonl", one, pair_ids)
        write_report(paths[name], report)
    return list(paths.values())


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


def _restore(folder: Path, config: EvaluationConfig, mesh: Mesh) -> Start:
    changes = {"compute_dtype": config.dtype}
    return restore_run(folder, mesh=mesh, changes=changes, max_word_characters=config.max_word_characters)


def _models(trained: Trained, config: EvaluationConfig, mesh: Mesh) -> Iterator[tuple[str, int, Callable[[], Start]]]:
    """Yields every model to run: control's name (_MODEL for the judged one), seed, and what loads it."""
    if not trained.folders:
        yield _MODEL, 0, lambda: trained.start
    for name, runs in ((_MODEL, trained.folders), *trained.controls.items()):
        for seed, folder in runs.items():
            yield name, seed, functools.partial(_restore, folder, config, mesh)
    for seed, make in trained.not_finetuned.items():
        yield "not_finetuned", seed, make


def _representation_study(
    targets: Mapping[str, Task],
    wanted: Sequence[str],
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
        targets={name: targets[name].rows for name in wanted},
        encoder=encoder,
        mesh=mesh,
        most_rows=config.alignment_rows,
    )


def _text_controls(start: Start, evidence: SourceSide, config: EvaluationConfig) -> TextControls:
    source, dev = (
        None if task is None else PairSides.of(task.rows, start.tokenizer, most=most)
        for task, most in ((evidence.source, MOST_SOURCE_ROWS), (evidence.dev, None))
    )
    return TextControls(source=source, dev=dev, kmer_sizes=config.kmer_sizes)


def _controls(
    of_texts: Mapping[str, Control],
    of_models: Mapping[str, Mapping[int, PairPredictions]],
    no_control: Mapping[str, str],
) -> dict[str, Control]:
    measured = {name: SkippedControl(reason) for name, reason in no_control.items()}
    measured |= {name: model_control(predictions) for name, predictions in of_models.items()}
    return complete_controls({**of_texts, **measured}, reason="not run")


def _describe_model(start: Start) -> dict[str, Any]:
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
