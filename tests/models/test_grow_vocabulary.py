import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lingjax.errors import InputError
from lingjax.models import NEW_ROWS, load_pretrained, merge_model
from lingjax.models.grow_vocabulary import grow_vocabulary

FAMILIES = ["gpt2", "bert"]
HEADS = ["backbone", "language_model", "pairs"]
OLD, NEW = 53, 61  # the reference models' vocabulary, and a larger one
GROWING = {
    ("gpt2", "backbone"): {"token_embedding.embedding"},
    ("gpt2", "language_model"): {"backbone.token_embedding.embedding"},
    ("gpt2", "pairs"): {"backbone.token_embedding.embedding"},
    ("bert", "backbone"): {"token_embedding.embedding"},
    ("bert", "language_model"): {"backbone.token_embedding.embedding", "output_bias"},
    ("bert", "pairs"): {"backbone.token_embedding.embedding"},
}


@pytest.fixture(scope="module")
def pretrained(reference):
    return {
        (family, head): load_pretrained(reference(family, head).folder, head=head)
        for family in FAMILIES
        for head in HEADS
    }


def flat(parameters):
    return traverse_util.flatten_dict(parameters, sep=".")


def grow(model, *, vocab_size=NEW, seed=0, parameters=None, **options):
    return grow_vocabulary(
        model.config,
        model.head,
        model.parameters if parameters is None else parameters,
        vocab_size=vocab_size,
        key=jax.random.key(seed),
        **options,
    )


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_has_a_row_a_token_grows_and_every_old_number_stays(pretrained, family, head):
    model = pretrained[family, head]
    config, grown = grow(model)
    assert config.vocab_size == NEW
    old, new = flat(model.parameters), flat(grown)
    assert old.keys() == new.keys()
    assert {path for path in old if new[path].shape != old[path].shape} == GROWING[family, head]
    for path, value in old.items():
        assert new[path].dtype == value.dtype
        np.testing.assert_array_equal(new[path][: len(value)], value)
        assert len(new[path]) == (NEW if path in GROWING[family, head] else len(value))


