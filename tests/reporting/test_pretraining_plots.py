import pytest

from lingjax.reporting import write_pretraining_plots

_TRAINING = {"step": 10, "dna_training_loss": 8.1, "english_training_loss": 8.4, "learning_rate": 1e-3}
_HELD_OUT = {
    "step": 20,
    "dna_loss": 7.3,
    "dna_unigram_loss": 6.5,
    "dna_bits_per_character": 2.3,
    "dna_composition_bits_per_character": 1.96,
    "dna_markov_bits_per_character": 1.82,
    "english_loss": 7.4,
    "english_unigram_loss": 6.9,
    "held_out_loss": 7.35,
}


def _write(folder, *lines):
    paths = write_pretraining_plots(folder, lines, title="gpt2, 10.1 M parameters")
    return {path.name: path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return _write(tmp_path_factory.mktemp("plots"), _TRAINING, _HELD_OUT)


def test_losses_and_bits_are_drawn_and_equal_runs_give_equal_files(drawn, tmp_path):
    assert sorted(drawn) == ["bits_per_character.png", "bits_per_character.svg", "loss.png", "loss.svg"]
    assert drawn["loss.png"].startswith(b"\x89PNG")
    assert drawn == _write(tmp_path, _TRAINING, _HELD_OUT)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (_TRAINING, "dna_training_loss"),
        (_HELD_OUT, "english_loss"),
        (_HELD_OUT, "dna_unigram_loss"),
        (_HELD_OUT, "dna_bits_per_character"),
        (_HELD_OUT, "dna_composition_bits_per_character"),
        (_HELD_OUT, "dna_markov_bits_per_character"),
    ],
)
def test_every_figure_is_seen(drawn, tmp_path, line, key):
    changed = {**line, key: line[key] + 0.4}
    lines = (_TRAINING, changed) if line is _HELD_OUT else (changed, _HELD_OUT)
    plot = "bits_per_character.svg" if "bits" in key else "loss.svg"
    assert _write(tmp_path, *lines)[plot] != drawn[plot]


def test_a_run_without_bits_or_training_lines_is_drawn_and_one_without_evaluations_is_not(tmp_path):
    without_bits = {name: value for name, value in _HELD_OUT.items() if "bits" not in name} | {"dna_loss": None}
    assert sorted(_write(tmp_path / "losses", without_bits)) == ["loss.png", "loss.svg"]
    assert not _write(tmp_path / "nothing", _TRAINING)
