"""Every wrong input gives one line that says what, where and what to do, and exit code 2."""

import json
import shutil

import pytest
from safetensors.numpy import load_file, save_file


@pytest.fixture
def dataset(data, tmp_path):
    """A copy of a dataset that a test may damage."""
    return shutil.copytree(data / "synthetic_english_pairs", tmp_path / "damaged")


@pytest.fixture
def model(gpt2_folder, tmp_path):
    """A copy of a model folder that a test may damage."""
    folder = shutil.copytree(gpt2_folder, tmp_path / "model")
    (folder / "lingjax.sha256").unlink()  # as a folder of elsewhere
    return folder


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--config.trian.epochs=3"], "did you mean '--config.train.epochs'?"),
        (["--config.learning_rate=1"], "did you mean '--config.train.learning_rate'?"),
        (["--config.train.batch_size=many"], "train.batch_size"),
        (["--config=nowhere.py"], "--config=nowhere.py: no such file"),
        (["--config=README.md"], "not a configuration"),
        (["--wrokdir=x"], "wrokdir"),
        (["stray"], "no positional argument, got 'stray'"),
        (["--config.source="], "no training pairs: set --config.source"),
        (["--config.source=/nowhere/pairs"], "/nowhere/pairs"),
        (["--config.seeds=0"], "seeds=0 must be at least 1"),
        (["--config.seeds=1", "--config.control_seeds=2"], "control_seeds=2"),
        (["--config.shots=16,few"], "shots='16,few' must be numbers of pairs"),
        (["--config.curve_rows=-1"], "curve_rows=-1 must not be negative"),
        (["--config.shots=1"], "shots='1' must be numbers of pairs, 2 or more"),
        (["--config.shots=16", "--config.shots_epochs=0"], "shots_epochs=0.0 must be positive"),
        (["--config.seeds_at_once=-1"], "seeds_at_once=-1 must not be negative"),
        (["--config.seeds_at_once=2", "--config.train.pairs_per_row=1"], "set --config.train.pairs_per_row above 1"),
        (
            ["--config.seeds_at_once=2", "--config.model.attention=auto"],
            "needs --config.model.attention=plain or bands",
        ),
        (["--config.trained_controls=shuffled"], "did you mean 'shuffled_labels'?"),
        (["--config.kmer_sizes=3,0"], "kmer_sizes='3,0' must be positive numbers"),
    ],
)
def test_flags(refused, tmp_path, arguments, says):
    assert says in refused("experiments.transfer", f"--workdir={tmp_path}/run", *arguments)
    assert not (tmp_path / "run").exists()


def test_workdir_is_required(refused):
    assert "--workdir is missing: set --workdir=VALUE" in refused("experiments.transfer")


def transfer(refused, tmp_path, transfer_flags, *changes):
    line = refused("experiments.transfer", f"--workdir={tmp_path}/run", *transfer_flags, *changes)
    assert not (tmp_path / "run").exists(), "a refused command leaves nothing behind"
    return line


def test_a_file_where_a_dataset_is_wanted(refused, tmp_path, transfer_flags):
    (tmp_path / "en_train.tsv").write_text("sentence1\tsentence2\tlabel\n")
    line = transfer(refused, tmp_path, transfer_flags, f"--config.source={tmp_path}/en_train.tsv")
    assert "is a file" in line
    assert f"--dataset=pairs --name=NAME --source={tmp_path}/en_train.tsv" in line


def test_a_configuration_of_another_command(refused, tmp_path):
    line = refused("experiments.pretrain", f"--workdir={tmp_path}/run", "--config=experiments/configs/transfer.py")
    assert "a configuration of another command" in line and ":pretrain" in line


def test_unknown_split(refused, tmp_path, transfer_flags, data):
    line = transfer(refused, tmp_path, transfer_flags, f"--config.source={data}/synthetic_english_pairs@tset")
    assert "no split 'tset'" in line


def test_no_targets(refused, tmp_path, transfer_flags):
    assert "no targets" in transfer(refused, tmp_path, transfer_flags, "--config.targets=")


def test_a_target_named_twice(refused, tmp_path, transfer_flags, data):
    twice = f"{data}/synthetic_dna_pairs,{data}/synthetic_dna_pairs"
    assert "named twice" in transfer(refused, tmp_path, transfer_flags, f"--config.targets={twice}")


def test_a_folder_that_is_no_dataset(refused, tmp_path, transfer_flags):
    (tmp_path / "empty").mkdir()
    assert "empty" in transfer(refused, tmp_path, transfer_flags, f"--config.source={tmp_path}/empty")


def test_a_corpus_where_pairs_are_wanted(refused, tmp_path, transfer_flags, data):
    line = transfer(refused, tmp_path, transfer_flags, f"--config.source={data}/synthetic_english")
    assert "synthetic_english" in line and "pairs" in line


def test_a_flipped_byte_in_a_record(refused, tmp_path, transfer_flags, dataset):
    shard = next(dataset.rglob("*-train.tfrecord-*-of-?????"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    line = transfer(refused, tmp_path, transfer_flags, f"--config.source={dataset}")
    assert shard.name in line


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("--config.train.learning_rate=-1", "learning_rate=-1.0 must be positive"),
        ("--config.train.schedule=cosin", "did you mean 'cosine'?"),
        ("--config.train.best_by=f1", "best_by='f1'"),
        ("--config.train.pair_format=bart", "did you mean 'bert'?"),
        ("--config.train.max_length=65", "exceeds the model's 64 positions"),
        ("--config.mesh=data:3", "asks for 3 devices and 1"),
        ("--config.mesh=dada:1", "did you mean 'data'?"),
        ("--config.dtype=float16", "float16"),
        ("--config.model.dropout_rate=1.5", "dropout_rate=1.5"),
        ("--config.alignment_rows=19", "alignment_rows=19 is too few"),
        ("--config.model.init=/nowhere/model", "/nowhere/model"),
    ],
)
def test_settings(refused, tmp_path, transfer_flags, change, says):
    assert says in transfer(refused, tmp_path, transfer_flags, change)


