import pytest

from lingjax.errors import InputError
from lingjax.study.tasks import open_source, open_targets, open_training_split, pairs_task
from tests.data.conftest import write_dataset
from tests.training.small_run import make_records


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A dataset below a folder whose name has an @, as those of users and hosts do."""
    folder = tmp_path_factory.mktemp("tasks") / "me@host"
    splits = {"train": 12, "validation": 5, "test": 7}
    records = {name: make_records(count, seed=count) for name, count in splits.items()}
    return str(write_dataset(folder, "words", records).parent)


@pytest.mark.parametrize("split", ["", "@train"])
def test_the_dev_set_is_the_sources_own_validation_split(dataset, split):
    source, dev = open_source(f"{dataset}{split}", "", dev_fraction=0.1, seed=0)
    assert [(task.split, len(task.rows)) for task in (source, dev)] == [("train", 12), ("validation", 5)]


def test_a_source_without_one_is_divided_by_hash(dataset):
    source, dev = open_source(f"{dataset}@validation", "", dev_fraction=0.5, seed=3)
    assert len(source.rows) + len(dev.rows) == 5
    assert (source.split_name, dev.split_name) == (
        "validation without 0.5 held out",
        "validation (0.5 held out, seed 3)",
    )
    assert source.to_json()["rows"] == len(source.rows)


def test_the_training_pairs_of_a_target_are_found_beside_it(dataset):
    (target,) = open_targets([dataset]).values()
    assert (target.split, target.synthetic) == ("test", False)
    assert len(open_training_split(target).rows) == 12
    (own,) = open_targets([f"{dataset}@train"]).values()
    with pytest.raises(InputError, match="has no split 'train' beside the evaluated 'train'"):
        open_training_split(own)


def test_targets_of_one_name_are_told_apart_by_their_splits(dataset):
    assert [*open_targets([f"{dataset}@test", f"{dataset}@train"])] == ["words@test", "words@train"]
    with pytest.raises(InputError, match="named twice"):
        open_targets([dataset, f"{dataset}@test"])


def test_pairs_in_memory_are_known_by_their_content():
    pairs = [("red", "blue", 1), ("moon", "snow", 0)]
    task = pairs_task("mine", pairs)
    assert task.fingerprint == pairs_task("other", pairs).fingerprint != pairs_task("mine", pairs[:1]).fingerprint
    assert [(row.sentence1, row.sentence2, row.label) for row in task.rows] == pairs
    with pytest.raises(InputError, match="mine has no split 'train'"):
        open_training_split(task)
