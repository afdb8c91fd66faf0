import pytest

from lingjax.training.start import read_result


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
