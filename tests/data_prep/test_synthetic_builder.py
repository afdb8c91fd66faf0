import json

import pytest

from data_prep.builders import synthetic
from data_prep.corpora import open_corpus
from lingjax.data import PairSource, open_split
from lingjax.errors import InputError

SCALE = 0.02


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return synthetic.build(tmp_path_factory.mktemp("synthetic"), seed=3, scale=SCALE)


def contents(folders):
    return {(folder.parent.name, path.name): path.read_bytes() for folder in folders for path in folder.iterdir()}


def test_the_same_seed_gives_the_same_bytes(folders, tmp_path):
    # The index holds no time stamp either.
    assert contents(synthetic.build(tmp_path, seed=3, scale=SCALE)) == contents(folders)


def test_another_seed_gives_other_records(folders, tmp_path):
    others = synthetic.build(tmp_path, seed=4, scale=SCALE)
    for folder, other in zip(folders, others, strict=True):
        splits, other_splits = (json.loads((f / "lingjax.json").read_text())["splits"] for f in (folder, other))
        assert all(splits[split]["fingerprint"] != other_splits[split]["fingerprint"] for split in splits)


def test_every_dataset_says_that_it_is_synthetic(folders):
    for folder in folders:
        assert json.loads((folder / "lingjax.json").read_text())["synthetic"] is True
        assert "Synthetic" in json.loads((folder / "dataset_info.json").read_text())["description"]


def test_corpora_have_their_domain_and_distinct_documents(folders):
    domains = {}
    for folder in folders[:3]:
        train, validation = (open_corpus(f"{folder}@{split}", default=()) for split in ("train", "validation"))
        domains[train.split.name] = train.domain
        texts = [*train, *validation]
        assert len(set(texts)) == len(texts)
    assert domains == {"synthetic_english": "english", "synthetic_dna": "dna", "synthetic_protein": "protein"}


def test_pair_splits_are_balanced_and_share_no_row(folders):
    for folder in folders[3:]:
        rows = []
        for split in ("train", "validation", "test"):
            source = PairSource(open_split(f"{folder}@{split}", default=()))
            counts = source.label_counts
            assert abs(counts["0"] - counts["1"]) <= 1
            rows += [(record.sentence1, record.sentence2) for record in source]
        assert len({frozenset(row) for row in rows}) == len(rows)


def test_a_second_build_keeps_what_is_there(folders, capsys):
    data_dir = folders[0].parent.parent
    before = contents(folders)
    assert synthetic.build(data_dir, seed=3, scale=SCALE) == folders
    assert contents(folders) == before
    assert capsys.readouterr().out.count("nothing to do") == len(folders)


def test_another_seed_into_the_same_folder_is_refused(folders):
    with pytest.raises(InputError, match=r"seed.*--overwrite"):
        synthetic.build(folders[0].parent.parent, seed=5, scale=SCALE)


@pytest.mark.parametrize(("arguments", "expected"), [({"seed": -1}, "seed=-1"), ({"scale": 0.0}, "scale=0.0")])
def test_impossible_arguments_are_refused(tmp_path, arguments, expected):
    with pytest.raises(InputError, match=expected):
        synthetic.build(tmp_path, **arguments)
    assert not list(tmp_path.iterdir())
