import re

import pytest

from experiments import configuration
from experiments.config_help import describe_keys
from experiments.configs import base, evaluate, finetune_pairs, pretrain_gpt2, transfer


@pytest.mark.parametrize("module", [base, transfer, finetune_pairs, pretrain_gpt2, evaluate])
def test_every_key_is_shown_once_with_its_default(module):
    name = module.__name__.rpartition(".")[2]
    shown = re.findall(r"^  --config\.([\w.]+)=(\S+)", describe_keys(name), flags=re.MULTILINE)
    expected = configuration.flatten(module.get_config())
    assert len(shown) == len(expected)
    assert dict(shown) == {
        key: f"'{value}'" if isinstance(value, str) else str(value) for key, value in expected.items()
    }


def test_comments_are_those_beside_the_keys():
    text = " ".join(describe_keys("transfer").split())
    assert "--config.train.clip_norm=1.0 0: no clipping --config" in text
    assert "--config.model.init='' Hugging Face folder or hub name" in text
    # Of two files that have a key, the command's own explains it.
    assert "seeds of the not_finetuned control; 0 skips it" in describe_keys("evaluate")
    assert "seeds of each control that is a model; 0 skips them" in text


def test_keys_come_in_the_order_in_which_they_are_written():
    text = describe_keys("transfer")
    places = [
        text.index(f"--config.{key}=") for key in ("model.init", "source", "targets", "seeds", "train.batch_size")
    ]
    assert places == sorted(places)
