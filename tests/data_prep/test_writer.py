import json
import os
import warnings

import numpy as np
import pytest

from data_prep import writer
from data_prep.features import describe_features, make_serializer
from lingjax.data import PairSource, TFRecordSource, fingerprint_records, open_split, parse_example
from lingjax.errors import InputError
from lingjax.sealed import read_sealed

PAIRS = [
    {"pair_id": "a", "sentence1": "Ünïcode 中文", "sentence2": "two\nlines", "label": 1},
    {"pair_id": "b", "sentence1": "x" * 300, "sentence2": '"', "label": 0},
    {"pair_id": "c", "sentence1": "ACGT", "sentence2": "ACGA", "label": 1},
]
REQUEST = {"dataset": "test", "sources": [{"path": "x.tsv", "sha256": "00"}], "split_fractions": [["train", 1.0]]}


def write(data_dir, splits=None, name="small", kind="pairs", request=REQUEST, **arguments):
    splits = {"train": PAIRS} if splits is None else splits
    return writer.write_dataset(data_dir, name, splits, kind=kind, description="A test.", request=request, **arguments)


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def read_with_tfds(folder, split):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tensorflow's own, while it is imported
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(os.fspath(folder))
        return [dict(example) for example in tfds.as_numpy(builder.as_dataset(split, shuffle_files=False))]


def test_tfds_reads_the_pairs_that_went_in_with_their_optional_features(tmp_path):
    rows = [{**pair, "identity": number / 4, "source": f"s{number}"} for number, pair in enumerate(PAIRS)]
    folder = write(tmp_path, {"train": rows, "test": rows[:1]}, optional=("identity", "source"))
    assert folder == tmp_path / "small" / "1.0.0"
    decoded = [
        {name: value.decode() if isinstance(value, bytes) else value.item() for name, value in example.items()}
        for example in read_with_tfds(folder, "train")
    ]
    assert decoded == rows
    assert len(read_with_tfds(folder, "test")) == 1


def test_tfds_reads_several_shards_in_order(tmp_path):
    rows = [{"document_id": str(number), "text": "word " * number} for number in range(1, 30)]
    folder = write(tmp_path, {"train": iter(rows)}, kind="corpus", shard_bytes=500)
    shards = sorted(folder.glob("*.tfrecord-?????-of-?????"))
    assert len(shards) > 2
    assert [example["document_id"].decode() for example in read_with_tfds(folder, "train")] == [
        row["document_id"] for row in rows
    ]
    assert [len(TFRecordSource([shard])) for shard in shards] == [
        int(length) for length in json.loads((folder / "dataset_info.json").read_text())["splits"][0]["shardLengths"]
    ]


def test_packed_rows_keep_their_bytes(tmp_path):
    ids = np.array([1, 256, 2**31 - 1], "<i4")
    folder = write(tmp_path, {"train": [{"token_ids": ids.tobytes(), "document_ids": bytes(12)}]}, kind="packed")
    example = read_with_tfds(folder, "train")[0]
    np.testing.assert_array_equal(np.frombuffer(example["token_ids"], "<i4"), ids)
    assert example["document_ids"] == bytes(12)


def test_packed_rows_are_serialized_as_tfds_serializes_them():
    from tensorflow_datasets.core import example_serializer

    features = describe_features("packed")
    tfds_serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
    serialize = make_serializer(features)
    for ids in (b"", bytes(4), bytes(range(256)) * 33):  # lengths of one, two and three bytes
        record = {"token_ids": ids, "document_ids": ids[::-1]}
        assert list(record) != sorted(record)
        example = tfds_serializer.get_tf_example(features.encode_example(record))
        assert serialize(record) == example.SerializeToString(deterministic=True)


def test_lingjax_reads_the_pairs_that_went_in(tmp_path):
    folder = write(tmp_path)
    source = PairSource(open_split(str(tmp_path / "small"), default=["train"]))
    assert [(pair.pair_id, pair.sentence1, pair.sentence2, pair.label) for pair in source] == [
        tuple(pair.values()) for pair in PAIRS
    ]
    assert open_split(str(folder), default=["train"]).fingerprint == fingerprint_records(
        TFRecordSource(sorted(folder.glob("*.tfrecord-?????-of-?????")))
    )


def test_labels_are_stored_as_int64(tmp_path):
    folder = write(tmp_path)
    (record, *_) = TFRecordSource(sorted(folder.glob("*.tfrecord-?????-of-?????")))
    assert parse_example(record)["label"] == [1]


