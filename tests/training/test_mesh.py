import dataclasses
import functools
import random

import jax
import numpy as np
import pytest

from lingjax.data import training_batches
from lingjax.errors import InputError
from lingjax.training.mesh import make_mesh, parameter_sharding, place_batch, place_new_state, row_shards
from lingjax.training.optimizer import OptimizerConfig, make_optimizer
from lingjax.training.state import new_state
from lingjax.training.steps import make_train_step, pair_loss_function
from tests.training.small_run import make_records, make_start, one_device, placed_state

OPTIMIZER = OptimizerConfig(learning_rate=3e-3, weight_decay=0.1, warmup_fraction=0.0)


@dataclasses.dataclass(frozen=True)
class ThreeSteps:
    losses: list[float]
    gradient_norms: list[float]
    state: object


@pytest.fixture(scope="module")
def three_steps(tokenizer_folder, encoders):
    """Returns a function of (family, mesh): three steps with dropout on the same data."""

    @functools.cache
    def run(family, description):
        mesh = make_mesh(description) if description else one_device()
        start = make_start(tokenizer_folder, family=family, dropout_rate=0.2)
        optimizer = make_optimizer(OPTIMIZER, total_steps=3)
        step = make_train_step(pair_loss_function(start.graph), optimizer)
        state = placed_state(start, optimizer, mesh)
        batches = training_batches(
            make_records(19),
            encoders[family],
            batch_size=7,
            seed=1,
            epochs=1,
            max_pairs_per_row=3,
            rows_multiple=8,
        )
        losses, norms = [], []
        for _ in range(3):
            state, tally, norm = step(state, place_batch(next(batches), mesh))
            losses.append(float(tally.loss_sum))
            norms.append(float(norm))
        return ThreeSteps(losses, norms, state)

    return run


@pytest.mark.parametrize(
    ("family", "description"),
    [
        pytest.param("gpt2", "data:8", marks=pytest.mark.exhaustive),
        pytest.param("gpt2", "fsdp:8", marks=pytest.mark.exhaustive),
        ("gpt2", "tensor:4,data:2"),
        ("bert", "data:2,fsdp:2,tensor:2"),
    ],
)
def test_eight_devices_train_as_one_does(three_steps, family, description):
    one, eight = three_steps(family, ""), three_steps(family, description)
    np.testing.assert_allclose(eight.losses, one.losses, rtol=1e-5)
    np.testing.assert_allclose(eight.gradient_norms, one.gradient_norms, rtol=1e-5)
    assert len(set(one.losses)) == 3
    # Adam divides by the gradient's size, which turns rounding in tiny gradients into parts of the learning rate.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-4),
        jax.device_get(eight.state.parameters),
        jax.device_get(one.state.parameters),
    )


def shard_shapes(leaf):
    return {shard.data.shape for shard in leaf.addressable_shards}


def test_parameters_and_their_moments_are_split(three_steps):
    state = three_steps("bert", "data:2,fsdp:2,tensor:2").state
    moments = [leaf for leaf in jax.tree.leaves(state.optimizer_state) if leaf.shape == (2, 16, 24)]
    assert len(moments) == 2
    for leaf in (state.parameters["backbone"]["blocks"]["mlp"]["up"]["kernel"], *moments):
        assert shard_shapes(leaf) == {(2, 8, 12)}
    attention = state.parameters["backbone"]["blocks"]["attention"]
    # [layers width three heads head_dim]: whole heads to each device.
    assert shard_shapes(attention["query_key_value"]["kernel"]) == {(2, 8, 3, 2, 4)}
    assert shard_shapes(attention["output"]["kernel"]) == {(2, 2, 4, 8)}


def test_an_axis_that_does_not_divide_stays_whole(three_steps):
    embedding = three_steps("bert", "data:2,fsdp:2,tensor:2").state.parameters["backbone"]["token_embedding"]
    assert shard_shapes(embedding["embedding"]) == {(19, 8)}


def test_the_data_axis_copies_parameters(three_steps):
    state = three_steps("gpt2", "data:8").state
    assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state.parameters))


