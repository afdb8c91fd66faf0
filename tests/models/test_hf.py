import hashlib
import json
import shutil

import huggingface_hub
import jax
import numpy as np
import pytest
import safetensors.numpy
import torch
import transformers
from flax import nnx, traverse_util

from lingjax.errors import InputError
from lingjax.models import (
    build_model,
    flat_parameters,
    load_pretrained,
    parameters_of,
    read_config,
    resolve_folder,
    save_pretrained,
)
from lingjax.models.hf_config import to_hf_config

MODELS = [(family, head) for family in ("gpt2", "bert") for head in ("backbone", "language_model", "pairs")]
ARCHITECTURES = {
    ("gpt2", "backbone"): transformers.GPT2Model,
    ("gpt2", "language_model"): transformers.GPT2LMHeadModel,
    ("gpt2", "pairs"): transformers.GPT2ForSequenceClassification,
    ("bert", "backbone"): transformers.BertModel,
    ("bert", "language_model"): transformers.BertForMaskedLM,
    ("bert", "pairs"): transformers.BertForSequenceClassification,
}


@pytest.fixture
def edit(reference, tmp_path):
    """Returns a function that copies a reference folder, passes its tensors through another, and gives the copy."""

    def make(family, head, change, **config_changes):
        folder = tmp_path / "edited"
        shutil.copytree(reference(family, head).folder, folder)
        tensors = safetensors.numpy.load_file(folder / "model.safetensors")
        safetensors.numpy.save_file(change(tensors) or tensors, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **config_changes}))
        return folder

    return make


def _equal(ours, theirs):
    ours, theirs = flat_parameters(ours), flat_parameters(theirs)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[path], theirs[path]) for path in ours)


def _random_parameters(config, seed):
    return jax.jit(lambda key: parameters_of(build_model(config, "pairs", rngs=nnx.Rngs(key))))(jax.random.key(seed))


# Accounting


@pytest.mark.parametrize(("family", "head"), MODELS)
def test_every_tensor_is_used_or_ignored_with_a_reason(family, head, reference):
    folder = reference(family, head).folder
    report = load_pretrained(folder, head=head).report
    stored = safetensors.numpy.load_file(folder / "model.safetensors").keys()
    assert {*report.used, *report.ignored} == stored
    assert all(report.ignored.values())
    assert report.fresh == ()


def test_a_tensor_removed_added_and_reshaped_are_named_in_one_error(edit):
    def break_it(tensors):
        del tensors["transformer.h.1.mlp.c_fc.weight"]
        tensors["transformer.h.1.adapter.weight"] = np.zeros((3, 5), np.float32)
        tensors["transformer.ln_f.bias"] = np.zeros(31, np.float32)

    with pytest.raises(InputError) as error:
        load_pretrained(edit("gpt2", "language_model", break_it), head="language_model")
    assert "missing: h.1.mlp.c_fc.weight (for backbone.blocks.mlp.up.kernel)" in str(error.value)
    assert "unknown: transformer.h.1.adapter.weight" in str(error.value)
    assert "ln_f.bias expected (35,), got (31,)" in str(error.value)