def test_lingjax_json_holds_counts_request_and_info(tmp_path):
    folder = write(tmp_path, {"train": PAIRS, "test": PAIRS[1:2]}, info={"domain": "dna", "synthetic": True})
    metadata = read_sealed(folder / "lingjax.json")
    shards = [split.pop("shards") for split in metadata["splits"].values()]
    assert [[shard["rows"] for shard in each] for each in shards] == [[1], [3]]
    fingerprints = [split.pop("fingerprint") for split in metadata["splits"].values()]
    assert len(set(fingerprints)) == 2
    assert metadata == {
        **REQUEST,
        "kind": "pairs",
        "domain": "dna",
        "synthetic": True,
        "splits": {
            "train": {"rows": 3, "label_counts": {"0": 1, "1": 2}},
            "test": {"rows": 1, "label_counts": {"0": 1, "1": 0}},
        },
    }
    assert list(metadata) == sorted(metadata)


def test_the_same_input_gives_the_same_bytes(tmp_path):
    first = content(write(tmp_path / "first", {"train": PAIRS, "test": PAIRS}, shard_bytes=50))
    assert first == content(write(tmp_path / "second", {"train": iter(PAIRS), "test": PAIRS}, shard_bytes=50))
    assert len(first) == 2 * 2 * 3 + 3  # splits x (shard, index) x shards, and three JSON files


def test_an_order_is_part_of_the_fingerprint(tmp_path):
    first, second = write(tmp_path, name="first"), write(tmp_path, {"train": PAIRS[::-1]}, name="second")
    assert open_split(str(first), default=[]).fingerprint != open_split(str(second), default=[]).fingerprint


def interrupted(error):
    yield PAIRS[0]
    raise error


@pytest.mark.parametrize("error", [InputError("row 2 is bad"), KeyboardInterrupt(), ZeroDivisionError()])
def test_an_interrupted_write_leaves_nothing_and_keeps_the_old(tmp_path, error):
    with pytest.raises(type(error)):
        write(tmp_path, {"train": PAIRS, "test": interrupted(error)})
    assert list(tmp_path.rglob("*")) == []
    before = content(write(tmp_path))
    with pytest.raises(type(error)):
        write(tmp_path, {"train": interrupted(error)}, overwrite=True)
    assert content(tmp_path / "small" / "1.0.0") == before
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_a_split_without_rows_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="split 'test' of dataset 'small' has no rows"):
        write(tmp_path, {"train": PAIRS, "test": []})
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_replaced_only_on_request(tmp_path):
    write(tmp_path, shard_bytes=1)
    with pytest.raises(InputError, match="exists; replace it with --overwrite"):
        write(tmp_path)
    replaced = content(write(tmp_path, {"train": PAIRS[:1]}, overwrite=True))
    assert replaced == content(write(tmp_path / "fresh", {"train": PAIRS[:1]}))


def test_a_dataset_built_by_the_same_request_is_found(tmp_path, capsys):
    assert writer.find_built(tmp_path, "small", REQUEST) is None
    folder = write(tmp_path, info={"dropped": {"something": 3}})
    assert writer.find_built(tmp_path, "small", REQUEST, overwrite=True) == folder
    assert "built from the same input; nothing to do" in capsys.readouterr().out


def test_a_dataset_built_by_another_request_needs_overwrite(tmp_path):
    write(tmp_path)
    other = {**REQUEST, "sources": [], "seed": 3}
    with pytest.raises(
        InputError, match=r"small/1.0.0 exists and was built from other input \(other seed, sources\).*--overwrite"
    ):
        writer.find_built(tmp_path, "small", other)
    assert writer.find_built(tmp_path, "small", other, overwrite=True) is None


def test_an_existing_folder_with_damaged_metadata_is_named(tmp_path):
    (write(tmp_path) / "lingjax.json").write_text("{")
    with pytest.raises(InputError, match=r"lingjax.json in it cannot be read .*; remove the folder"):
        writer.find_built(tmp_path, "small", REQUEST)


@pytest.mark.parametrize("name", ["", "paws-en", "../up", "1st", "päws", "a b"])
def test_names_that_tfds_cannot_read_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="must begin with a letter and hold only letters, digits and underscores"):
        write(tmp_path, name=name)
    with pytest.raises(InputError, match="split name"):
        write(tmp_path, {name: PAIRS})


def test_a_bucket_is_refused_and_a_file_in_the_way_is_named(tmp_path):
    with pytest.raises(InputError, match="gs://bucket: datasets are written to a local folder"):
        write("gs://bucket")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*: Not a directory"):
        write(tmp_path / "file" / "below")


def test_the_summary_names_rows_labels_losses_and_path(tmp_path):
    folder = write(tmp_path, info={"dropped": {"untranslated rows": 1200}})
    assert writer.summarize(folder) == (
        f"{folder}: train 3 rows (1 with label 0, 2 with label 1); dropped: 1,200 untranslated rows"
    )
