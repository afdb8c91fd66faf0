import json

import pytest


@pytest.fixture(scope="module")
def language_model(tokenizer, tmp_path_factory):
    """A Hugging Face folder of a tiny GPT-2 with a language-model head and random weights."""
    from flax import nnx

    from lingjax.data import load_tokenizer
    from lingjax.models import build_model, parameters_of, preset, save_pretrained

    loaded = load_tokenizer(str(tokenizer))
    config = preset("gpt2", "tiny", vocab_size=loaded.vocab_size, max_length=64, pad_id=loaded.pad_id, init_scale=0.3)
    model = build_model(config, "language_model", rngs=nnx.Rngs(0))
    return save_pretrained(
        tmp_path_factory.mktemp("lm") / "model",
        config,
        parameters_of(model),
        head="language_model",
        tokenizer_folder=tokenizer,
        end_id=loaded.end_id,
    )


def sample(command, folder, *flags) -> list[dict]:
    printed = command("experiments.sample", f"--checkpoint={folder}", "--max_new_tokens=8", "--json", *flags)
    return [json.loads(line) for line in printed.splitlines()]


def test_texts_are_continued_and_described(command, language_model, tmp_path):
    (tmp_path / "prompts.txt").write_text("the river\nACGT\n")
    lines = sample(command, language_model, f"--prompt_file={tmp_path}/prompts.txt", "--num_samples=2")
    assert [(line["prompt"], line["sample"]) for line in lines] == [
        ("the river", 0),
        ("the river", 1),
        ("ACGT", 0),
        ("ACGT", 1),
    ]
    assert all(line["text"] and line["log_probability"] < 0 for line in lines)
    assert all(len(line["token_ids"]) == 8 or line["ended"] for line in lines)


def test_flags_change_what_is_drawn(command, language_model):
    prompt = "--prompt=the river"
    plain = sample(command, language_model, prompt)
    assert plain == sample(command, language_model, prompt)
    for flag in ("--seed=1", "--temperature=0.2", "--top_k=1", "--top_p=0.01"):
        assert sample(command, language_model, prompt, flag) != plain, flag
    greedy = sample(command, language_model, prompt, "--greedy")
    assert greedy[0]["token_ids"] == sample(command, language_model, prompt, "--top_k=1")[0]["token_ids"]


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ([], "--prompt=TEXT"),
        (["--prompt=a", "--top_p=0"], "top_p=0.0 must be above 0"),
        (["--prompt=a", "--greedy", "--top_k=3"], "leave out --top_k"),
        (["--prompt=a", "--max_new_tokens=99"], "new ones fit"),
        (["--prompt_file=nowhere.txt"], "cannot be read"),
        (["--prompt=a", "--step=3"], "--step=3 is for a workdir"),
    ],
)
def test_bad_input_is_one_line(refused, language_model, flags, line):
    assert line in refused("experiments.sample", f"--checkpoint={language_model}", *flags)


def test_a_classifier_is_refused(refused, transferred):
    workdir, _ = transferred
    assert "has the head 'pairs'" in refused("experiments.sample", f"--checkpoint={workdir}/seed0", "--prompt=a")