def test_a_model_without_a_tensor(refused, tmp_path, transfer_flags, model):
    tensors = load_file(model / "model.safetensors")
    del tensors["h.1.mlp.c_fc.weight"]
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    line = transfer(refused, tmp_path, transfer_flags, f"--config.model.init={model}")
    assert "h.1.mlp.c_fc.weight" in line


def test_a_model_of_pickles(refused, tmp_path, transfer_flags, model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    line = transfer(refused, tmp_path, transfer_flags, f"--config.model.init={model}")
    assert "pickle" in line and "safetensors" in line


def test_a_model_without_its_tokenizer(refused, tmp_path, transfer_flags, model):
    for file in (*model.glob("token*"), *model.glob("vocab*"), *model.glob("merges*"), *model.glob("special*")):
        file.unlink()
    line = transfer(refused, tmp_path, transfer_flags, f"--config.model.init={model}")
    assert "tokenizer" in line


def test_a_configuration_that_is_not_json(refused, tmp_path, transfer_flags, model):
    (model / "config.json").write_text("{")
    line = transfer(refused, tmp_path, transfer_flags, f"--config.model.init={model}")
    assert "config.json" in line


def test_a_model_of_another_family(refused, tmp_path, transfer_flags, model):
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "model_type": "t5"}))
    line = transfer(refused, tmp_path, transfer_flags, f"--config.model.init={model}")
    assert "t5" in line and "gpt2" in line


def test_a_model_from_scratch_without_a_tokenizer(refused, tmp_path, transfer_flags):
    line = transfer(refused, tmp_path, transfer_flags, "--config.model.init=")
    assert "config.model.tokenizer" in line


def test_a_target_of_unknown_tokens_stops_before_training(refused, tmp_path, transfer_flags, wordpiece):
    line = transfer(
        refused,
        tmp_path,
        transfer_flags,
        "--config.model.init=",
        "--config.model.family=bert",
        "--config.model.size=tiny",
        f"--config.model.tokenizer={wordpiece}",
    )
    for way_out in ("--config.max_characters=50", "--config.max_word_characters", "--config.allow_unknown=true"):
        assert way_out in line


def test_evaluation_of_a_model_that_was_never_fine_tuned(refused, tmp_path, data, gpt2_folder):
    target = data / "synthetic_dna_pairs"
    line = refused(
        "experiments.evaluate", f"--checkpoint={gpt2_folder}", f"--targets={target}", f"--out={tmp_path}/out"
    )
    assert "fine-tune it first" in line


def test_an_unfinished_run_is_not_evaluated(refused, tmp_path, data, transferred):
    run = shutil.copytree(transferred[0] / "seed0", tmp_path / "seed0")
    (run / "result.json").unlink()
    target = data / "synthetic_dna_pairs"
    line = refused("experiments.evaluate", f"--checkpoint={run}", f"--targets={target}", f"--out={tmp_path}/out")
    assert "not finished" in line


@pytest.mark.parametrize("arguments", [["export", "--out=x"], ["sample", "--prompt=x"]])
def test_a_folder_of_several_runs_where_one_is_wanted(refused, transferred, arguments):
    name, flag = arguments
    line = refused(f"experiments.{name}", f"--checkpoint={transferred[0]}", flag)
    assert f"{transferred[0]} holds several runs, name one of them: " in line
    assert line.endswith(f"{transferred[0]}/seed0, {transferred[0]}/seed1")


def test_a_step_that_was_not_kept(refused, tmp_path, transferred):
    line = refused("experiments.export", f"--checkpoint={transferred[0]}/seed0", f"--out={tmp_path}/hf", "--step=12345")
    assert "12345" in line


@pytest.mark.parametrize("content", ["", "{", '{"schema_version": "2.0"}', '{"schema_version": "1.0"}'])
def test_reports_that_are_none(refused, tmp_path, content):
    path = tmp_path / "report.json"
    path.write_text(content)
    assert str(path) in refused("experiments.tabulate", path)


def test_no_report_and_no_kind_of_table(refused, tmp_path, transferred):
    report = transferred[0] / "reports" / "synthetic_dna_pairs.json"
    assert "at least one workdir or report" in refused("experiments.tabulate")
    assert ".xlsx" in refused("experiments.tabulate", report, f"--out={tmp_path}/table.xlsx")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("absent.tsv", None, "absent.tsv"),
        ("empty.tsv", b"", "empty"),
        ("column.tsv", b"sentence1\tsentence_2\tlabel\na\tb\t1\n", "sentence2"),
        ("label.tsv", b"sentence1\tsentence2\tlabel\na\tb\t2\n", "label.tsv:2"),
        ("cut.jsonl.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b", "cut.jsonl.gz"),
        ("junk.csv", bytes(range(256)), "junk.csv"),
    ],
)
def test_pairs_that_cannot_be_read(refused, tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    line = refused(
        "data_prep.build", "--dataset=pairs", "--name=x", f"--source={tmp_path}/{name}", f"--data_dir={tmp_path}/out"
    )
    assert says in line
    assert not (tmp_path / "out" / "x").exists()
