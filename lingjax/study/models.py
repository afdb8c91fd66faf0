"""The models of a study before fine-tuning: where they start from, and how they read pairs."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import Mesh

from lingjax.errors import InputError
from lingjax.models import check_pair_format, says_more
from lingjax.study.config import StudyConfig, none_if_zero
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.start import Architecture, start_pretrained, start_random, start_random_like

_LOG = logging.getLogger(__name__)

FORMAT_OF_FAMILY = {"gpt2": "concat", "bert": "bert"}
"""The study's pair formats."""

_CHANGES = ("dropout_rate", "attention_dropout_rate", "remat", "vocab_multiple", "attention")


def first_model(config: StudyConfig, *, mesh: Mesh, seed: int, random: bool = False) -> LoadedModel:
    """Makes the model that fine-tuning starts from: a checkpoint or published weights if named, else random numbers.

    Args:
      config: the study.
      mesh: devices.
      seed: decides the parameters that are drawn.
      random: draw all of them, keeping the model's shape: the untrained control.
    """
    options = {
        "head": "pairs",
        "mesh": mesh,
        "seed": seed,
        "changes": {"compute_dtype": config.dtype, **model_changes(dataclasses.asdict(config.model))},
        "max_word_characters": none_if_zero(config.max_word_characters),
        "offline": config.offline,
    }
    if not config.model.init:
        architecture = Architecture(config.model.family, config.model.size, config.model.tokenizer)
        return start_random(architecture, **options)
    start = start_pretrained(config.model.init, tokenizer=config.model.tokenizer, **options)
    warn_of_labels(start)
    return start_random_like(start, mesh=mesh, seed=seed) if random else start


def warn_of_labels(model: LoadedModel) -> None:
    """Says that class 1 is taken for a match where a folder calls its classes something else."""
    if warning := label_warning(model):
        _LOG.warning("%s", warning)


def label_warning(model: LoadedModel) -> str | None:
    """Returns that class 1 is taken for a match, where a folder calls its classes something else; None elsewhere."""
    if not says_more(model.labels):
        return None
    first, second = model.labels
    called = f"{model.init['source']} calls class 0 '{first}' and class 1 '{second}'"
    return f"{called}; here class 1, label 1 of a dataset, is the match"


def scan_by_default() -> bool:
    """Says how layers run where the configuration leaves it open: scanned on TPUs, unrolled on GPUs and CPUs.

    A scan copies what the layers keep for the backward pass: on a GPU and on a CPU that costs more than compiling every
    layer (benchmarks/README.md).
    """
    return jax.default_backend() == "tpu"


def model_changes(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of `ModelConfig` that settings of a model set; None leaves the model's own."""
    scan = scan_by_default() if settings["scan_layers"] is None else settings["scan_layers"]
    return {"scan_layers": scan} | {name: settings[name] for name in _CHANGES if settings.get(name) is not None}


def encoder_settings(config: StudyConfig, family: str) -> dict[str, Any]:
    """Returns how pairs become token ids, as plain values that are kept beside the model."""
    settings = {
        "pair_format": config.train.pair_format or FORMAT_OF_FAMILY[family],
        "max_length": config.train.max_length,
        "max_characters": none_if_zero(config.max_characters),
    }
    return settings | {"text": config.text} if config.text else settings


def check_length(model: LoadedModel, settings: Mapping[str, Any]) -> None:
    """Refuses pairs that are longer than the model's positions, or of more segments than it knows.

    Raises:
      InputError: `max_length` exceeds the position embedding, or the pair format needs a second segment.
    """
    if settings["max_length"] > model.config.max_length:
        raise InputError(
            f"max_length={settings['max_length']} exceeds the model's {model.config.max_length} positions; lower it"
        )
    check_pair_format(model.config, settings["pair_format"])
