import json
import math
import shutil

import pytest

from lingjax.training.run_folder import read_result, read_run_description


@pytest.fixture
def flags(pretraining_flags):
    return pretraining_flags


def test_pretraining_reports_each_domain_and_feeds_fine_tuning(command, data, flags, tmp_path):
    printed = command("experiments.pretrain", f"--workdir={tmp_path}/lm", *flags)
    assert "english_loss" in printed and "dna_loss" in printed and "(nats a token)" in printed
    assert "dna_bits_per_character" in printed and "dna_markov_bits_per_character" in printed and "(bits)" in printed
    assert "dna_seen_fraction" in printed and "(of the held-out runs of 32 characters)" in printed
    history = read_result(tmp_path / "lm")["history"]
    assert [entry["step"] for entry in history] == [2, 4]
    plots = tmp_path / "lm" / "plots"
    drawn = {path.name: path.read_bytes() for path in plots.iterdir()}
    assert drawn.keys() >= {"loss.png", "bits_per_character.svg"}
    shutil.rmtree(plots)
    assert "On held-out text this run has learnt " in printed
    assert "is finished" in command("experiments.pretrain", f"--workdir={tmp_path}/lm", *flags)
    assert drawn == {path.name: path.read_bytes() for path in plots.iterdir()}
    counts = json.loads((data / "packed_dna" / "1.0.0" / "lingjax.json").read_text())["counts"]["validation"]
    bits_per_token = history[0]["dna_loss"] / math.log(2)
    expected = bits_per_token * counts["tokens"] / counts["characters"]
    assert history[0]["dna_bits_per_character"] == pytest.approx(expected)
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


def test_a_shape_beside_a_model_that_has_one_is_refused(refused, flags, gpt2_folder, tmp_path):
    flags = [*flags, f"--config.model.init={gpt2_folder}", "--config.model.depth=3"]
    line = refused("experiments.pretrain", f"--workdir={tmp_path}/lm", *flags)
    assert "config.model.depth=3 shapes a model from scratch" in line


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


@pytest.mark.parametrize(
    "key",
    [
        "train.mask_fraction=0.5",
        *(
            pytest.param(key, marks=pytest.mark.exhaustive)
            for key in ("evaluation_rows=1", "seed=1", "model.num_heads=2")
        ),
    ],
)
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


def test_a_tokenizer_that_was_extended_makes_the_embedding_grow(command, data, flags, tokenizer, gpt2_folder, tmp_path):
    longer = tmp_path / "longer"
    extending = [f"--extend={tokenizer}", f"--corpora={data}/synthetic_dna:1", "--add_tokens=20", f"--out={longer}"]
    command("data_prep.train_tokenizer", *extending)
    packing = [f"--corpus={data}/synthetic_dna", f"--tokenizer={longer}", "--length=32", f"--data_dir={tmp_path}"]
    command("data_prep.pack", *packing, "--name=packed")
    flags = [flag for flag in flags if "tokenizer" not in flag and "mixture" not in flag]
    flags += [f"--config.model.init={gpt2_folder}", f"--config.model.tokenizer={longer}"]
    flags += [f"--config.data.mixture={tmp_path}/packed", "--config.evaluate_every=1", "--config.train.steps=1"]
    losses = {}
    for new_rows in ("mean", "zeros"):
        folder = tmp_path / new_rows
        command("experiments.pretrain", f"--workdir={folder}", *flags, f"--config.model.new_rows={new_rows}")
        losses[new_rows] = read_result(folder)["history"][0]["dna_loss"]
        assert read_run_description(folder)["model"]["vocab_size"] == 420
    assert losses["mean"] != losses["zeros"]


def test_processes_need_all_their_flags(refused, flags, tmp_path):
    line = refused("experiments.pretrain", f"--workdir={tmp_path}/lm", *flags, "--num_processes=2")
    assert "--num_processes without --coordinator_address, --process_id" in line