@pytest.mark.parametrize("new_rows", NEW_ROWS)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_old_tokens_stay(pretrained, rows, family, new_rows):
    model = pretrained[family, "language_model"]
    config, grown = grow(model, new_rows=new_rows)

    def logits(config, parameters):
        return merge_model(config, "language_model", parameters)(jnp.asarray(rows.token_ids), **rows.for_ours())

    before, after = logits(model.config, model.parameters), logits(config, grown)
    assert after.shape[-1] == NEW
    # Products of another width may be summed in another order.
    np.testing.assert_allclose(after[..., :OLD], before, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_pair_classifier_says_the_same_of_old_tokens(pretrained, rows, family):
    model = pretrained[family, "pairs"]
    config, grown = grow(model)
    inputs = {"pool_positions": jnp.zeros((3, 1), jnp.int32), **rows.for_ours()}
    before, after = (
        merge_model(config, "pairs", parameters)(jnp.asarray(rows.token_ids), **inputs)
        for config, parameters in ((model.config, model.parameters), (config, grown))
    )
    np.testing.assert_array_equal(after, before)


def test_new_rows_lie_around_the_mean_with_one_hundred_thousandth_of_the_variance(pretrained):
    model = pretrained["bert", "language_model"]
    count = 20_000
    _, grown = grow(model, vocab_size=OLD + count)
    for path in GROWING["bert", "language_model"]:
        old = np.asarray(flat(model.parameters)[path], np.float64)
        noise = (np.asarray(flat(grown)[path][OLD:], np.float64) - old.mean(0)) / old.std(0)
        scale = np.sqrt(1e-5)
        # Five standard errors of a mean and of a standard deviation; float32 leaves a little more in the mean.
        np.testing.assert_allclose(noise.mean(0), 0, atol=5 * scale / np.sqrt(count) + 1e-6)
        np.testing.assert_allclose(noise.std(0), scale, rtol=5 / np.sqrt(2 * count) + 1e-3)


def test_new_tokens_take_no_more_than_their_share_of_the_probability_unless_they_are_zeros(pretrained):
    model = pretrained["gpt2", "backbone"]
    # As in a trained GPT-2, rows share a direction from which every state points away: all logits are far below 0.
    table = model.parameters["token_embedding"]["embedding"] + 1
    states = jax.random.normal(jax.random.key(3), (29, table.shape[1])) - 2
    parameters = {**model.parameters, "token_embedding": {"embedding": table}}

    def new_share(new_rows):
        _, grown = grow(model, parameters=parameters, new_rows=new_rows)
        return jax.nn.softmax(states @ grown["token_embedding"]["embedding"].T)[:, OLD:].sum(axis=-1)

    # The noise is worth a few per cent.
    assert new_share("mean").max() < (NEW - OLD) / NEW * 1.05
    assert new_share("zeros").min() > 0.99


def test_zeros_are_zeros(pretrained):
    _, grown = grow(pretrained["bert", "language_model"], new_rows="zeros")
    for path in GROWING["bert", "language_model"]:
        assert not flat(grown)[path][OLD:].any()


def test_the_key_decides_the_noise_and_no_two_new_rows_are_equal(pretrained):
    def rows_of(seed):
        _, grown = grow(pretrained["gpt2", "backbone"], seed=seed)
        return np.asarray(grown["token_embedding"]["embedding"][OLD:])

    np.testing.assert_array_equal(rows_of(1), rows_of(1))
    assert (rows_of(1) != rows_of(2)).any(axis=-1).all()
    assert len(np.unique(rows_of(1), axis=0)) == NEW - OLD


def test_bfloat16_rows_stay_bfloat16_and_are_drawn_in_float32(pretrained):
    model = pretrained["gpt2", "backbone"]
    table = model.parameters["token_embedding"]["embedding"].astype(jnp.bfloat16)
    _, grown = grow(model, parameters={**model.parameters, "token_embedding": {"embedding": table}})
    new = grown["token_embedding"]["embedding"]
    assert new.dtype == jnp.bfloat16
    np.testing.assert_array_equal(new[:OLD], table)
    mean = np.asarray(table, np.float64).mean(axis=0)
    # Half of bfloat16's last place, and five standard deviations of the noise.
    margin = np.abs(mean) * 2**-8 + 5 * np.sqrt(1e-5) * np.asarray(table, np.float64).std(axis=0) * (1 + 2**-8)
    assert (np.abs(np.asarray(new[OLD:], np.float64) - mean) <= margin).all()


@pytest.mark.parametrize(
    "spec", [PartitionSpec("tensor"), PartitionSpec(None, "fsdp"), PartitionSpec("tensor", "fsdp")]
)
def test_sharded_parameters_grow_to_the_same_numbers(pretrained, spec):
    model = pretrained["gpt2", "backbone"]
    table = jnp.pad(model.parameters["token_embedding"]["embedding"], ((0, 3), (0, 1)), constant_values=0.25)
    mesh = Mesh(np.asarray(jax.devices()).reshape(4, 2), ("tensor", "fsdp"))
    # 56 rows and 36 features divide on this mesh; the 61 rows they grow to do not.
    config = dataclasses.replace(model.config, vocab_size=56)
    results = [
        grow_vocabulary(
            config,
            "backbone",
            {**model.parameters, "token_embedding": {"embedding": value}},
            vocab_size=NEW,
            key=jax.random.key(0),
        )[1]["token_embedding"]["embedding"]
        for value in (table, jax.device_put(table, NamedSharding(mesh, spec)))
    ]
    np.testing.assert_array_equal(results[1][:56], table)
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6, atol=1e-7)


def test_rows_that_only_fill_the_table_up_are_no_old_rows(pretrained):
    model = pretrained["bert", "language_model"]
    config = dataclasses.replace(model.config, vocab_multiple=5)
    assert (config.padded_vocab_size, dataclasses.replace(config, vocab_size=NEW).padded_vocab_size) == (55, 65)
    parameters = flat(model.parameters)
    for path in GROWING["bert", "language_model"]:
        filler = jnp.full((2, *parameters[path].shape[1:]), 1e6)
        parameters[path] = jnp.concatenate([parameters[path], filler])
    grown_config, grown = grow_vocabulary(
        config,
        model.head,
        traverse_util.unflatten_dict(parameters, sep="."),
        vocab_size=NEW,
        key=jax.random.key(0),
    )
    assert grown_config == dataclasses.replace(config, vocab_size=NEW)
    _, unpadded = grow(model)
    for path in GROWING["bert", "language_model"]:
        np.testing.assert_array_equal(flat(grown)[path][:NEW], flat(unpadded)[path])
        assert len(flat(grown)[path]) == 65
        assert not flat(grown)[path][NEW:].any()


def test_the_same_size_changes_nothing(pretrained):
    model = pretrained["gpt2", "pairs"]
    config, parameters = grow(model, vocab_size=OLD)
    assert config == model.config
    assert parameters is model.parameters


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"vocab_size": 52}, "52 is too small for this model of 53"),
        ({"new_rows": "zero"}, "new_rows='zero'.*did you mean 'zeros'"),
    ],
)
def test_what_cannot_be_is_refused(pretrained, arguments, expected):
    with pytest.raises(InputError, match=expected):
        grow(pretrained["gpt2", "backbone"], **arguments)
