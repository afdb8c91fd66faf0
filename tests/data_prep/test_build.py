import collections
import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.builders import BUILDERS, check_flags, load_builder
from data_prep.builders.flags import describe_flags, list_flags
from lingjax.errors import InputError

ROOT = Path(__file__).parents[2]


def run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "data_prep.build", *flags], capture_output=True, text=True, cwd=ROOT, check=False
    )


@pytest.mark.parametrize("dataset", BUILDERS)
def test_the_flags_of_a_dataset_are_its_fields_and_each_says_what_it_means(dataset):
    own = list_flags(BUILDERS[dataset])
    internal = {"archive"} if dataset == "paws_x" else set()  # tests bring their own archive
    assert {field.name for field in dataclasses.fields(BUILDERS[dataset])} - {field.name for field in own} == internal
    for field in own:
        assert field.metadata["meaning"]
        assert field.default is not dataclasses.MISSING or field.name in (
            "data_dir",
            "name",
            "source",
            "language",
            "domain",
            "query",
            "repo",
        )


def test_help_names_every_flag_of_every_dataset_once():
    shown = run("--help").stdout
    for name in {field.name for dataset in BUILDERS.values() for field in list_flags(dataset)}:
        assert len(re.findall(rf"^ +--(?:\[no\])?{name}:", shown, flags=re.MULTILINE)) == 1, name


def test_the_table_of_flags_in_the_readme_is_that_of_the_fields():
    table = describe_flags(BUILDERS)
    # Where it is not, put this table between the two marks in data_prep/README.md.
    assert table == (ROOT / "data_prep" / "README.md").read_text().split("<!-- flags -->\n")[1].rstrip()


def test_a_flag_means_one_type_to_all_datasets():
    kinds = collections.defaultdict(set)
    for dataset in BUILDERS.values():
        for field in list_flags(dataset):
            kinds[field.name].add(field.type | None)
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}


def test_flags_that_a_dataset_does_not_use_or_lacks_are_named_together():
    with pytest.raises(InputError) as caught:
        check_flags("pairs", {"seed": 1, "name": "x"}, load_builder("pairs"))
    assert str(caught.value) == (
        "--dataset=pairs: --seed is not a flag of this dataset; --data_dir is missing; --source is missing"
    )


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"num_pairs": 40, "seed": 0, "evalue": 1e-5}, "--num_pairs=40"),
        ({"frame_shifts": True, "reverse_strand": False}, "--frame_shifts"),
        ({"negatives": ["composition:1"], "splits": ["a:0.5", "b:0.5"]}, "--splits=a:0.5,b:0.5"),
        ({"source": ["my genome.gb"]}, "'--source=my genome.gb'"),
    ],
)
def test_a_told_command_can_be_typed_and_leaves_out_defaults(told, words):
    task = load_builder("dna_protein_pairs")("anywhere", name="x", source=["x.gb"])
    assert task.command(told) == f"python -m data_prep.build --dataset=dna_protein_pairs {words} --data_dir=DIR"


def test_a_dataset_is_built_and_summarised(tmp_path):
    (tmp_path / "x.csv").write_text("sentence1,sentence2,label\na,b,1\nc,d,0\n")
    done = run("--dataset=pairs", "--name=x", f"--source={tmp_path}/*.csv", f"--data_dir={tmp_path}/ds")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/ds/x/1.0.0: train 2 rows (1 with label 0, 1 with label 1)\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("module", "flags"),
    [
        ("build", ["--dataset=pairs", "--name=x", "--source=no*where"]),
        ("pack", ["--corpus=x", "--tokenizer=x", "--length=8", "--name=x"]),
    ],
)
def test_a_missing_extra_is_one_line_and_exit_2(tmp_path, module, flags):
    argv = [module, *flags, f"--data_dir={tmp_path}"]
    program = (
        "import runpy, sys; sys.modules['tensorflow_datasets'] = None; "
        f"sys.argv = {argv}; runpy.run_module('data_prep.{module}', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        'error: datasets are built with tensorflow_datasets, the extra "prep": pip install -e ".[prep]"\n'
    )


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
