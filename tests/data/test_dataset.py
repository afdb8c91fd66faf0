import hashlib
import json
import pickle
import shutil

import pytest

from lingjax.data import (
    PairRecord,
    PairSource,
    fingerprint_records,
    hash_fraction,
    open_split,
    split_by_hash,
    split_reference,
)
from lingjax.errors import InputError
from lingjax.sealed import read_sealed, write_sealed


@pytest.fixture
def records(make_pairs):
    return make_pairs(31)


@pytest.fixture
def folder(tmp_path, write_pairs, records):
    return write_pairs(tmp_path, "paws_en", {"train": records[:20], "test": records[20:]}, shards=3)


def test_fingerprint_is_of_lengths_and_payloads():
    expected = hashlib.sha256(b"\x02" + bytes(7) + b"ab" + bytes(8) + b"\x01" + bytes(7) + b"c").hexdigest()
    assert fingerprint_records(iter([b"ab", b"", b"c"])) == expected


def test_fingerprint_changes_when_a_byte_moves_to_the_next_record():
    assert fingerprint_records([b"ab", b"c"]) != fingerprint_records([b"a", b"bc"])


@pytest.mark.parametrize("tail", ["", "/", "/1.0.0"])
def test_a_reference_names_a_dataset_or_a_version(folder, tail):
    split = open_split(f"{folder.parent}{tail}@test", default=["train"])
    assert (split.path, split.name, split.split, split.rows) == (folder, "paws_en", "test", 11)
    assert split.fingerprint == json.loads((folder / "lingjax.json").read_text())["splits"]["test"]["fingerprint"]
    assert len(split.shard_paths()) == 3


def test_the_newest_version_is_taken(tmp_path, write_pairs, records):
    for version in ("1.2.0", "1.10.0", "1.9.9"):
        write_pairs(tmp_path, "a", {"train": records}, version=version)
    assert open_split(str(tmp_path / "a"), default=[]).path == tmp_path / "a" / "1.10.0"


def test_the_first_default_that_exists_is_taken(folder):
    assert open_split(str(folder), default=["dev", "test", "train"]).split == "test"


def test_a_single_split_needs_no_name(tmp_path, write_pairs, records):
    write_pairs(tmp_path, "a", {"odd": records})
    assert open_split(str(tmp_path / "a"), default=["train"]).split == "odd"


def test_an_at_sign_in_a_folder_is_no_split(tmp_path, write_pairs, records):
    write_pairs(tmp_path / "me@home", "a", {"train": records})
    assert open_split(str(tmp_path / "me@home" / "a"), default=["train"]).split == "train"


def test_several_splits_and_no_default_list_them(folder):
    with pytest.raises(InputError, match=r"which split.*it has: test, train"):
        open_split(str(folder), default=["dev"])


def test_an_unknown_split_names_the_nearest(folder):
    with pytest.raises(InputError, match="no split 'trian'; did you mean 'train'"):
        open_split(f"{folder}@trian", default=[])


def test_a_missing_folder_names_the_nearest(folder):
    with pytest.raises(InputError, match="paws_e: no such dataset folder; did you mean 'paws_en'"):
        open_split(str(folder.parent.parent / "paws_e"), default=[])


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"not a dataset folder.*data_prep.build"):
        open_split(str(tmp_path), default=[])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a JSON file"),
        ("[]", "a JSON object"),
        ("{}", "no splits"),
        ('{"splits": {"train": {}}}', "'fingerprint'"),
    ],
)
def test_a_damaged_description_is_refused(folder, content, message):
    (folder / "lingjax.json").write_text(content)
    with pytest.raises(InputError, match=message):
        open_split(f"{folder}", default=["train"])


def change_card(folder, **changes):
    write_sealed(folder / "lingjax.json", {**read_sealed(folder / "lingjax.json"), **changes})


def without_shards(folder):
    """Leaves of a card what older versions wrote."""
    splits = read_sealed(folder / "lingjax.json")["splits"]
    change_card(folder, splits={name: {**split, "shards": None} for name, split in splits.items()})


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/b", "=1+1", "<img src=x>", "*", "a\nb", "", 5, None])
def test_a_name_that_is_none_is_refused_before_it_names_a_file(folder, name):
    (folder / "dataset_info.json").write_text(json.dumps({"name": name}))
    with pytest.raises(InputError, match="a dataset cannot be called"):
        open_split(f"{folder}@train", default=[])


