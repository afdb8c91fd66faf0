import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.builders import BUILDERS, check_flags, load_builder
from lingjax.errors import InputError

ROOT = Path(__file__).parents[2]


def run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "data_prep.build", *flags], capture_output=True, text=True, cwd=ROOT, check=False
    )


@pytest.mark.parametrize("dataset", BUILDERS)
def test_every_parameter_of_a_builder_is_a_flag(dataset):
    source = (ROOT / "data_prep" / "build.py").read_text()
    parameters = inspect.signature(load_builder(dataset)).parameters
    for name, parameter in parameters.items():
        is_internal = (dataset, name) == ("paws_x", "archive")  # tests bring their own archive
        assert is_internal or f'("{name}", ' in source, name
        assert parameter.default is not inspect.Parameter.empty or name in (
            "data_dir",
            "name",
            "source",
            "language",
            "domain",
            "query",
            "repo",
        )


def test_flags_that_a_dataset_does_not_use_or_lacks_are_named_together():
    def build(data_dir, *, name, source, split=None):
        pass

    with pytest.raises(InputError) as caught:
        check_flags("pairs", {"seed": 1, "name": "x"}, build)
    assert str(caught.value) == (
        "--dataset=pairs: --seed is not a flag of this dataset; --data_dir is missing; --source is missing"
    )


def test_a_dataset_is_built_and_summarised(tmp_path):
    (tmp_path / "x.csv").write_text("sentence1,sentence2,label\na,b,1\nc,d,0\n")
    done = run("--dataset=pairs", "--name=x", f"--source={tmp_path}/*.csv", f"--data_dir={tmp_path}/ds")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/ds/x/1.0.0: train 2 rows (1 with label 0, 1 with label 1)\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset=pair"], "error: --dataset=pair is unknown; did you mean 'pairs'?\n"),
        ([], f"error: --dataset is missing; choose one of: {', '.join(BUILDERS)}\n"),
        (
            ["--dataset=pairs", "--name=x", "--data_dir=ds", "--source=no*where"],
            "error: --source=no*where matches no file\n",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(flags, message):
    done = run(*flags)
    assert (done.returncode, done.stderr, done.stdout) == (2, message, "")
