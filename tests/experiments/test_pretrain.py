import os
import socket
import subprocess
import sys

import pytest

from lingjax.training.metrics import read_metrics
from lingjax.training.start import read_result, read_run_description
from tests.experiments.conftest import ROOT


@pytest.fixture(scope="module")
def packed(data, tokenizer):
    from data_prep.packing import pack
    from lingjax.data import load_tokenizer

    loaded = load_tokenizer(str(tokenizer))
    for domain in ("english", "dna"):
        pack(data, name=f"packed_{domain}", corpus=str(data / f"synthetic_{domain}"), tokenizer=loaded, length=32)
    return f"{data}/packed_english:2,{data}/packed_dna:1"


@pytest.fixture(scope="module")
def flags(packed, tokenizer):
    return [
        "--config.model.size=tiny",
        f"--config.model.tokenizer={tokenizer}",
        "--config.model.max_length=32",
        f"--config.data.mixture={packed}",
        "--config.train.batch_size=4",
        "--config.train.steps=4",
        "--config.evaluate_every=2",
        "--config.log_every=2",
    ]


def test_pretraining_reports_each_domain_and_feeds_fine_tuning(command, data, flags, tmp_path):
    printed = command("experiments.pretrain", f"--workdir={tmp_path}/lm", *flags)
    assert "english_loss" in printed and "dna_loss" in printed
    history = read_result(tmp_path / "lm")["history"]
    assert [entry["step"] for entry in history] == [2, 4]
    printed = command(
        "experiments.finetune",
        f"--workdir={tmp_path}/pairs",
        f"--config.model.init={tmp_path}/lm",
        f"--config.source={data}/synthetic_english_pairs",
        "--config.train.max_length=32",
        "--config.train.steps=2",
    )
    assert "dev accuracy" in printed
    printed = command("experiments.export", f"--checkpoint={tmp_path}/lm", f"--out={tmp_path}/hf")
    assert "gpt2 language_model" in printed


def test_rows_of_another_tokenizer_are_refused(refused, flags, wordpiece, tmp_path):
    line = refused("experiments.pretrain", f"--workdir={tmp_path}/lm", *flags, f"--config.model.tokenizer={wordpiece}")
    assert "tokenizer" in line


def test_rows_longer_than_the_model_are_refused(refused, flags, tmp_path):
    line = refused("experiments.pretrain", f"--workdir={tmp_path}/lm", *flags, "--config.model.max_length=31")
    assert "31 positions" in line


@pytest.fixture(scope="module")
def packed_for_bert(data, wordpiece):
    from data_prep.packing import pack
    from lingjax.data import load_tokenizer

    loaded = load_tokenizer(str(wordpiece))
    return str(pack(data, name="bert_english", corpus=str(data / "synthetic_english"), tokenizer=loaded, length=32))


def test_bert_is_pretrained_on_masked_tokens_and_exported_whole(command, packed_for_bert, wordpiece, tmp_path):
    import transformers

    printed = command(
        "experiments.pretrain",
        "--config=experiments/configs/pretrain_bert.py",
        f"--workdir={tmp_path}/mlm",
        "--config.model.size=tiny",
        f"--config.model.tokenizer={wordpiece}",
        "--config.model.max_length=32",
        f"--config.data.mixture={packed_for_bert}",
        "--config.train.batch_size=4",
        "--config.train.steps=3",
    )
    assert "english_loss" in printed
    command("experiments.export", f"--checkpoint={tmp_path}/mlm", f"--out={tmp_path}/hf")
    model, loading = transformers.BertForMaskedLM.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    assert model.config.vocab_size == len(transformers.AutoTokenizer.from_pretrained(tmp_path / "hf"))


@pytest.mark.parametrize("key", ["train.mask_fraction=0.5", "evaluation_rows=1", "seed=1"])
def test_each_key_of_masked_pretraining_changes_the_run(command, packed_for_bert, wordpiece, tmp_path, key):
    flags = [
        "--config=experiments/configs/pretrain_bert.py",
        "--config.model.size=tiny",
        f"--config.model.tokenizer={wordpiece}",
        "--config.model.max_length=32",
        f"--config.data.mixture={packed_for_bert}",
        "--config.train.batch_size=4",
        "--config.train.steps=1",
    ]
    command("experiments.pretrain", f"--workdir={tmp_path}/plain", *flags)
    command("experiments.pretrain", f"--workdir={tmp_path}/changed", *flags, f"--config.{key}")
    plain, changed = (read_result(tmp_path / name)["history"][0]["english_loss"] for name in ("plain", "changed"))
    assert plain != changed


def test_pretraining_goes_on_from_a_published_model(command, packed, flags, gpt2_folder, tmp_path):
    flags = [flag for flag in flags if "model.tokenizer" not in flag]
    command("experiments.pretrain", f"--workdir={tmp_path}/on", *flags, f"--config.model.init={gpt2_folder}")
    description = read_run_description(tmp_path / "on")
    assert description["init"]["kind"] == "pretrained"
    assert description["model"]["max_length"] == 64  # its own, not the configuration's


def test_two_processes_train_as_one_does(flags, tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]

    def start(name, process_id=None, devices=4):
        hosts = (
            []
            if process_id is None
            else [f"--coordinator_address=127.0.0.1:{port}", "--num_processes=2", f"--process_id={process_id}"]
        )
        arguments = [f"--workdir={tmp_path}/{name}", *flags, *hosts, "--config.mesh=data:2,tensor:2"]
        environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_backend_optimization_level=0 --xla_force_host_platform_device_count={devices}",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.pretrain", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    alone = start("alone")
    _, error = alone.communicate(timeout=300)
    assert alone.returncode == 0, error[-2000:]
    both = [start("both", process_id, devices=2) for process_id in range(2)]
    for process in both:
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-2000:]
    histories = [read_result(tmp_path / name)["history"] for name in ("alone", "both")]
    for one, other in zip(*histories, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    lines = [[line for line in read_metrics(tmp_path / name) if "loss" in line] for name in ("alone", "both")]
    assert [line["loss"] for line in lines[0]] == pytest.approx([line["loss"] for line in lines[1]], rel=1e-5)


def test_processes_need_all_their_flags(refused, flags, tmp_path):
    line = refused("experiments.pretrain", f"--workdir={tmp_path}/lm", *flags, "--num_processes=2")
    assert "--num_processes without --coordinator_address, --process_id" in line
