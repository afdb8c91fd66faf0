import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lingjax.errors import InputError
from lingjax.models import ModelConfig, abstract_model, axes_by_path, parameters_of
from lingjax.training.optimizer import OptimizerConfig, decayed, learning_rate_schedule, make_optimizer

STEPS = 20
PLAIN = OptimizerConfig(learning_rate=0.1, warmup_fraction=0.0, clip_norm=0.0)


def parameters():
    rng = np.random.default_rng(0)
    return {
        "layer": {"kernel": rng.normal(size=(5, 3)), "bias": rng.normal(size=3)},
        "norm": {"scale": rng.normal(size=3), "bias": rng.normal(size=3)},
    }


def gradients(step):
    rng = np.random.default_rng(100 + step)
    return jax.tree.map(lambda x: rng.normal(size=x.shape), parameters())


def after_updates(config, *, updates=5, scale=1.0):
    optimizer = make_optimizer(config, total_steps=STEPS)
    current = jax.tree.map(jnp.float32, parameters())
    state = optimizer.init(current)
    for step in range(updates):
        gradient = jax.tree.map(lambda x: jnp.float32(scale * x), gradients(step))
        change, state = optimizer.update(gradient, state, current)
        current = optax.apply_updates(current, change)
    return current


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # 20 steps, 4 of them warm-up, peak 0.8; the 16 others count from the peak to 0 after the last.
        ("constant", {0: 0.2, 1: 0.4, 2: 0.6, 3: 0.8, 4: 0.8, 12: 0.8, 19: 0.8}),
        ("linear", {0: 0.2, 1: 0.4, 2: 0.6, 3: 0.8, 4: 0.8, 5: 0.75, 12: 0.4, 19: 0.05, 20: 0.0}),
        ("cosine", {0: 0.2, 3: 0.8, 4: 0.8, 8: 0.4 * (1 + 0.5**0.5), 12: 0.4, 20: 0.0}),
    ],
)
def test_schedules_by_hand(schedule, expected):
    config = OptimizerConfig(learning_rate=0.8, schedule=schedule, warmup_fraction=0.2)
    rate = learning_rate_schedule(config, total_steps=STEPS)
    np.testing.assert_allclose([rate(step) for step in expected], list(expected.values()), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("warmup_fraction", [0.0, 0.05, 0.1, 0.95])
def test_the_first_update_is_never_wasted_on_a_rate_of_0(warmup_fraction):
    config = OptimizerConfig(learning_rate=0.8, warmup_fraction=warmup_fraction)
    assert float(learning_rate_schedule(config, total_steps=STEPS)(0)) > 0


def test_without_warm_up_the_first_rate_is_the_peak():
    assert float(learning_rate_schedule(PLAIN, total_steps=STEPS)(0)) == pytest.approx(0.1)


@pytest.mark.parametrize(("family", "segments"), [("gpt2", 0), ("bert", 2)])
@pytest.mark.parametrize("head", ["language_model", "pairs"])
def test_decay_shrinks_kernels_and_embeddings_and_nothing_else(family, segments, head):
    config = ModelConfig(
        family, vocab_size=7, max_length=5, width=6, depth=2, num_heads=3, mlp_width=11, segment_count=segments
    )
    marks = decayed(parameters_of(abstract_model(config, head)))
    for path in axes_by_path(family, head):
        mark = marks
        for name in path.split("."):
            mark = mark[name]
        assert mark == path.endswith((".kernel", ".embedding")), path


def test_updates_equal_those_of_torch():
    import torch

    kernels, others = [], []
    theirs = jax.tree.map(lambda x: torch.nn.Parameter(torch.tensor(x, dtype=torch.float32)), parameters())
    for group in theirs.values():
        for name, parameter in group.items():
            (kernels if name == "kernel" else others).append(parameter)
    reference = torch.optim.AdamW(
        [{"params": kernels, "weight_decay": 0.3}, {"params": others, "weight_decay": 0.0}],
        lr=0.02,
        betas=(0.8, 0.95),
        eps=1e-3,
    )
    for step in range(7):
        for parameter, gradient in zip(jax.tree.leaves(theirs), jax.tree.leaves(gradients(step)), strict=True):
            parameter.grad = torch.tensor(gradient, dtype=torch.float32)
        reference.step()
    config = dataclasses.replace(PLAIN, learning_rate=0.02, weight_decay=0.3, beta1=0.8, beta2=0.95, epsilon=1e-3)
    ours = after_updates(config, updates=7)
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(mine, other.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_gradient_below_the_clipping_norm_is_left_alone():
    clipped = dataclasses.replace(PLAIN, clip_norm=100.0)
    jax.tree.map(np.testing.assert_array_equal, after_updates(clipped), after_updates(PLAIN))


def test_clipping_equals_scaling_the_gradient_to_its_norm():
    norm = np.sqrt(sum((x**2).sum() for x in jax.tree.leaves(gradients(0))))
    clipped = after_updates(dataclasses.replace(PLAIN, clip_norm=0.5, epsilon=0.1), updates=1)
    scaled = after_updates(dataclasses.replace(PLAIN, epsilon=0.1), updates=1, scale=0.5 / norm)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), clipped, scaled)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.2},
        {"schedule": "linear"},
        {"warmup_fraction": 0.2},
        {"weight_decay": 0.1},
        {"beta1": 0.7},
        {"beta2": 0.9},
        {"epsilon": 0.1},
        {"clip_norm": 1.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_changes_the_result(change):
    before, after = (jax.tree.leaves(after_updates(config)) for config in (PLAIN, dataclasses.replace(PLAIN, **change)))
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    assert next(iter(change)) in {field.name for field in dataclasses.fields(OptimizerConfig)}


def test_there_are_no_fields_but_those_tested():
    assert len(dataclasses.fields(OptimizerConfig)) == 8


def test_all_bad_values_are_named_in_one_error():
    with pytest.raises(InputError) as caught:
        OptimizerConfig(
            0.0, "linaer", warmup_fraction=1.0, weight_decay=-1, beta1=-0.1, beta2=1, epsilon=0, clip_norm=-2
        )
    assert str(caught.value) == (
        "training configuration: learning_rate=0.0 must be positive; "
        "schedule='linaer' is not known, did you mean 'linear'?; "
        "warmup_fraction=1.0 must be at least 0 and less than 1; beta1=-0.1 must be at least 0 and less than 1; "
        "beta2=1 must be at least 0 and less than 1; weight_decay=-1 must not be negative; "
        "clip_norm=-2 must not be negative; epsilon=0 must be positive"
    )


@pytest.mark.parametrize("name", ["learning_rate", "warmup_fraction", "weight_decay", "beta1", "epsilon", "clip_norm"])
def test_nan_is_no_value(name):
    with pytest.raises(InputError, match=f"{name}=nan"):
        OptimizerConfig(**{name: float("nan")})
