"""Finds the fine-tuned models that evaluation is asked to judge, and how they read pairs."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from etils import epath
from jax.sharding import Mesh

from lingjax.errors import InputError
from lingjax.evaluation.representation_study import FEWEST_ROWS
from lingjax.evaluation.verdict import Correction
from lingjax.files import find_paths
from lingjax.models import read_config_json, read_pair_settings, resolve_folder
from lingjax.study.config import (
    TRAINED_CONTROLS,
    EvaluationConfig,
    ModelSettings,
    StudyConfig,
    build_recipe,
    none_if_zero,
)
from lingjax.study.models import FORMAT_OF_FAMILY, check_length, first_model, scan_by_default, warn_of_labels
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.run_folder import is_described, is_finished, read_run_description
from lingjax.training.start import restore_run, start_pretrained

_DEFAULT_MAX_LENGTH = 128  # the study's, for a folder that does not say


@dataclasses.dataclass(frozen=True)
class JudgingConfig:
    """How targets are evaluated; none of it is chosen by looking at them.

    Attributes:
      pairs: pair format and limits, as in training.
      max_word_characters: WordPiece's limit, None for the tokenizer's own.
      allow_unknown: go on although over 1 % of a target's tokens are unknown.
      batch_size: pairs a forward pass.
      bootstrap_replicates: resamples of the items for intervals.
      dtype: what is computed in.
      kmer_sizes: candidates for the k of `kmer_jaccard`.
      alignment_rows: rows of each dataset whose hidden states are compared; 0 for none.
      correction: how tests of several targets are corrected.

    Raises:
      InputError: there are too few `alignment_rows` to compare anything.
    """

    pairs: Mapping[str, Any]
    max_word_characters: int | None
    allow_unknown: bool
    batch_size: int
    bootstrap_replicates: int
    dtype: str
    kmer_sizes: tuple[int, ...]
    alignment_rows: int = 0
    correction: Correction = "bonferroni"

    @staticmethod
    def of(config: StudyConfig | EvaluationConfig, pairs: Mapping[str, Any]) -> "JudgingConfig":
        """Takes from a configuration what judging needs; `pairs` says how they are read."""
        return JudgingConfig(
            pairs=pairs,
            max_word_characters=none_if_zero(config.max_word_characters),
            allow_unknown=config.allow_unknown,
            batch_size=config.evaluation_batch_size,
            bootstrap_replicates=config.bootstrap_replicates,
            dtype=config.dtype,
            kmer_sizes=config.kmer_sizes,
            alignment_rows=config.alignment_rows,
            correction=config.correction,
        )

    def __post_init__(self):
        if self.alignment_rows and self.alignment_rows < FEWEST_ROWS:
            raise InputError(
                f"--config.alignment_rows={self.alignment_rows} is too few to compare hidden states; "
                f"at least {FEWEST_ROWS}, or 0 for none"
            )


@dataclasses.dataclass(frozen=True)
class Trained:
    """Fine-tuned models of one recipe, by seed, and what is known of their training.

    Attributes:
      folders: run folders of ours by seed; empty for a Hugging Face folder.
      start: the first seed's model; gives tokenizer and description.
      controls: run folders of the trained controls by name and seed.
      not_finetuned: what makes, by seed, the model that fine-tuning started from.
      no_control: why controls are missing, by name.
    """

    folders: Mapping[int, epath.Path]
    start: LoadedModel
    controls: Mapping[str, Mapping[int, epath.Path]]
    not_finetuned: Mapping[int, Callable[[], LoadedModel]]
    no_control: Mapping[str, str]


def open_checkpoint(checkpoint: str, config: EvaluationConfig, mesh: Mesh) -> tuple[Trained, JudgingConfig]:
    """Finds the models that `--checkpoint` names, and how they read pairs.

    Args:
      checkpoint: workdir of one run or of several seeds, or a Hugging Face folder or hub name.
      config: what it leaves open comes from the checkpoint.
      mesh: devices.

    Raises:
      InputError: there is no fine-tuned model, or a run is not finished.
    """
    folders = _runs(epath.Path(checkpoint))
    controls = {name: runs for name in TRAINED_CONTROLS if (runs := _runs(epath.Path(checkpoint) / name))}
    unfinished = [
        str(folder) for runs in (folders, *controls.values()) for folder in runs.values() if not is_finished(folder)
    ]
    if unfinished:
        raise InputError(f"not finished: {', '.join(unfinished)}; run the command that made it again, it goes on")
    options = {
        "mesh": mesh,
        "changes": {"compute_dtype": config.dtype},
        "max_word_characters": config.max_word_characters,
    }
    if folders:
        first = next(iter(folders.values()))
        start = restore_run(first, **options)
    else:
        options["changes"] |= {"scan_layers": scan_by_default()}
        start = start_pretrained(checkpoint, head="pairs", seed=None, offline=config.offline, **options)
        warn_of_labels(start)
    known = stated_pairs(first if folders else checkpoint, start, offline=config.offline)
    pairs = {
        "pair_format": config.pair_format or known["pair_format"],
        "max_length": config.max_length or known["max_length"],
        "max_characters": none_if_zero(
            known.get("max_characters") if config.max_characters is None else config.max_characters
        ),
        "text": known.get("text", "") if config.text is None else config.text,
    }
    check_length(start, pairs)
    not_finetuned, reason = _before_finetuning(folders, config, mesh)
    trained = Trained(
        folders=folders,
        start=start.without_weights() if folders else start,
        controls=controls,
        not_finetuned=not_finetuned,
        no_control=({"not_finetuned": reason} if reason else {})
        | {name: f"no folder {name}/ beside the checkpoint" for name in TRAINED_CONTROLS if name not in controls},
    )
    return trained, JudgingConfig.of(config, pairs)


def stated_pairs(checkpoint: epath.PathLike, model: LoadedModel, *, offline: bool) -> Mapping[str, Any]:
    """Returns how a checkpoint's pairs become tokens: as its folder says, or else as in the study."""
    if is_described(checkpoint):
        known = read_run_description(checkpoint)["settings"].get("pairs")
    else:
        folder = resolve_folder(str(checkpoint), offline=offline)
        known = read_pair_settings(read_config_json(folder), folder)
    longest = min(_DEFAULT_MAX_LENGTH, model.config.max_length)
    return known or {"pair_format": FORMAT_OF_FAMILY[model.config.family], "max_length": longest}


