"""The pretraining stage: which corpora and which model a configuration asks for."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging
from jax.sharding import Mesh
from ml_collections import ConfigDict

from experiments import stages
from lingjax.data import PackedSource, Tokenizer, load_tokenizer, open_packed, parse_mixture
from lingjax.errors import InputError
from lingjax.models import ModelConfig, preset
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.start import Architecture, extend_vocabulary, load_start_tokenizer, start_pretrained, start_random

# Keys of `config.model` that replace a size's own numbers.
_SHAPE = ("width", "depth", "num_heads")


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


def open_corpora(config: ConfigDict) -> Corpora:
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
            logging.warning("%s was packed without [CLS], which this model will not read; pack it again", reference)
        mixture.append((source, weight))
        validation = f"{reference.partition('@')[0]}@validation"
        its_held_out = open_packed(validation, tokenizer_fingerprint=tokenizer.fingerprint)
        held_out.setdefault(source.domain, []).append(its_held_out)
    return Corpora(tokenizer, mixture, held_out)


def first_start(config: ConfigDict, tokenizer: Tokenizer, *, mesh: Mesh) -> LoadedModel:
    """Makes the model that pretraining starts from: `config.model.init` if named, else random numbers.

    Raises:
      InputError: the model cannot be had, or both `init` and a shape are given.
    """
    options = {
        "head": "language_model",
        "mesh": mesh,
        "seed": config.seed,
        "changes": {"compute_dtype": config.dtype, **stages.model_changes(config.model)},
        "offline": config.offline,
    }
    if not config.model.init:
        architecture = Architecture(
            config.model.family, config.model.size, config.model.tokenizer, config.model.max_length
        )
        options["changes"] |= {name: config.model[name] for name in _SHAPE}
        return start_random(architecture, **options)
    for name in _SHAPE:
        if config.model[name] is not None:
            raise InputError(
                f"config.model.{name}={config.model[name]} shapes a model from scratch, and {config.model.init} has "
                "its own shape: leave it out"
            )
    start = start_pretrained(config.model.init, **options)
    if start.tokenizer.fingerprint == tokenizer.fingerprint:
        return start
    return extend_vocabulary(start, tokenizer, mesh=mesh, seed=config.seed, new_rows=config.model.new_rows)


def abstract_config(config: ConfigDict, *, vocab_size: int | None) -> ModelConfig:
    """Returns the model that would be trained from scratch, without a tokenizer.

    Args:
      config: of pretraining.
      vocab_size: entries of the tokenizer; those of the published GPT-2 or uncased BERT if not given.
    """
    changes = stages.model_changes(config.model)
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
        **{name: config.model[name] for name in _SHAPE},
        **changes,
    )


def request(config: ConfigDict, corpora: Corpora) -> dict[str, Any]:
    """Returns what decides a pretrained model; how it is logged, stored or split over devices does not."""
    how_computed = ("scan_layers", "remat", "attention")
    model = {name: value for name, value in config.model.items() if value is not None and name not in how_computed}
    return {
        "model": model,
        "train": config.train.to_dict(),
        "dtype": config.dtype,
        "seed": config.seed,
        "mixture": {source.split.fingerprint: weight for source, weight in corpora.mixture},
    }
