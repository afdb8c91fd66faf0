import math

import pytest

from lingjax.errors import InputError
from lingjax.models import ModelConfig
from lingjax.study.config import EvaluationConfig, ModelSettings, StudyConfig, TrainSettings
from lingjax.study.pretraining_config import PretrainingConfig

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"bootstrap_replicates": 0}, "--config.bootstrap_replicates=0 must be at least 1"),
        ({"bootstrap_replicates": 10**9}, "--config.bootstrap_replicates=1000000000 must be at most 1,000,000"),
        ({"evaluation_batch_size": 10**9}, "evaluation_batch_size"),
        ({"evaluation_batch_size": 0}, "evaluation_batch_size"),
        ({"seed": -1}, "seed=-1 must be at least 0"),
        ({"seed": 2**64}, "seed"),
        ({"seeds": 10**9}, "seeds"),
        ({"dev_fraction": NAN}, "dev_fraction=nan must be at most 1"),
        ({"dev_fraction": INF}, "dev_fraction"),
        ({"shots": "16", "shots_epochs": INF}, "shots_epochs"),
        ({"shots": "16", "shots_epochs": 1e308}, "shots_epochs"),
        ({"train": TrainSettings(epochs=INF)}, "--config.train.epochs=inf must be at most"),
        ({"train": TrainSettings(epochs=1e308)}, "train.epochs"),
        ({"train": TrainSettings(steps=10**20)}, "train.steps"),
        ({"train": TrainSettings(accumulation=10**9)}, "train.accumulation"),
        ({"train": TrainSettings(pairs_per_row=10**9)}, "train.pairs_per_row"),
        ({"train": TrainSettings(batch_size=10**12)}, "train.batch_size"),
    ],
)
def test_a_study_of_absurd_numbers_is_refused(settings, says):
    with pytest.raises(InputError, match=says):
        StudyConfig(source="a", targets=["b"], **settings)


def test_several_are_named_together():
    with pytest.raises(InputError, match=r"seed=-1 .*; .*train\.steps="):
        StudyConfig(seed=-1, train=TrainSettings(steps=10**20))


def test_evaluation_and_pretraining_have_the_same_limits():
    with pytest.raises(InputError, match="bootstrap_replicates=-1 must be at least 1"):
        EvaluationConfig(bootstrap_replicates=-1)
    with pytest.raises(InputError, match="seed=-5 must be at least 0"):
        PretrainingConfig(seed=-5)


@pytest.mark.parametrize(("name", "value"), [("width", 10**9), ("depth", 10**9), ("vocab_size", 10**12)])
def test_a_model_beyond_all_machines_is_refused(name, value):
    sizes = {"vocab_size": 7, "max_length": 8, "width": 4, "depth": 1, "num_heads": 2, "mlp_width": 8, "pad_id": 0}
    with pytest.raises(InputError, match=f"{name}={value} must be at most"):
        ModelConfig(family="gpt2", **{**sizes, name: value})


def test_defaults_are_within():
    StudyConfig(model=ModelSettings())
    EvaluationConfig()
    PretrainingConfig()
