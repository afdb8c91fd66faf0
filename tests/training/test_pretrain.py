import dataclasses
import json
import random
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from lingjax.errors import InputError
from lingjax.training.checkpoint import Checkpointer
from lingjax.training.mesh import make_mesh
from lingjax.training.metrics import read_metrics
from lingjax.training.start import restore_run
from tests.training import small_pretraining
from tests.training.small_pretraining import Rows
from tests.training.small_run import WORDS, one_device

ROOT = Path(__file__).parents[2]
COMPARED_BY_CHARACTERS = (
    "composition_bits_per_character",
    "markov_bits_per_character",
    "markov_order",
    "seen_fraction",
)
LOSSES = ("loss", "english_training_loss", "dna_training_loss")


def logged(folder) -> list[list[float]]:
    return [[line[name] for name in LOSSES] for line in read_metrics(folder) if "loss" in line]


def final_parameters(folder) -> dict:
    return jax.tree.map(np.asarray, restore_run(folder, mesh=one_device(), changes={}).parameters)


@pytest.fixture(scope="module")
def alone(tokenizer_folder, tmp_path_factory):
    """Returns a function of the family: the folder of twenty steps on one device, and their result."""
    runs = {}

    def run(family):
        if family not in runs:
            folder = tmp_path_factory.mktemp(family)
            runs[family] = folder, small_pretraining.go(tokenizer_folder, folder, family=family, steps=20)
        return runs[family]

    return run


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_the_model_learns_what_follows(alone, family):
    folder, result = alone(family)
    losses = logged(folder)
    assert len(losses) == 20
    assert losses[-1][0] < losses[0][0] < 3.2  # the logarithm of a vocabulary of 19 is 2.94
    assert {"english_loss", "dna_loss", "held_out_loss"} <= result["history"][0].keys()


def test_bits_per_character_are_the_loss_over_its_characters(alone):
    evaluation = alone("gpt2")[1]["history"][0]
    assert evaluation["dna_bits_per_character"] == pytest.approx(evaluation["dna_loss"] / np.log(2) / 4)
    assert "dna_bits_per_character" not in alone("bert")[1]["history"][0]


class TwoParts(Rows):
    """Rows of two documents of one repeated word each: a short word in the first rows, a long one in the others."""

    # What `lingjax.json` would say of all eight rows: 14 tokens a row, words of 3 and of 5 letters, spaces between.
    characters_per_token = (4 * 2 * (7 * 3 + 6) + 4 * 2 * (7 * 5 + 6)) / (8 * 14)

    def __init__(self, numbers):
        super().__init__(len(numbers), domain="dna", seed=0)
        self.numbers = numbers

    def __getitem__(self, number):
        row = super().__getitem__(number)
        word = 6 + WORDS.index("red" if self.numbers[number] < 4 else "stone")
        return dataclasses.replace(row, token_ids=np.where(row.document_ids > 0, word, 0).astype(np.int32))


@pytest.mark.parametrize(
    ("evaluation_rows", "chosen"),
    [(3, [0, 3, 7]), *(pytest.param(*case, marks=pytest.mark.exhaustive) for case in ((0, range(8)), (2, [0, 7])))],
)
def test_of_a_corpus_in_parts_bits_per_character_are_those_of_the_rows_that_are_scored(
    tokenizer_folder, tmp_path, evaluation_rows, chosen
):
    def evaluate(name, numbers, **recipe):
        held_out = {"dna": [TwoParts(numbers)]}
        return small_pretraining.go(tokenizer_folder, tmp_path / name, steps=1, held_out=held_out, **recipe)["history"][
            0
        ]

    some = evaluate("some", range(8), evaluation_rows=evaluation_rows)
    alone = evaluate("alone", chosen)
    assert some["dna_loss"] == pytest.approx(alone["dna_loss"], rel=1e-6)
    # Beside the loss of a token: a document of 7 words has 6 spaces.
    characters = sum(2 * (7 * (3 if number < 4 else 5) + 6) for number in chosen)
    bits = alone["dna_loss"] / np.log(2) * 14 * len(chosen) / characters
    assert some["dna_bits_per_character"] == pytest.approx(bits, rel=1e-6)
    for name in ("dna_composition_bits_per_character", "dna_markov_bits_per_character", "dna_unigram_loss"):
        assert some[name] == pytest.approx(alone[name], rel=1e-6)


def test_corpora_of_one_domain_are_reported_as_one(alone, tokenizer_folder, tmp_path):
    one = small_pretraining.go(tokenizer_folder, tmp_path, steps=20, domains=("dna", "dna"))["history"][0]
    two = alone("gpt2")[1]["history"][0]
    assert one["dna_loss"] == one["held_out_loss"] == pytest.approx(two["held_out_loss"])
    assert "english_loss" not in one
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [(line["dna_training_loss"], line["loss"]) for line in lines if "loss" in line]
    assert len(losses) == 20
    for of_domain, of_all in losses:
        assert of_domain == pytest.approx(of_all)


