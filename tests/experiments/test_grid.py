import json
import shlex

import pytest

from experiments.grid import check_recorded, make_cells, parse_varied
from lingjax.errors import InputError


def cells_of(tmp_path, *varied, experiment="transfer", flags=()):
    return make_cells(experiment, parse_varied(varied), flags=flags, workdir=tmp_path)


@pytest.fixture
def recorded(tmp_path):
    """A folder that holds a grid of two seeds."""
    for cell in cells_of(tmp_path, "config.seed=0,1"):
        cell.record()
    return tmp_path


def test_a_grid_is_every_combination_and_the_last_setting_varies_fastest(tmp_path):
    cells = cells_of(tmp_path, "config.train.learning_rate=1e-5,3e-5", "config.seed=0,1")
    assert [cell.name for cell in cells] == [
        *("learning_rate=1e-5+seed=0", "learning_rate=1e-5+seed=1"),
        *("learning_rate=3e-5+seed=0", "learning_rate=3e-5+seed=1"),
    ]
    assert [(cell.settings["train"]["learning_rate"], cell.settings["seed"]) for cell in cells] == [
        *((1e-5, 0), (1e-5, 1)),
        *((3e-5, 0), (3e-5, 1)),
    ]


def test_a_cells_command_names_its_configuration_first_and_then_what_all_have_and_what_varies(tmp_path):
    flags = ["--config.offline=true", "--config=experiments/configs/finetune_pairs.py"]
    (cell,) = cells_of(tmp_path, "config.seed=7", experiment="finetune", flags=flags)
    assert shlex.split(cell.command) == [
        *("python", "-m", "experiments.finetune", f"--workdir={tmp_path}/cells/seed=7"),
        *("--config=experiments/configs/finetune_pairs.py", "--config.offline=true", "--config.seed=7"),
    ]


@pytest.mark.parametrize(
    ("experiment", "shipped"), [("transfer", "transfer"), ("pretrain", "pretrain_gpt2"), ("finetune", "finetune_pairs")]
)
def test_the_default_configuration_is_the_commands_own(tmp_path, experiment, shipped):
    (cell,) = cells_of(tmp_path, "config.seed=1", experiment=experiment)
    assert cell.flags[0] == f"--config=experiments/configs/{shipped}.py"


def test_values_with_commas_stand_in_a_json_list():
    texts = ["config.seed=0,1", 'config.targets=["data/a,data/b", "data/c"]', "config.offline=[true, false]"]
    assert parse_varied(texts) == {
        "config.seed": ["0", "1"],
        "config.targets": ["data/a,data/b", "data/c"],
        "config.offline": ["true", "false"],
    }


def test_configurations_can_vary_with_their_arguments(tmp_path):
    file = "experiments/configs/quickstart.py"
    cells = cells_of(tmp_path, f"config={file}:transfer,{file}:pretrain")
    assert [("source" in cell.settings, "mixture" in cell.settings.get("data", {})) for cell in cells] == [
        (True, False),
        (False, True),
    ]
    assert all(cell.flags[0].startswith("--config=") for cell in cells)


def test_names_that_leave_something_out_end_in_a_hash_and_do_not_depend_on_the_rest_of_the_grid(tmp_path):
    one = cells_of(tmp_path, 'config.targets=["a/x,a/y"]')
    two = cells_of(tmp_path, 'config.targets=["b/x,b/y", "a/x,a/y"]')
    assert one[0].name == two[1].name != two[0].name
    assert one[0].name.startswith("targets=x_y-")
    assert "," not in one[0].name


def test_a_long_name_stays_a_files_name(tmp_path):
    keys = ("model.init", "model.tokenizer", "source", "dev", "targets", "mesh")
    (cell,) = cells_of(tmp_path, *(f"config.{key}={'long' * 30}" for key in keys))
    assert len(cell.name) < 255


@pytest.mark.parametrize(
    ("varied", "line"),
    [
        (["seed=0,1"], "expected config.KEY=VALUE,VALUE"),
        (["config.seed="], "at least one"),
        (["config.seed=1,1"], "values that differ"),
        (["config.seed=1", "config.seed=2"], "--vary=config.seed is given twice"),
        (["config.seed=[1,"], "not a JSON list"),
        (["config.sede=1"], "did you mean '--config.seed'?"),
        (["config.seed=one"], "seed"),
        (["config=missing.py"], "missing.py: no such file"),
        ([], "nothing varies"),
    ],
)
def test_a_grid_that_cannot_be_is_one_line(tmp_path, varied, line):
    with pytest.raises(InputError) as error:
        cells_of(tmp_path, *varied)
    assert line in str(error.value)


def test_a_setting_that_varies_cannot_be_set_as_well(tmp_path):
    with pytest.raises(InputError, match=r"--config\.seed is set for all cells and varies"):
        cells_of(tmp_path, "config.seed=0,1", flags=["--config.seed=2"])


def test_an_unknown_command_is_refused(tmp_path):
    with pytest.raises(InputError, match="did you mean 'transfer'"):
        cells_of(tmp_path, "config.seed=0", experiment="transfers")


@pytest.mark.parametrize("values", ["0,1", "0,1,2", "1", "3"])
def test_a_grid_may_grow_and_shrink(recorded, values):
    check_recorded(recorded, cells_of(recorded, f"config.seed={values}"))


@pytest.mark.parametrize(
    ("varied", "flags", "line"),
    [
        ("config.seeds=1,2", [], "cells of another grid (transfer over config.seed)"),
        ("config.seed=0,1", ["--config.train.steps=5"], "made with other settings: train.steps 0 -> 5"),
        ("config.seed=4,5", ["--config.train.steps=5"], "made with other settings: train.steps 0 -> 5"),
    ],
)
def test_another_grid_is_refused(recorded, varied, flags, line):
    with pytest.raises(InputError) as error:
        check_recorded(recorded, cells_of(recorded, varied, flags=flags))
    assert line in str(error.value)


def test_a_record_says_how_to_make_the_cell_again(recorded):
    (first, _) = cells_of(recorded, "config.seed=0,1")
    record = json.loads((first.folder / "cell.json").read_text())
    assert (record["command"], record["varied"]) == (first.command, {"config.seed": "0"})