@pytest.mark.parametrize(
    ("family", "tied", "original"),
    [
        ("gpt2", "lm_head.weight", "transformer.wte.weight"),
        ("bert", "cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),
    ],
)
def test_an_output_matrix_must_equal_the_embedding(family, tied, original, edit):
    same = edit(family, "language_model", lambda tensors: {**tensors, tied: tensors[original]})
    assert load_pretrained(same, head="language_model").report.ignored[tied].startswith("equals")
    shutil.rmtree(same)
    other = edit(family, "language_model", lambda tensors: {**tensors, tied: tensors[original] + 1})
    with pytest.raises(InputError, match=f"untied from the token embedding, which is not supported: {tied}"):
        load_pretrained(other, head="language_model")


def test_older_spellings_load_the_same(edit, reference):
    def respell(tensors):
        renames = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        respelled = {"bert.embeddings.position_ids": np.arange(17)}
        for name, tensor in tensors.items():
            for new, old in renames.items():
                name = name.replace(new, old)
            respelled[name] = tensor
        return respelled

    pretrained = load_pretrained(edit("bert", "language_model", respell), head="language_model")
    expected = load_pretrained(reference("bert", "language_model").folder, head="language_model")
    assert _equal(pretrained.model(), expected.model())
    assert pretrained.report.ignored["bert.embeddings.position_ids"] == "buffer of constants"
    assert "bert.embeddings.LayerNorm.gamma" in pretrained.report.used


def test_a_backbone_without_prefix_and_with_mask_buffers_loads_into_a_language_model(edit, reference):
    def respell(tensors):
        respelled = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
        return respelled | {"h.0.attn.bias": np.ones((1, 1, 17, 17), np.uint8)}

    pretrained = load_pretrained(edit("gpt2", "language_model", respell), head="language_model")
    expected = load_pretrained(reference("gpt2", "language_model").folder, head="language_model")
    assert _equal(pretrained.model(), expected.model())
    assert pretrained.report.ignored == {"h.0.attn.bias": "buffer of the causal mask"}


def test_two_spellings_of_one_tensor_are_refused(edit):
    folder = edit("gpt2", "backbone", lambda tensors: {**tensors, "transformer.wte.weight": tensors["wte.weight"]})
    with pytest.raises(InputError, match="two tensors for one parameter"):
        load_pretrained(folder, head="backbone")


@pytest.mark.parametrize("stored", ["float16", "bfloat16"])
@pytest.mark.parametrize("kept", ["float32", "bfloat16"])
def test_half_precision_weights_become_the_parameter_type(stored, kept, edit):
    half = torch.float16 if stored == "float16" else torch.bfloat16
    expected = {}

    def halve(tensors):
        cast = {name: torch.tensor(tensor).to(half) for name, tensor in tensors.items()}
        expected["ln_f.weight"] = cast["ln_f.weight"].to(getattr(torch, kept)).float().numpy()
        return {name: np.asarray(jax.numpy.asarray(tensor.float().numpy(), stored)) for name, tensor in cast.items()}

    folder = edit("gpt2", "backbone", halve)
    scale = load_pretrained(folder, head="backbone", changes={"param_dtype": kept}).parameters["final_norm"]["scale"]
    assert scale.dtype == kept
    np.testing.assert_array_equal(np.asarray(scale, np.float32), expected["ln_f.weight"])


def test_quantised_weights_are_refused(edit):
    folder = edit("gpt2", "backbone", lambda tensors: {**tensors, "ln_f.bias": np.ones(35, np.int8)})
    with pytest.raises(InputError, match=r"ln_f\.bias is stored as I8"):
        load_pretrained(folder, head="backbone")


# Fresh heads


@pytest.mark.parametrize(("family", "head"), [("gpt2", "backbone"), ("gpt2", "language_model"), ("bert", "backbone")])
def test_a_pair_head_starts_as_a_new_model_would(family, head, reference):
    pretrained = load_pretrained(reference(family, head).folder, head="pairs", fresh_key=jax.random.key(5))
    new = traverse_util.flatten_dict(_random_parameters(pretrained.config, seed=5), sep=".")
    assert pretrained.report.fresh == (("head.kernel",) if family == "gpt2" else ("head.kernel", "head.bias"))
    ours = flat_parameters(pretrained.model())
    for path in pretrained.report.fresh:
        # The compiler fuses the two programs differently: the last bit may differ.
        np.testing.assert_allclose(ours[path], new[path], rtol=3e-7, atol=0)
    assert np.abs(ours["head.kernel"]).max() > 0


def test_a_masked_language_model_also_lacks_the_pooler(reference):
    folder = reference("bert", "language_model").folder
    report = load_pretrained(folder, head="pairs", fresh_key=jax.random.key(0)).report
    assert report.fresh == ("head.kernel", "head.bias", "pooler.kernel", "pooler.bias")
    assert report.ignored["cls.predictions.bias"] == "head of a task that this model does not have"


def test_without_a_key_a_missing_head_is_an_error(reference):
    with pytest.raises(InputError, match=r"not in the checkpoint \(fine-tune it first\): head.kernel"):
        load_pretrained(reference("gpt2", "backbone").folder, head="pairs")


def test_a_trained_head_with_a_random_pooler_is_refused(edit):
    def drop_pooler(tensors):
        return {name: tensor for name, tensor in tensors.items() if "pooler" not in name}

    with pytest.raises(InputError, match=r"missing: pooler\.dense\.weight"):
        load_pretrained(edit("bert", "pairs", drop_pooler), head="pairs", fresh_key=jax.random.key(0))


def test_half_a_head_is_refused(edit):
    def drop_bias(tensors):
        del tensors["classifier.bias"]

    with pytest.raises(InputError, match=r"missing: classifier\.bias"):
        load_pretrained(edit("bert", "pairs", drop_bias), head="pairs", fresh_key=jax.random.key(0))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"architectures": ["BertForTokenClassification"]}, "classifier of another task, BertForTokenClassification"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "classifier of 3 classes, not of 2"),
    ],
)
def test_a_classifier_of_something_else_is_ignored_by_name(config, reason, edit):
    folder = edit("bert", "pairs", lambda tensors: None, **config)
    report = load_pretrained(folder, head="pairs", fresh_key=jax.random.key(0)).report
    assert report.fresh == ("head.kernel", "head.bias")
    assert report.ignored["classifier.weight"] == reason


