import dataclasses

import jax
import numpy as np
import pytest
import tokenizers
import transformers
from etils import epath
from flax import traverse_util

from benchmarks.slow_bucket import stand_in
from lingjax.data import load_tokenizer
from lingjax.errors import InputError
from lingjax.models import axes_by_path, save_pretrained
from lingjax.training.checkpoint import Checkpointer
from lingjax.training.mesh import make_mesh, parameter_shardings
from lingjax.training.optimizer import make_optimizer
from lingjax.training.run_folder import describe_run, read_run_description, write_result
from lingjax.training.start import (
    Architecture,
    extend_vocabulary,
    hash_parameters,
    load_start_tokenizer,
    restore_run,
    start_pretrained,
    start_random,
    start_random_like,
)
from lingjax.training.state import new_state
from tests.training.bucket_service import bucket_service
from tests.training.small_run import OPTIMIZER, SPECIAL, make_start

WIDTHS = {"width": 16, "depth": 2, "num_heads": 4, "mlp_width": 24}


def flat(start):
    return traverse_util.flatten_dict(start.parameters, sep=".")


def assert_same_parameters(first, second):
    jax.tree.map(np.testing.assert_array_equal, first.parameters, second.parameters)


@pytest.fixture(scope="module")
def start(tokenizer_folder):
    return make_start(tokenizer_folder)


@pytest.fixture(scope="module")
def saved(start, tokenizer_folder, tmp_path_factory):
    """Returns a function: a Hugging Face folder with the start's classifier or its backbone alone."""

    def save(head):
        parameters = start.parameters if head == "pairs" else start.parameters["backbone"]
        folder = tmp_path_factory.mktemp("saved") / head
        return save_pretrained(folder, start.config, parameters, head=head, tokenizer_folder=tokenizer_folder)

    return {head: save(head) for head in ("pairs", "backbone")}


def save_run(folder, start, *steps):
    """Writes a run folder with checkpoints whose head kernels hold their step."""
    describe_run(folder, start, {"max_length": 16})
    optimizer = make_optimizer(OPTIMIZER, total_steps=10)
    with Checkpointer(folder / "checkpoints") as checkpointer:
        for step, score in steps:
            state = new_state(start.parameters, optimizer, seed=0)
            state = dataclasses.replace(state, step=np.int32(step))
            if "head" in start.parameters:
                head = jax.tree.map(lambda x: x * 0 + step, start.parameters["head"])  # noqa: B023 - used at once
                state = dataclasses.replace(state, parameters={**start.parameters, "head": head})
            checkpointer.save(state, progress={}, score=score)
    return folder


@pytest.fixture(scope="module")
def run_folder(start, tmp_path_factory):
    """A run of which step 2 was the best and step 5 the last."""
    return save_run(tmp_path_factory.mktemp("run"), start, (2, 0.9), (5, 0.1))


def kernel_value(start):
    return set(np.unique(start.parameters["head"]["kernel"]).tolist())


class TestRandom:
    def test_everything_is_fresh_and_so_declared(self, start):
        assert start.init == {"kind": "random", "source": None, "sha256": None}
        assert set(start.fresh) == set(flat(start))
        assert start.num_parameters == sum(leaf.size for leaf in flat(start).values())

    def test_the_vocabulary_is_the_tokenizers(self, start):
        assert (start.config.vocab_size, start.config.pad_id) == (19, 0)
        assert start.parameters["backbone"]["token_embedding"]["embedding"].shape == (19, 16)

    def test_the_seed_decides_on_any_mesh(self, start, tokenizer_folder):
        mesh = make_mesh("fsdp:4,tensor:2")
        split = start_random(
            Architecture("gpt2", "tiny", str(tokenizer_folder), max_length=16),
            head="pairs",
            mesh=mesh,
            seed=5,
            changes=WIDTHS,
            offline=True,
        )
        # The random bits are the same; making them normal is compiled for each mesh and may round otherwise.
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), split.parameters, start.parameters)
        kernel = split.parameters["backbone"]["blocks"]["mlp"]["up"]["kernel"]
        assert {shard.data.shape for shard in kernel.addressable_shards} == {(2, 4, 12)}

    def test_without_a_tokenizer_the_key_to_set_is_named(self, mesh):
        with pytest.raises(InputError, match=r"set config\.model\.tokenizer"):
            start_random(Architecture("gpt2", "tiny", ""), head="pairs", mesh=mesh, seed=0, changes={})

    def test_an_untrained_control_has_the_same_shape_and_other_weights(self, start, mesh):
        control = start_random_like(start, mesh=mesh, seed=6)
        assert (control.config, control.tokenizer, control.init["kind"]) == (start.config, start.tokenizer, "random")
        assert hash_parameters(control.parameters) != hash_parameters(start.parameters)
        assert_same_parameters(start_random_like(control, mesh=mesh, seed=5), start)


