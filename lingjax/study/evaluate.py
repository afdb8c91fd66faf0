"""Models that are there already, judged on targets."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
from etils import epath
from jax.sharding import Mesh

from lingjax.errors import InputError
from lingjax.reporting import TransferReport, read_report
from lingjax.study.checkpoints import JudgingConfig, Trained, open_checkpoint
from lingjax.study.config import TRAINED_CONTROLS, EvaluationConfig
from lingjax.study.judge import encode_targets, judge_targets
from lingjax.study.occasion import Occasion
from lingjax.study.publish import publish
from lingjax.study.tasks import Pair, Task, open_targets, pairs_task
from lingjax.study.text_model import TextModel
from lingjax.training.mesh import make_mesh
from lingjax.workdir_lock import hold


def evaluate(
    model: TextModel | str | os.PathLike,
    targets: Sequence[str] | Mapping[str, str | Sequence[Pair]],
    *,
    config: EvaluationConfig | None = None,
    out: str | os.PathLike | None = None,
) -> dict[str, TransferReport]:
    """Judges fine-tuned models on targets, with controls, audit and verdict, and returns the reports by target.

    Args:
      model: workdir of `transfer` (all its seeds are judged, beside its controls) or of one run, a Hugging Face folder
        or hub name of a sequence classifier with two labels, or what `load_model` gave.
      targets: datasets `DIR/NAME` or `DIR/NAME@SPLIT`; or by name datasets and lists of pairs `(text, text, label)`.
      config: how to judge; a loaded model stays on its device, whatever `mesh` says.
      out: folder for reports, predictions, plots and page; nothing is kept if not given.

    Raises:
      InputError: model or data cannot be used; the text says why.

    >>> import lingjax
    >>> pairs = [("red stone", "magic snow", 1), ("red stone", "blue moon", 0)] * 6
    >>> reports = lingjax.evaluate(tiny_classifier, {"words": pairs})
    >>> reports["words"].target["rows"], reports["words"].controls["majority"]["accuracy"]
    (12, 0.5)
    """
    config = EvaluationConfig() if config is None else config
    opened = _open(targets)
    occasion = Occasion.now("lingjax.evaluate", config.to_json())
    if isinstance(model, TextModel):
        mesh = model.mesh
        trained, judging = _loaded(model, config)
    else:
        mesh = make_mesh(config.mesh)
        trained, judging = open_checkpoint(os.fspath(model), config, mesh)
    with tempfile.TemporaryDirectory() as scratch:
        folder = epath.Path(scratch if out is None else out)
        paths = run_evaluation(trained, judging, opened, occasion=occasion, mesh=mesh, out=folder, keep=out is not None)
        return {name: read_report(path) for name, path in paths.items()}


def run_evaluation(
    trained: Trained,
    judging: JudgingConfig,
    targets: Mapping[str, Task],
    *,
    occasion: Occasion,
    mesh: Mesh,
    out: Path,
    keep: bool = True,
) -> dict[str, Path]:
    """Judges models that were found, and returns the reports' paths by target; `keep` draws page, table and plots."""
    encoded = encode_targets(targets, trained.start, judging)
    with hold(out, is_first_process=jax.process_index() == 0):
        paths = judge_targets(trained, encoded, config=judging, occasion=occasion, mesh=mesh, out=out)
        if keep and jax.process_index() == 0:
            publish(out, list(paths.values()))
    return paths


def _open(targets: Sequence[str] | Mapping[str, str | Sequence[Pair]]) -> dict[str, Task]:
    if not isinstance(targets, Mapping):
        return open_targets([targets] if isinstance(targets, str) else targets)
    if not targets:
        raise InputError("no targets: name at least one")
    opened = {}
    for name, target in targets.items():
        if isinstance(target, str):
            (opened[name],) = open_targets([target]).values()
        else:
            opened[name] = pairs_task(name, target)
    return opened


def _loaded(model: TextModel, config: EvaluationConfig) -> tuple[Trained, JudgingConfig]:
    reason = "a model in memory does not say what it was trained from; give its workdir instead"
    trained = Trained(
        folders={},
        start=model.classifier(),
        controls={},
        not_finetuned={},
        no_control=dict.fromkeys(("not_finetuned", *TRAINED_CONTROLS), reason),
    )
    changes = {"pair_format": config.pair_format, "max_length": config.max_length}
    pairs = {**model.pairs, **{name: value for name, value in changes.items() if value}}
    if config.max_characters is not None:
        pairs["max_characters"] = config.max_characters or None
    if config.text is not None:
        pairs["text"] = config.text
    return trained, JudgingConfig.of(config, pairs)