def test_a_split_whose_name_is_none_is_refused(folder):
    splits = read_sealed(folder / "lingjax.json")["splits"]
    change_card(folder, splits={"..": splits["train"]})
    with pytest.raises(InputError, match=r"a split cannot be called '\.\.'"):
        open_split(f"{folder}", default=[".."])


@pytest.mark.parametrize("name", ["with space", "da@ta", "a,b", "[ab]", "*", "-dash", "ünï", "%s", "a:b", "#1", "'q\""])
def test_folders_may_have_any_name(tmp_path, folder, records, name):
    data = tmp_path / name
    shutil.copytree(folder.parent, data / "paws_en")
    assert list(PairSource(open_split(f"{data}/paws_en@train", default=[]))) == records[:20]
    assert list(PairSource(open_split(f"{data}/paws_en", default=["train"]))) == records[:20]


def test_an_at_sign_in_a_folders_own_name_is_no_split(tmp_path, folder, records):
    shutil.copytree(folder.parent, tmp_path / "my@train")
    assert split_reference(f"{tmp_path}/my@train") == (f"{tmp_path}/my@train", "")
    split = open_split(f"{tmp_path}/my@train", default=["test"])
    assert (split.split, list(PairSource(split))) == ("test", records[20:])
    assert open_split(f"{tmp_path}/my@train@train", default=[]).split == "train"
    shutil.copytree(folder.parent, tmp_path / "my")
    with pytest.raises(InputError, match="name the split, as in"):
        open_split(f"{tmp_path}/my@train", default=["test"])


@pytest.mark.parametrize("counts", [None, {"0": 1}, {"0": 1, "1": 1}])
def test_label_counts_that_are_not_the_splits_are_refused(folder, counts):
    splits = read_sealed(folder / "lingjax.json")["splits"]
    change_card(folder, splits={**splits, "train": {**splits["train"], "label_counts": counts}})
    with pytest.raises(InputError, match="the label_counts of 'train' are"):
        PairSource(open_split(f"{folder}@train", default=[]))


def test_a_changed_card_is_refused(folder):
    path = folder / "lingjax.json"
    path.write_text(path.read_text().replace('"rows": 20', '"rows": 21'))
    with pytest.raises(InputError, match=r"lingjax.json: is damaged or was changed"):
        open_split(f"{folder}@train", default=[])


def test_a_card_without_checksums_is_read_with_a_warning(folder, records, caplog):
    content = read_sealed(folder / "lingjax.json")
    for split in content["splits"].values():
        del split["shards"]
    (folder / "lingjax.json").write_text(json.dumps(content))
    assert list(PairSource(open_split(f"{folder}@train", default=[]))) == records[:20]
    assert len(caplog.messages) == 1 and "not checked for damage" in caplog.messages[0]


def test_a_missing_shard_is_an_error(folder):
    next(folder.glob("*train*00001-of-00003")).unlink()
    with pytest.raises(InputError, match=r"found 2 files paws_en-train.tfrecord-\*, expected 3"):
        PairSource(open_split(f"{folder}@train", default=[]))


def test_a_split_without_files_is_an_error(folder):
    for path in folder.glob("*-train.tfrecord-*"):
        path.unlink()
    with pytest.raises(InputError, match=r"no files paws_en-train.tfrecord-\*"):
        PairSource(open_split(f"{folder}@train", default=[]))


def test_pairs_come_back_at_random(folder, records):
    source = PairSource(open_split(f"{folder}@train", default=[]))
    order = [7, 19, 0, 7]
    assert [source[i] for i in order] == [records[i] for i in order]
    assert list(pickle.loads(pickle.dumps(source))) == records[:20]


def test_label_counts_are_those_of_the_split(folder, records):
    ones = sum(record.label for record in records[20:])
    assert PairSource(open_split(f"{folder}@test", default=[])).label_counts == {"0": 11 - ones, "1": ones}