def test_a_language_head_is_fresh_only_if_asked(reference):
    folder = reference("bert", "backbone").folder
    with pytest.raises(InputError, match=r"missing: cls\.predictions\.transform\.dense\.weight"):
        load_pretrained(folder, head="language_model", fresh_key=jax.random.key(0))
    asked = ("output_bias", "transform_norm", "transform")
    report = load_pretrained(folder, head="language_model", fresh_key=jax.random.key(0), may_be_fresh=asked).report
    assert {path.split(".")[0] for path in report.fresh} == set(asked)


def test_place_receives_every_leaf(reference):
    placed = {}

    def place(path, array):
        placed[path] = array.shape
        return jax.numpy.asarray(array)

    folder = reference("bert", "backbone").folder
    pretrained = load_pretrained(folder, head="pairs", fresh_key=jax.random.key(0), place=place)
    assert placed == {path: leaf.shape for path, leaf in flat_parameters(pretrained.model()).items()}


# Files


@pytest.fixture
def sharded(reference, tmp_path):
    theirs = reference("bert", "pairs")
    theirs.model.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    return tmp_path / "sharded"


def test_a_sharded_checkpoint_equals_the_single_file(sharded, reference):
    assert len(list(sharded.glob("model-*.safetensors"))) > 1
    pretrained = load_pretrained(sharded, head="pairs")
    single = load_pretrained(reference("bert", "pairs").folder, head="pairs")
    assert _equal(pretrained.model(), single.model())
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


# config.json


@pytest.mark.parametrize(("family", "head"), MODELS)
def test_a_written_config_reads_back_as_the_same_model(family, head, configs, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(to_hf_config(configs[family], head)))
    assert read_config(tmp_path) == configs[family]


@pytest.mark.parametrize(
    ("theirs", "fields"),
    [
        ({"model_type": "gpt2"}, {"width": 768, "mlp_width": 3072, "max_length": 1024, "pad_id": 50256}),
        ({"model_type": "gpt2", "n_inner": 101}, {"mlp_width": 101}),
        ({"model_type": "gpt2", "pad_token_id": 7}, {"pad_id": 7}),
        ({"model_type": "gpt2", "vocab_size": 53}, {"pad_id": 0}),
        ({"model_type": "gpt2", "activation_function": "gelu_pytorch_tanh"}, {"activation": "gelu_tanh"}),
        ({"model_type": "bert"}, {"width": 768, "norm_epsilon": 1e-12, "segment_count": 2, "activation": "gelu"}),
        ({"model_type": "bert", "hidden_dropout_prob": 0}, {"dropout_rate": 0}),
    ],
)
def test_absent_keys_mean_what_transformers_means(theirs, fields, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(theirs))
    config = read_config(tmp_path)
    assert {name: getattr(config, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"model_type": "llama"}, "model_type='llama' is not supported, only gpt2 and bert"),
        ({}, "model_type=None is not supported"),
        ({"model_type": "gpt2", "scale_attn_weights": False}, "scale_attn_weights=False .*unscaled"),
        ({"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx=True"),
        ({"model_type": "gpt2", "reorder_and_upcast_attn": True}, "reorder_and_upcast_attn=True"),
        ({"model_type": "gpt2", "add_cross_attention": True}, "attend to an encoder"),
        ({"model_type": "gpt2", "embd_pdrop": 0.3}, "embd_pdrop=0.3 differs from resid_pdrop=0.1"),
        ({"model_type": "gpt2", "n_embd": "wide"}, "n_embd='wide' is not a value like 768"),
        ({"model_type": "bert", "position_embedding_type": "relative_key"}, "positions are relative"),
        ({"model_type": "bert", "is_decoder": True}, "attention is causal"),
        ({"model_type": "bert", "hidden_act": "swish"}, "activation 'swish' is not supported"),
        ({"model_type": "bert", "hidden_size": 100}, "does not divide into num_heads=12"),
    ],
)
def test_a_config_that_means_other_arithmetic_is_refused(theirs, message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(theirs))
    with pytest.raises(InputError, match=message):
        read_config(tmp_path)


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "holds list")])
def test_a_damaged_config_is_refused(text, message, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(tmp_path)


def test_a_folder_without_config_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json"):
        read_config(tmp_path)


def test_changes_replace_what_the_file_says(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "classifier_dropout": 0.3}))
    assert read_config(tmp_path, {"dropout_rate": 0.2}).dropout_rate == 0.2
    with pytest.raises(InputError, match="no setting 'droput_rate', did you mean 'dropout_rate'"):
        read_config(tmp_path, {"droput_rate": 0.2})