def check_is_one_run(checkpoint: epath.PathLike) -> None:
    """Refuses the folder of several runs where one model is wanted.

    Raises:
      InputError: names the runs.
    """
    folder = epath.Path(checkpoint)
    runs = [] if is_described(folder) else [path.parent for path in find_paths(folder, "seed*/model.json")]
    if runs:
        raise InputError(f"{folder} holds several runs, name one of them: {', '.join(map(str, runs))}")


def _before_finetuning(
    folders: Mapping[int, epath.Path], config: EvaluationConfig, mesh: Mesh
) -> tuple[dict[int, Callable[[], LoadedModel]], str]:
    """What makes, by seed, the models that the runs started from; and why there are none, if there are none."""
    if not folders:
        return {}, "the weights before fine-tuning are not known"
    if not config.control_seeds:
        return {}, "config.control_seeds is 0"
    requests = {seed: read_run_description(folder)["settings"]["request"] for seed, folder in folders.items()}
    if not next(iter(requests.values()))["model"]["init"]:
        return {}, "the model itself starts from random weights"
    makers = {}
    for seed, request in list(requests.items())[: config.control_seeds]:
        settings = StudyConfig(
            model=build_recipe(ModelSettings, request["model"]),
            dtype=config.dtype,
            max_word_characters=config.max_word_characters or 0,
            offline=config.offline,
        )
        makers[seed] = functools.partial(first_model, settings, mesh=mesh, seed=seed)
    return makers, ""


def _runs(folder: epath.Path) -> dict[int, epath.Path]:
    """The run in a folder, or those in its seedN/, by seed."""
    found = [folder] if is_described(folder) else [path for path in find_paths(folder, "seed*") if is_described(path)]
    by_seed = {}
    for path in found:
        settings = read_run_description(path)["settings"]
        if "pairs" in settings:  # a pretraining run has none
            by_seed[settings["request"]["seed"]] = path
    return dict(sorted(by_seed.items()))