def test_a_corpus_is_no_pair_dataset(folder):
    change_card(folder, kind="corpus")
    with pytest.raises(InputError, match="holds corpus, where pairs are needed"):
        PairSource(open_split(f"{folder}@train", default=[]))


def test_a_count_unlike_the_description_is_an_error(folder, write_shard):
    without_shards(folder)
    write_shard(next(folder.glob("*test*00000-of-00003")), [])
    with pytest.raises(InputError, match=r"has \d+ records, lingjax.json says 11"):
        PairSource(open_split(f"{folder}@test", default=[]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 2}, "label is 2, expected 0 or 1"),
        ({"sentence1": None}, "feature 'sentence1' is missing"),
        ({"sentence2": 1}, "is no pair"),
    ],
)
def test_a_record_that_is_no_pair_is_named(folder, write_shard, serialize, change, message):
    features = {"pair_id": "1", "sentence1": "a", "sentence2": "b", "label": 0} | change
    record = serialize({name: value for name, value in features.items() if value is not None})
    sound = serialize({"pair_id": "1", "sentence1": "a", "sentence2": "b", "label": 0})
    without_shards(folder)
    shard = write_shard(next(folder.glob("*test*00000-of-00003")), [sound, record, sound])
    source = PairSource(open_split(f"{folder}@test", default=[]))
    with pytest.raises(InputError, match=f"{shard}: record 1 is no pair: .*{message.removeprefix('is no pair')}"):
        source[1]


@pytest.mark.parametrize(
    ("features", "group"),
    [
        ({}, ""),
        ({"source": "wiki"}, "wiki"),
        ({"source": "wiki", "cluster": "c1"}, "c1"),
        ({"group": "g", "source": "w"}, "g"),
    ],
)
def test_a_pair_says_of_which_group_it_is(folder, write_shard, serialize, features, group):
    pair = {"pair_id": "1", "sentence1": "a", "sentence2": "b", "label": 0}
    sound = serialize(pair)
    without_shards(folder)
    write_shard(next(folder.glob("*test*00000-of-00003")), [serialize(pair | features), sound, sound])
    assert PairSource(open_split(f"{folder}@test", default=[]))[0].group == group


def test_hash_fraction_is_uniform_and_depends_on_the_seed():
    values = [hash_fraction(str(i), seed=3) for i in range(1000)]
    assert 0 <= min(values) < 0.01 and 0.99 < max(values) < 1
    assert sum(values) / 1000 == pytest.approx(0.5, abs=0.03)
    assert values[0] != hash_fraction("0", seed=4)


def test_splitting_divides_every_row_once(make_pairs):
    pairs = make_pairs(401)
    rest, held_out = split_by_hash(pairs, fraction=0.25, seed=0)
    assert len(rest) + len(held_out) == 401
    assert {record.pair_id for record in rest} | {record.pair_id for record in held_out} == {p.pair_id for p in pairs}
    assert len(held_out) == pytest.approx(100, abs=25)
    assert [record.pair_id for record in held_out] == [
        p.pair_id for p in pairs if hash_fraction(p.pair_id, seed=0) < 0.25
    ]


def test_a_row_keeps_its_side_when_others_come_and_go(make_pairs):
    pairs = make_pairs(401)
    _, of_all = split_by_hash(pairs, fraction=0.25, seed=0)
    _, of_some = split_by_hash(pairs[::-2], fraction=0.25, seed=0)
    kept = {record.pair_id for record in pairs[::-2]}
    assert {record.pair_id for record in of_some} == {r.pair_id for r in of_all if r.pair_id in kept}


def test_a_subset_counts_its_own_labels():
    pairs = [PairRecord(str(i), "a", "b", int(i % 3 == 0)) for i in range(60)]
    rest, held_out = split_by_hash(pairs, fraction=0.5, seed=1)
    assert rest.label_counts["1"] + held_out.label_counts["1"] == 20
    assert rest.label_counts["0"] == sum(record.label == 0 for record in rest)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1e-9])
def test_a_fraction_that_leaves_a_side_empty_is_refused(make_pairs, fraction):
    with pytest.raises(InputError, match=r"held-out fraction|leaves one side empty"):
        split_by_hash(make_pairs(5), fraction=fraction, seed=0)