def test_the_unigram_loss_stands_beside_the_loss(alone):
    history = alone("gpt2")[1]["history"][0]
    # Tokens 6 to 18 are about equally frequent in these rows; the model knows what follows, so it loses less.
    assert history["dna_unigram_loss"] == pytest.approx(np.log(13), abs=0.1)


def test_models_that_only_count_stand_beside_the_bits_per_character(alone):
    history = alone("gpt2")[1]["history"][0]
    # Each word is followed by a certain one, and letters tell most of a word.
    assert 0 < history["dna_markov_bits_per_character"] < history["dna_composition_bits_per_character"] < 5
    assert history["dna_markov_order"] >= 1
    assert not any("markov" in name or "composition" in name for name in alone("bert")[1]["history"][0])


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_what_was_seen_stands_beside_the_losses(alone, family):
    history = alone(family)[1]["history"][0]
    # Each word is followed by a certain one: the few texts there are all stand in the training rows.
    assert history["dna_seen_fraction"] == history["english_seen_fraction"] == 1


def test_the_markov_model_and_what_was_seen_can_be_left_out(alone, tokenizer_folder, tmp_path):
    history = small_pretraining.go(tokenizer_folder, tmp_path, steps=1, markov_tokens=0)["history"][0]
    left_out = {f"{domain}_{name}" for domain in ("english", "dna") for name in COMPARED_BY_CHARACTERS}
    assert alone("gpt2")[1]["history"][0].keys() - history.keys() == left_out


def test_more_tokens_read_make_a_better_markov_model(alone, tokenizer_folder, tmp_path):
    history = small_pretraining.go(tokenizer_folder, tmp_path, steps=1, markov_tokens=32)["history"][0]
    most = alone("gpt2")[1]["history"][0]
    assert history["english_markov_bits_per_character"] > most["english_markov_bits_per_character"]


@pytest.mark.parametrize(
    ("family", "description"),
    [
        ("gpt2", "data:8"),
        ("gpt2", "fsdp:8"),
        ("gpt2", "tensor:2,data:4"),
        ("gpt2", "data:2,fsdp:2,tensor:2"),
        ("bert", "data:2,fsdp:2,tensor:2"),
    ],
)
def test_twenty_losses_are_those_of_one_device(alone, tokenizer_folder, tmp_path, family, description):
    mesh = make_mesh(description)
    result = small_pretraining.go(tokenizer_folder, tmp_path, family=family, mesh=mesh, steps=20)
    np.testing.assert_allclose(logged(tmp_path), logged(alone(family)[0]), rtol=1e-5)
    assert result["history"][0] == pytest.approx(alone(family)[1]["history"][0], rel=1e-5)


@pytest.mark.parametrize("changes", [{"remat": "layers"}, {"remat": "products"}])
def test_what_is_computed_anew_is_the_same(alone, tokenizer_folder, tmp_path, changes):
    small_pretraining.go(tokenizer_folder, tmp_path, steps=20, **changes)
    np.testing.assert_allclose(logged(tmp_path), logged(alone("gpt2")[0]), rtol=1e-5)


@pytest.mark.parametrize("description", ["fsdp:4", "data:1"])
def test_a_run_goes_on_on_another_mesh(alone, tokenizer_folder, tmp_path, monkeypatch, description):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("lingjax.training.pretrain._HeldOut.__call__", stop)
        small_pretraining.go(
            tokenizer_folder, tmp_path, mesh=make_mesh("data:8"), steps=20, save_every=7, evaluate_every=8
        )
    count = 4 if description == "fsdp:4" else 1
    mesh = make_mesh(description, devices=jax.devices()[:count])
    small_pretraining.go(tokenizer_folder, tmp_path, mesh=mesh, steps=20)
    np.testing.assert_allclose(logged(tmp_path), logged(alone("gpt2")[0]), rtol=1e-5)


@pytest.mark.exhaustive
def test_a_run_that_is_killed_at_random_moments_ends_with_the_same_bits(tokenizer_folder, tmp_path):
    small_pretraining.go(tokenizer_folder, tmp_path / "whole", steps=40, save_every=1)
    rng = random.Random(7)
    for _ in range(3):
        killed = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.training.small_pretraining",
                tokenizer_folder,
                tmp_path / "killed",
                f"{rng.uniform(1.0, 4.0):.2f}",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert killed.returncode in (-9, 0), killed.stderr[-2000:]
    with Checkpointer(tmp_path / "killed" / "checkpoints", read_only=True) as checkpointer:
        assert checkpointer.latest_step()
    small_pretraining.go(tokenizer_folder, tmp_path / "killed", steps=40, save_every=1)
    jax.tree.map(
        np.testing.assert_array_equal, final_parameters(tmp_path / "killed"), final_parameters(tmp_path / "whole")
    )
    assert logged(tmp_path / "killed") == logged(tmp_path / "whole")


def test_a_batch_that_the_devices_cannot_share_is_refused(tokenizer_folder, tmp_path):
    with pytest.raises(InputError, match="batch_size=6 does not divide into 8 parts"):
        small_pretraining.go(
            tokenizer_folder,
            tmp_path,
            mesh=make_mesh("data:4", devices=jax.devices()[:4]),
            batch_size=6,
            accumulation=2,
        )