class TestPretrained:
    def test_a_classifier_comes_back_as_it_was_saved(self, start, saved, mesh):
        loaded = start_pretrained(str(saved["pairs"]), head="pairs", mesh=mesh, seed=None, changes={}, offline=True)
        assert_same_parameters(loaded, start)
        assert loaded.fresh == ()
        assert (loaded.init["kind"], loaded.init["source"]) == ("pretrained", str(saved["pairs"]))
        assert len(loaded.init["sha256"]) == 64
        assert loaded.tokenizer.fingerprint == start.tokenizer.fingerprint

    def test_a_head_that_is_missing_is_drawn_from_the_seed_and_named(self, start, saved, mesh):
        def load(seed):
            return start_pretrained(
                str(saved["backbone"]), head="pairs", mesh=mesh, seed=seed, changes={}, offline=True
            )

        first, again, other = load(1), load(1), load(2)
        assert first.fresh == ("head.kernel",)
        jax.tree.map(np.testing.assert_array_equal, first.parameters["backbone"], start.parameters["backbone"])
        assert_same_parameters(first, again)
        assert (flat(first)["head.kernel"] != flat(other)["head.kernel"]).any()

    def test_without_a_seed_nothing_may_be_missing(self, saved, mesh):
        with pytest.raises(InputError, match="head"):
            start_pretrained(str(saved["backbone"]), head="pairs", mesh=mesh, seed=None, changes={}, offline=True)

    def test_weights_are_placed_on_the_mesh(self, start, saved):
        mesh = make_mesh("fsdp:4,tensor:2")
        loaded = start_pretrained(str(saved["pairs"]), head="pairs", mesh=mesh, seed=None, changes={}, offline=True)
        assert_same_parameters(loaded, start)
        kernel = loaded.parameters["backbone"]["blocks"]["mlp"]["up"]["kernel"]
        assert {shard.data.shape for shard in kernel.addressable_shards} == {(2, 4, 12)}

    def test_changes_reach_the_configuration(self, saved, mesh):
        changes = {"compute_dtype": "bfloat16", "dropout_rate": 0.3}
        loaded = start_pretrained(
            str(saved["pairs"]), head="pairs", mesh=mesh, seed=None, changes=changes, offline=True
        )
        assert (loaded.config.compute_dtype, loaded.config.dropout_rate) == ("bfloat16", 0.3)
        assert "bfloat16" in str(loaded.graph)


class TestCheckpoint:
    def test_a_run_of_ours_is_recognised(self, run_folder, mesh):
        loaded = start_pretrained(str(run_folder), head="pairs", mesh=mesh, seed=None, changes={})
        assert loaded.init == {
            "kind": "checkpoint",
            "source": str(run_folder),
            "sha256": hash_parameters(loaded.parameters),
        }
        assert loaded.fresh == ()

    def test_an_unfinished_run_gives_its_newest_checkpoint(self, run_folder, mesh):
        assert kernel_value(restore_run(run_folder, mesh=mesh, changes={})) == {5.0}

    def test_a_finished_run_gives_its_best(self, start, mesh, tmp_path):
        save_run(tmp_path, start, (2, 0.9), (5, 0.1))
        write_result(tmp_path, {"best_step": 2})
        assert kernel_value(restore_run(tmp_path, mesh=mesh, changes={})) == {2.0}

    def test_a_step_can_be_chosen(self, run_folder, mesh):
        assert kernel_value(restore_run(run_folder, mesh=mesh, changes={}, step=2)) == {2.0}

    def test_a_run_without_a_checkpoint_says_so(self, start, mesh, tmp_path):
        describe_run(tmp_path, start, {})
        with pytest.raises(InputError, match="holds no finished checkpoint; train it first"):
            restore_run(tmp_path, mesh=mesh, changes={})

    def test_its_tokenizer_comes_back_the_same(self, start, run_folder, mesh):
        restored = restore_run(run_folder, mesh=mesh, changes={})
        assert restored.tokenizer.fingerprint == start.tokenizer.fingerprint
        assert restored.config == start.config

    def test_another_head_keeps_the_backbone_and_names_what_is_fresh(self, tokenizer_folder, mesh, tmp_path):
        language_model = make_start(tokenizer_folder, head="language_model", family="bert")
        save_run(tmp_path, language_model, (1, None))
        loaded = start_pretrained(str(tmp_path), head="pairs", mesh=mesh, seed=4, changes={})
        jax.tree.map(
            np.testing.assert_array_equal, loaded.parameters["backbone"], language_model.parameters["backbone"]
        )
        assert set(loaded.fresh) == {"head.kernel", "head.bias", "pooler.kernel", "pooler.bias"}
        assert (loaded.head, loaded.init["kind"]) == ("pairs", "checkpoint")
        assert loaded.init["sha256"] == hash_parameters(language_model.parameters)

    def test_another_head_without_a_seed_is_an_error(self, tokenizer_folder, mesh, tmp_path):
        save_run(tmp_path, make_start(tokenizer_folder, head="language_model"), (1, None))
        with pytest.raises(InputError, match="has the head 'language_model', not 'pairs'; fine-tune it first"):
            start_pretrained(str(tmp_path), head="pairs", mesh=mesh, seed=None, changes={})


