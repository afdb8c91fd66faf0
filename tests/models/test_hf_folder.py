import hashlib
import shutil

import huggingface_hub
import numpy as np
import pytest

from lingjax.errors import InputError
from lingjax.models import flat_parameters, load_pretrained, resolve_folder


@pytest.fixture
def sharded(reference, tmp_path):
    theirs = reference("bert", "pairs")
    theirs.model.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    return tmp_path / "sharded"


def test_a_sharded_checkpoint_equals_the_single_file(sharded, reference):
    assert len(list(sharded.glob("model-*.safetensors"))) > 1
    pretrained = load_pretrained(sharded, head="pairs")
    single = load_pretrained(reference("bert", "pairs").folder, head="pairs")
    ours, expected = flat_parameters(pretrained.model()), flat_parameters(single.model())
    for path, parameter in expected.items():
        np.testing.assert_array_equal(ours[path], parameter, err_msg=path)
    assert pretrained.report.sha256 != single.report.sha256


def test_a_missing_shard_is_named(sharded):
    shard = min(sharded.glob("model-*.safetensors"))
    shard.unlink()
    with pytest.raises(InputError, match=f"names files that are not there: {shard.name}"):
        load_pretrained(sharded, head="pairs")


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"weight_map": {}}', '{"weight_map": {"a": "../b"}}', '{"weight_map": 3}']
)
def test_a_damaged_index_is_refused(sharded, text):
    (sharded / "model.safetensors.index.json").write_text(text)
    with pytest.raises(InputError, match=r"index\.json is damaged"):
        load_pretrained(sharded, head="pairs")


def test_a_truncated_file_is_refused(edit):
    folder = edit("gpt2", "backbone", lambda tensors: None)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="no readable safetensors file"):
        load_pretrained(folder, head="backbone")


def test_the_hash_is_that_of_the_file(reference):
    folder = reference("gpt2", "pairs").folder
    expected = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert load_pretrained(folder, head="pairs").report.sha256 == expected


@pytest.mark.parametrize("name", ["pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"])
def test_pickled_weights_are_refused_with_the_way_out(name, reference, tmp_path):
    shutil.copy(reference("gpt2", "pairs").folder / "config.json", tmp_path)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=rf"only as {name}: .* execute code.*safe_serialization=True"):
        load_pretrained(tmp_path, head="pairs")


def test_a_folder_without_weights_is_refused(reference, tmp_path):
    shutil.copy(reference("gpt2", "pairs").folder / "config.json", tmp_path)
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        load_pretrained(tmp_path, head="pairs")


@pytest.mark.parametrize("source", ["/no/such/folder", "./gone", "a/b/c", "gs://bucket/model"])
def test_a_path_that_does_not_exist_never_reaches_the_hub(source, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: pytest.fail("asked the hub"))
    with pytest.raises(InputError, match="does not exist"):
        resolve_folder(source)


@pytest.mark.parametrize(("offline", "reason"), [(True, "offline, and not in the cache"), (False, "OSError: no route")])
def test_an_unreachable_model_says_where_to_get_it(offline, reason, monkeypatch):
    asked = {}

    def unreachable(name, **arguments):
        asked.update(arguments)
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(InputError, match=rf"{reason}.*hf download google-bert/bert-base-cased --local-dir DIR"):
        resolve_folder("google-bert/bert-base-cased", offline=offline)
    assert asked["local_files_only"] == offline
    assert not any(pattern.endswith((".bin", ".h5", ".msgpack")) for pattern in asked["allow_patterns"])
