from collections import Counter

import pytest

import lingjax
from lingjax.data import Tokenizer
from tests.data.conftest import write_dataset
from tests.training.small_run import make_records


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Three datasets in which every sentence occurs once: its number makes it different from all others."""
    folder, number = tmp_path_factory.mktemp("tasks"), iter(range(10_000))
    names = {}
    for name in ("source", "first", "second"):
        splits = {}
        for split, rows in (("train", 16), ("validation", 6), ("test", 8)):
            splits[split] = [
                type(one)(one.pair_id, f"{one.sentence1} {next(number)}", f"{one.sentence2} {next(number)}", one.label)
                for one in make_records(rows, seed=rows)
            ]
        names[name] = str(write_dataset(folder, name, splits).parent)
    return names


@pytest.mark.parametrize("pair_format", [pytest.param("concat", marks=pytest.mark.exhaustive), "separated"])
def test_a_transfer_of_three_seeds_and_two_targets_tokenizes_each_text_once(
    monkeypatch, tasks, tiny_model, tmp_path, pair_format
):
    seen = Counter()
    encode = Tokenizer.encode

    def counted(self, texts, **options):
        seen.update(texts)
        return encode(self, texts, **options)

    monkeypatch.setattr(Tokenizer, "encode", counted)
    lingjax.transfer(
        lingjax.StudyConfig(
            model=lingjax.ModelSettings(init=str(tiny_model)),
            train=lingjax.TrainSettings(
                steps=2, batch_size=16, max_length=16, pair_format=pair_format, learning_rate=1e-3
            ),
            source=tasks["source"],
            targets=[tasks["first"], tasks["second"]],
            seeds=3,
            trained_controls=["random_init", "shuffled_labels"],
            allow_unknown=True,
            bootstrap_replicates=5,
        ),
        workdir=tmp_path,
    )
    pairs = 16 + 6 + 8 + 8
    # Where the two texts are read as one, that one is a text of its own beside them.
    assert len(seen) == (3 if pair_format == "concat" else 2) * pairs
    assert set(seen.values()) == {1}