class TestHash:
    def test_it_is_the_same_on_any_mesh(self, start):
        mesh = make_mesh("fsdp:4,tensor:2")
        shardings = parameter_shardings(axes_by_path("gpt2", "pairs"), start.parameters, mesh)
        split = jax.device_put(start.parameters, shardings)
        assert not split["backbone"]["blocks"]["mlp"]["up"]["kernel"].sharding.is_fully_replicated
        assert hash_parameters(split) == hash_parameters(start.parameters)

    def test_it_names_values_types_and_names(self):
        kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
        changed = kernel.copy()
        changed[1, 2] = np.nextafter(changed[1, 2], 9, dtype=np.float32)
        others = [
            {"a": {"kernel": changed}},
            {"b": {"kernel": kernel}},
            {"a": {"kernel": kernel.reshape(3, 2)}},
            {"a": {"kernel": kernel.view(np.int32)}},
        ]
        hashes = {hash_parameters(parameters) for parameters in [{"a": {"kernel": kernel}}, *others]}
        assert len(hashes) == 5

    def test_neither_order_nor_memory_layout_matters(self):
        kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
        first = {"a": {"kernel": kernel, "bias": kernel[0]}}
        second = {"a": {"bias": kernel[0].copy(), "kernel": np.asfortranarray(kernel)}}
        assert hash_parameters(first) == hash_parameters(second)


def test_a_description_without_weights_keeps_the_rest(start):
    described = start.without_weights()
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(described.parameters))
    assert (described.num_parameters, described.config) == (start.num_parameters, start.config)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(start.parameters))


def test_a_run_in_a_bucket_keeps_its_tokenizer_and_description(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with stand_in():
        folder = epath.Path("gs://bucket/run")
        describe_run(folder, start, {"max_length": 16})
        assert read_run_description(folder)["settings"] == {"max_length": 16}
        loaded = load_start_tokenizer("gs://bucket/run", offline=True)
        assert loaded.vocabulary() == start.tokenizer.vocabulary()
    assert list(tmp_path.iterdir()) == []  # no local folder of the bucket's name


@pytest.mark.parametrize("added", [0, 5])
def test_a_tokenizer_that_does_not_extend_the_models_own_is_refused(start, mesh, tmp_path, added):
    names = [f"w{number}" for number in range(start.tokenizer.vocab_size + added - len(SPECIAL))]
    vocabulary = {word: number for number, word in enumerate([*SPECIAL.values(), *names])}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL).save_pretrained(str(tmp_path))
    other = load_tokenizer(str(tmp_path), offline=True)
    with pytest.raises(InputError, match="does not extend the model's own") as refusal:
        extend_vocabulary(start, other, mesh=mesh, seed=0, new_rows="mean")
    assert "\n" not in str(refusal.value)


def test_checkpoints_that_do_not_fit_the_changed_table_are_refused_in_one_line(run_folder, mesh):
    with pytest.raises(InputError, match=r"do not fit a model of vocab_multiple=96 \(the run's is \d+\)") as refusal:
        restore_run(run_folder, mesh=mesh, changes={"vocab_multiple": 96})
    assert "\n" not in str(refusal.value)


def test_a_run_in_a_bucket_is_saved_there_and_loads_from_there_alone(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mesh = make_mesh("fsdp:4,tensor:2")
    with bucket_service(monkeypatch) as bucket:
        folder = save_run(epath.Path("gs://bucket/run"), start, (2, 0.9), (5, 0.1))
        write_result(folder, {"best_step": 2, "history": [{"step": 2}]})
        restored = start_pretrained("gs://bucket/run", head="pairs", mesh=mesh, seed=None, changes={}, offline=True)
        assert bucket.requests["GET"] > 0 < bucket.requests["POST"]
    assert kernel_value(restored) == {2.0}
    jax.tree.map(np.testing.assert_array_equal, restored.parameters["backbone"], start.parameters["backbone"])
    assert restored.tokenizer.vocabulary() == start.tokenizer.vocabulary()
    assert restored.init["sha256"] == hash_parameters(restored.parameters)
    assert list(tmp_path.iterdir()) == []
