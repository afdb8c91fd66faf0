"""Pretraining a language model: which corpora and which model are asked for, the run, and its plots."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from lingjax.data import PackedSource, Tokenizer, load_tokenizer, open_packed, parse_mixture, split_reference
from lingjax.errors import InputError
from lingjax.files import are_newer, write_json
from lingjax.models import ModelConfig, preset
from lingjax.reporting import write_pretraining_plots
from lingjax.study.config import build_recipe
from lingjax.study.jobs import is_done
from lingjax.study.models import model_changes
from lingjax.study.pretraining_config import PretrainingConfig
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.mesh import make_mesh
from lingjax.training.metrics import read_metrics
from lingjax.training.pretrain import PretrainConfig, pretrain
from lingjax.training.run_folder import check_can_hold_checkpoints, read_result, read_run_description
from lingjax.training.start import Architecture, extend_vocabulary, load_start_tokenizer, start_pretrained, start_random
from lingjax.workdir_lock import hold

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Corpora:
    """Packed corpora of one tokenizer.

    Attributes:
      tokenizer: made every row.
      mixture: training rows and their shares of the tokens.
      held_out: validation rows by domain.
    """

    tokenizer: Tokenizer
    mixture: Sequence[tuple[PackedSource, float]]
    held_out: Mapping[str, Sequence[PackedSource]]


def run_pretraining(
    config: PretrainingConfig,
    *,
    workdir: Path,
    recorded: Mapping[str, Any] | None = None,
    make_mesh: Callable[[str], Mesh] = make_mesh,
) -> dict[str, Any]:
    """Pretrains, or goes on with a run that was interrupted, draws its plots, and returns the run's result.

    Args:
      config: the pretraining.
      workdir: folder of the run; a finished one is not done again.
      recorded: what `config.json` holds there; the configuration's own values if not given.
      make_mesh: makes the devices of `config.mesh`.

    Raises:
      InputError: no corpus is named, corpora, model or a setting cannot be used, or another process writes into the
        workdir.
    """
    check_can_hold_checkpoints(workdir)
    with hold(workdir, is_first_process=jax.process_index() == 0):
        return _run(config, workdir, recorded, make_mesh)


def _run(
    config: PretrainingConfig, workdir: Path, recorded: Mapping[str, Any] | None, make_mesh: Callable[[str], Mesh]
) -> dict[str, Any]:
    recipe = build_recipe(PretrainConfig, {**dataclasses.asdict(config), **dataclasses.asdict(config.train)})
    if not config.data.mixture:
        raise InputError(
            "no corpora: set --config.data.mixture=DIR/english:0.5,DIR/dna:0.5 (data_prep.pack makes them)"
        )
    corpora = open_corpora(config)
    request = _request(config, corpora)
    if is_done(workdir, request):
        result = read_result(workdir)
    else:
        mesh = make_mesh(config.mesh)
        start = first_language_model(config, corpora.tokenizer, mesh=mesh)
        if jax.process_index() == 0:
            write_json(workdir / "config.json", config.to_json() if recorded is None else dict(recorded))
        result = pretrain(
            start,
            config=recipe,
            mixture=corpora.mixture,
            held_out=corpora.held_out,
            mesh=mesh,
            seed=config.seed,
            folder=workdir,
            settings={"request": request},
        )
    if jax.process_index() == 0:
        _draw(workdir)
    return result


def open_corpora(config: PretrainingConfig) -> Corpora:
    """Opens what `config.data.mixture` names.

    Raises:
      InputError: a folder is missing, not packed, or packed with another tokenizer; or no tokenizer is named.
    """
    if config.model.tokenizer:
        tokenizer = load_tokenizer(config.model.tokenizer, offline=config.offline)
    elif config.model.init:
        tokenizer = load_start_tokenizer(config.model.init, offline=config.offline)
    else:
        raise InputError("a model from scratch needs the tokenizer that packed the corpora: set config.model.tokenizer")
    mixture, held_out = [], {}
    for reference, weight in parse_mixture(config.data.mixture):
        source = open_packed(reference, tokenizer_fingerprint=tokenizer.fingerprint)
        if config.model.family == "bert" and source.start_id is None:
            _LOG.warning("%s was packed without [CLS], which this model will not read; pack it again", reference)
        mixture.append((source, weight))
        validation = f"{split_reference(reference)[0]}@validation"
        its_held_out = open_packed(validation, tokenizer_fingerprint=tokenizer.fingerprint)
        held_out.setdefault(source.domain, []).append(its_held_out)
    return Corpora(tokenizer, mixture, held_out)


def first_language_model(config: PretrainingConfig, tokenizer: Tokenizer, *, mesh: Mesh) -> LoadedModel:
    """Makes the model that pretraining starts from: `config.model.init` if named, else random numbers.

    Raises:
      InputError: the model cannot be had, or both `init` and a shape are given.
    """
    options = {
        "head": "language_model",
        "mesh": mesh,
        "seed": config.seed,
        "changes": {"compute_dtype": config.dtype, **model_changes(dataclasses.asdict(config.model))},
        "offline": config.offline,
    }
    if not config.model.init:
        architecture = Architecture(
            config.model.family, config.model.size, config.model.tokenizer, config.model.max_length
        )
        options["changes"] |= config.model.shape
        return start_random(architecture, **options)
    for name, value in config.model.shape.items():
        if value is not None:
            raise InputError(
                f"config.model.{name}={value} shapes a model from scratch, and {config.model.init} has "
                "its own shape: leave it out"
            )
    start = start_pretrained(config.model.init, **options)
    if start.tokenizer.fingerprint == tokenizer.fingerprint:
        return start
    return extend_vocabulary(start, tokenizer, mesh=mesh, seed=config.seed, new_rows=config.model.new_rows)


def abstract_config(config: PretrainingConfig, *, vocab_size: int | None) -> ModelConfig:
    """Returns the model that would be trained from scratch, without a tokenizer.

    Args:
      config: what pretraining is told.
      vocab_size: entries of the tokenizer; those of the published GPT-2 or uncased BERT if not given.
    """
    changes = model_changes(dataclasses.asdict(config.model))
    if config.model.scan_layers is None:
        changes["scan_layers"] = True  # what an accelerator runs, wherever this is compiled
    if changes["attention"] != "bands":
        changes["attention"] = "plain"  # cuDNN compiles for a GPU that is here, only
    published = {"gpt2": 50_257, "bert": 30_522}
    return preset(
        config.model.family,
        config.model.size,
        vocab_size=vocab_size or published.get(config.model.family, 1),
        max_length=config.model.max_length,
        compute_dtype=config.dtype,
        **config.model.shape,
        **changes,
    )


def _request(config: PretrainingConfig, corpora: Corpora) -> dict[str, Any]:
    """What decides a pretrained model; how it is logged, stored or split over devices does not."""
    how_computed = ("scan_layers", "remat", "attention")
    model = dataclasses.asdict(config.model)
    return {
        "model": {name: value for name, value in model.items() if value is not None and name not in how_computed},
        "train": dataclasses.asdict(config.train),
        "dtype": config.dtype,
        "seed": config.seed,
        "mixture": {source.split.fingerprint: weight for source, weight in corpora.mixture},
    }


def _draw(workdir: Path) -> None:
    if are_newer([workdir / "plots" / "loss.svg"], than=[workdir / "metrics.jsonl"]):
        return
    model = read_run_description(workdir)["model"]
    title = f"{model['family']}, {model['depth']} layers of width {model['width']}"
    write_pretraining_plots(workdir / "plots", read_metrics(workdir), title=title)
