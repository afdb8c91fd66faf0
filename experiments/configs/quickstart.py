"""The main job in minutes on two cores: a tiny GPT-2, pretrained on three synthetic domains, then judged zero-shot.

Command: make quickstart (which builds the data and runs this configuration's two stages)
Hardware and time: 2 CPU cores, under 4 minutes after installation.
Expected: synthetic data say nothing about real language or biology, and the report says so; the accuracy is what it is.
"""

from ml_collections import ConfigDict

from experiments.configs import base, pretrain_gpt2
from lingjax.errors import InputError

ARGUMENTS = ("transfer", "pretrain")

_DATA = "runs/quickstart/data"


def get_config(stage: str = "transfer") -> ConfigDict:
    """Returns the configuration of one stage.

    Args:
      stage: `pretrain` or `transfer`.
    """
    if stage == "pretrain":
        return _pretrain()
    if stage == "transfer":
        return _transfer()
    raise InputError(f"quickstart.py has no stage '{stage}'; choose pretrain or transfer, as in quickstart.py:transfer")


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
    config = base.get_config()
    config.model.init = "runs/quickstart/pretrained"
    config.source = f"{_DATA}/synthetic_english_pairs"
    config.targets = ",".join(
        f"{_DATA}/synthetic_{task}_pairs" for task in ("english", "dna", "protein", "dna_protein")
    )
    config.seeds = 3
    config.train.batch_size = 32
    config.train.epochs = 3.0
    config.train.learning_rate = 1e-3
    return config
