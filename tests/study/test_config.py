"""One recipe in two places that cannot part: the dataclasses of the library, the configurations of the commands."""

import dataclasses

import pytest
from ml_collections import ConfigDict

from experiments import configuration
from experiments.configs import base, evaluate, finetune_pairs, pretrain_gpt2
from lingjax.errors import InputError
from lingjax.study.config import EvaluationConfig, ModelSettings, StudyConfig, TrainSettings, build_recipe
from lingjax.study.pretraining_config import PretrainingConfig
from lingjax.training.finetune import FinetuneConfig


@pytest.mark.parametrize(
    ("config", "shipped"),
    [(StudyConfig(), base), (EvaluationConfig(), evaluate), (PretrainingConfig(), pretrain_gpt2)],
    ids=["study", "evaluation", "pretraining"],
)
def test_the_defaults_are_the_shipped_configuration_key_by_key(config, shipped):
    assert config.to_json() == configuration.to_json(shipped.get_config())


def test_a_configuration_and_what_is_made_of_it_say_the_same():
    config = base.get_config()
    config.update({"targets": "a,b@test", "shots": "16,64", "kmer_sizes": "3", "seeds": 2, "mesh": "data:2"})
    config.model.dropout_rate, config.train.epochs = 0.25, 1.5
    study = configuration.to_study(config)
    assert study.to_json() == configuration.to_json(config)
    assert (study.targets, study.shots, study.kmer_sizes) == (("a", "b@test"), (16, 64), (3,))
    assert (study.model.dropout_rate, study.train.epochs) == (0.25, 1.5)


def test_what_a_configuration_leaves_out_is_the_recipes():
    assert configuration.to_study(finetune_pairs.get_config()) == StudyConfig()


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"sede": 1}, "--config.sede is not known, did you mean 'seed'"),
        ({"train": {"epoch": 1}}, "--config.train.epoch is not known, did you mean 'epochs'"),
    ],
)
def test_a_key_that_nobody_reads_is_refused(values, line):
    with pytest.raises(InputError) as error:
        configuration.to_study(ConfigDict(values))
    assert line in str(error.value)


def test_lists_are_lists_or_texts_and_controls_come_in_one_order():
    lists = StudyConfig(targets=["a", "b"], shots=[64, 16], trained_controls=["shuffled_labels", "random_init"])
    texts = StudyConfig(targets="a, b", shots="64,16,64", trained_controls="shuffled_labels,random_init")
    assert lists == texts
    assert lists.shots == (16, 64)
    assert lists.trained_controls == ("random_init", "shuffled_labels")


def test_problems_are_told_together():
    with pytest.raises(InputError) as error:
        StudyConfig(seeds=0, curve_rows=-1, kmer_sizes=())
    for key in ("seeds=0", "curve_rows=-1", "kmer_sizes=''"):
        assert key in str(error.value)


def test_a_study_makes_the_training_recipe_with_its_optimizer():
    study = StudyConfig(train=TrainSettings(steps=7, beta2=0.5), log_every=3, evaluation_batch_size=9)
    recipe = study.recipe(FinetuneConfig)
    values = recipe.to_json()
    assert {name: values[name] for name in ("steps", "beta2", "log_every", "evaluation_batch_size")} == {
        "steps": 7,
        "beta2": 0.5,
        "log_every": 3,
        "evaluation_batch_size": 9,
    }
    assert dataclasses.replace(recipe) == StudyConfig.recipe(study, FinetuneConfig)


def test_settings_of_older_runs_may_lack_keys_and_have_others():
    assert build_recipe(ModelSettings, {"init": "gpt2", "gone": 1}) == ModelSettings(init="gpt2")


@pytest.mark.parametrize("kind", [StudyConfig, PretrainingConfig])
def test_a_logger_that_is_not_installed_is_found_before_anything_is_begun(monkeypatch, kind):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--config\.wandb=mine: wandb is not installed; pip install wandb"):
        kind(wandb="mine")