# Writing


@pytest.mark.parametrize(("family", "head"), MODELS)
def test_transformers_loads_what_we_write_and_computes_the_same(family, head, reference, rows, tmp_path):
    theirs = reference(family, head)
    pretrained = load_pretrained(theirs.folder, head=head)
    folder = save_pretrained(tmp_path / "export", pretrained.config, pretrained.parameters, head=head)
    # Our BERT backbone is the encoder; transformers makes its pooler optional.
    options = {"add_pooling_layer": False} if (family, head) == ("bert", "backbone") else {}
    model, loading = ARCHITECTURES[family, head].from_pretrained(folder, output_loading_info=True, **options)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        assert not loading[kind], kind
    inputs = rows.for_torch(family)
    with torch.no_grad():
        np.testing.assert_array_equal(model.eval()(**inputs)[0], theirs.model(**inputs)[0])


@pytest.fixture(scope="module")
def tiny(configs):
    """A config and random parameters of a pair classifier."""
    return configs["gpt2"], _random_parameters(configs["gpt2"], seed=1)


def test_tokenizer_files_travel_along(tiny, tmp_path):
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text("{}")
    (tokenizer / "notes.txt").write_text("not a tokenizer file")
    folder = save_pretrained(tmp_path / "export", *tiny, head="pairs", tokenizer_folder=tokenizer)
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}
    (tokenizer / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="holds no tokenizer"):
        save_pretrained(tmp_path / "export", *tiny, head="pairs", tokenizer_folder=tokenizer)


def test_our_own_folder_is_replaced(tiny, tmp_path):
    config, parameters = tiny
    folder = save_pretrained(tmp_path / "export", config, parameters, head="pairs")
    doubled = jax.tree.map(lambda leaf: 2 * leaf, parameters)
    save_pretrained(folder, config, doubled, head="pairs")
    kernel = load_pretrained(folder, head="pairs").parameters["head"]["kernel"]
    np.testing.assert_array_equal(kernel, doubled["head"]["kernel"])
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_foreign_model_folder_is_replaced_only_if_asked(tiny, edit):
    folder = edit("gpt2", "pairs", lambda tensors: None)
    with pytest.raises(InputError, match="a model that lingjax did not write"):
        save_pretrained(folder, *tiny, head="pairs")
    save_pretrained(folder, *tiny, head="pairs", overwrite=True)
    kernel = load_pretrained(folder, head="pairs").parameters["head"]["kernel"]
    np.testing.assert_array_equal(kernel, tiny[1]["head"]["kernel"])


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_never_replaced(overwrite, tiny, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="no model folder, so it is not replaced"):
        save_pretrained(tmp_path, *tiny, head="pairs", overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_parameters_of_another_model_are_refused(tiny, tmp_path):
    with pytest.raises(ValueError, match="do not fit a gpt2 language_model model"):
        save_pretrained(tmp_path / "export", *tiny, head="language_model")
    assert not any(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing(tiny, tmp_path, monkeypatch):
    def full_disk(*arguments, **options):
        raise OSError("no space left on device")

    monkeypatch.setattr("lingjax.models.hf_save.save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_pretrained(tmp_path / "export", *tiny, head="pairs")
    assert not any(tmp_path.iterdir())