def test_parameters_that_lie_where_they_should_are_not_copied():
    mesh, optimizer = one_device(), make_optimizer(OPTIMIZER, total_steps=3)
    placed = parameter_sharding(("vocab", "width"), (5, 3), mesh)
    parameters = {"table": jax.device_put(np.arange(15, dtype=np.float32).reshape(5, 3), placed)}
    state = place_new_state(parameters, optimizer, {"table": ("vocab", "width")}, mesh, seed=7)
    (shard,), (before,) = (one["table"].addressable_shards for one in (state.parameters, parameters))
    assert shard.data.unsafe_buffer_pointer() == before.data.unsafe_buffer_pointer()
    expected = new_state(parameters, optimizer, seed=7)
    assert jax.tree.structure(state) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
        assert (ours == theirs).all()


def test_no_mesh_axis_is_used_twice_by_one_parameter():
    mesh = make_mesh("tensor:2,data:4")
    spec = parameter_sharding(("heads", "mlp_width"), (4, 4), mesh).spec
    assert tuple(spec) == ("tensor", None)


def test_a_batch_is_split_over_data_and_fsdp(encoders):
    mesh = make_mesh("data:2,fsdp:2,tensor:2")
    batch = next(
        training_batches(
            make_records(7), encoders["bert"], batch_size=7, seed=0, epochs=1, rows_multiple=row_shards(mesh)
        )
    )
    placed = place_batch(batch, mesh)
    assert placed.keys() == {field.name for field in dataclasses.fields(batch)}
    assert shard_shapes(placed["token_ids"]) == {(2, batch.token_ids.shape[1])}
    np.testing.assert_array_equal(placed["labels"], batch.labels)


@pytest.mark.parametrize(
    ("description", "sizes"),
    [
        ("", (8, 1, 1)),
        ("data:8", (8, 1, 1)),
        ("tensor:2,data:4", (4, 1, 2)),
        ("data:2, fsdp:2, tensor:2", (2, 2, 2)),
        ("fsdp:8", (1, 8, 1)),
    ],
)
def test_a_mesh_has_the_sizes_of_its_description(description, sizes):
    assert tuple(make_mesh(description).shape.items()) == tuple(zip(("data", "fsdp", "tensor"), sizes, strict=True))


def test_only_the_given_devices_are_used():
    assert make_mesh("", devices=jax.devices()[:3]).size == 3


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("dat:8", "axis 'dat' is not known, did you mean 'data'?"),
        ("data:2,data:4", "axis 'data' is named twice"),
        ("data:0", "'data:0' needs a positive size, as in data:8"),
        ("data", "'data' needs a positive size"),
        ("data:two", "'data:two' needs a positive size"),
        ("data:-1", "'data:-1' needs a positive size"),
        ("data:4", "asks for 4 devices and 8 are here"),
        ("data:4,tensor:4", "asks for 16 devices and 8 are here"),
    ],
)
def test_a_description_that_cannot_be_used_says_why(description, message):
    with pytest.raises(InputError) as caught:
        make_mesh(description)
    assert str(caught.value).startswith(f"mesh '{description}'")
    assert message in str(caught.value)


@dataclasses.dataclass(frozen=True)
class FakeChip:
    """One chip of a v5e slice, as `jax.devices()` lists them: row by row."""

    id: int
    coords: tuple[int, int, int]
    platform: str = "tpu"
    device_kind: str = "TPU v5 lite"
    core_on_chip: int = 0
    process_index: int = 0
    slice_index: int = 0


def test_neighbours_on_a_tpu_mesh_are_one_hop_apart_on_the_torus():
    chips = [FakeChip(4 * row + column, (column, row, 0)) for row in range(4) for column in range(4)]
    random.Random(3).shuffle(chips)
    laid = make_mesh("data:4,fsdp:4", devices=chips).devices
    assert laid.shape == (4, 4, 1)
    assert {chip.id for chip in laid.flat} == set(range(16))

    def hops(one, other):
        apart = [abs(a - b) for a, b in zip(one.coords, other.coords, strict=True)]
        return sum(min(distance, 4 - distance) for distance in apart)

    for axis in (0, 1):
        pairs = zip(laid.flat, np.roll(laid, -1, axis=axis).flat, strict=True)
        assert {hops(one, other) for one, other in pairs} == {1}
