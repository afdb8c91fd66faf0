"""Several runs as one program are the runs that each would be alone."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lingjax.data import SubsetSource, training_batches
from lingjax.models import axes_by_path
from lingjax.training import finetune as finetune_module
from lingjax.training.checkpoint import Checkpointer
from lingjax.training.collectives import count_collectives
from lingjax.training.finetune import FinetuneConfig, FinetuneRun, finetune, runs_at_once
from lingjax.training.mesh import make_mesh, plan_new_state
from lingjax.training.metrics import read_metrics
from lingjax.training.optimizer import OptimizerConfig, make_optimizer
from lingjax.training.run_folder import read_result
from lingjax.training.run_log import LoopConfig
from lingjax.training.side_by_side import SideBySide, mesh_of_runs, pad_rows, runs_that_fit
from lingjax.training.start import restore_run
from lingjax.training.steps import make_train_step, pair_loss_function
from tests.training.small_run import make_records, make_start

CONFIG = FinetuneConfig(
    optimizer=OptimizerConfig(learning_rate=3e-3, schedule="linear", warmup_fraction=0.2, weight_decay=0.1),
    batch_size=5,
    epochs=2,
    pairs_per_row=3,
    loop=LoopConfig(evaluate_every=2, log_every=1),
)
SEEDS = (0, 1)


def subset(records):
    return SubsetSource(records, range(len(records)))


@pytest.fixture(scope="module")
def one_run(tokenizer_folder):
    """Returns a function that makes the run of a seed in a folder, with dropout and with weights of its own."""

    def make(seed, folder, *, rows=17, **changes):
        start = make_start(tokenizer_folder, seed=seed, dropout_rate=0.2, attention_dropout_rate=0.2, **changes)
        return FinetuneRun(
            start=dataclasses.replace(start, parameters=jax.tree.map(jnp.copy, start.parameters)),
            source=subset(make_records(rows)),
            dev=subset(make_records(7, seed=1)),
            seed=seed,
            folder=folder / f"seed{seed}",
            settings={},
        )

    return make


@pytest.fixture(scope="module")
def together(one_run, encoders):
    """Returns a function that trains seeds in one program: `together(folder, mesh, config)`."""

    def go(folder, mesh, config=CONFIG, *, seeds=SEEDS):
        runs = [one_run(seed, folder) for seed in seeds]
        return dict(zip(seeds, finetune(runs, config=config, encoder=encoders["gpt2"], mesh=mesh), strict=True))

    return go


@pytest.fixture(scope="module")
def alone(together, mesh, tmp_path_factory):
    """The folder of runs that were made one by one, and their results by seed."""
    folder = tmp_path_factory.mktemp("alone")
    return folder, {seed: together(folder, mesh, seeds=(seed,))[seed] for seed in SEEDS}


def final_numbers(folder, mesh):
    step = read_result(folder)["total_steps"]
    return jax.tree.map(np.asarray, restore_run(folder, mesh=mesh, changes={}, step=step).parameters)


@pytest.mark.parametrize(
    "devices",
    [*(pytest.param(mesh, marks=pytest.mark.exhaustive) for mesh in ("data:1", "data:8")), "data:2,fsdp:2,tensor:2"],
)
def test_runs_together_are_the_runs_alone(together, alone, mesh, tmp_path, devices):
    shared = make_mesh(devices, devices=jax.devices()[: 1 if devices == "data:1" else 8])
    results = together(tmp_path, shared)
    folder, expected = alone
    for seed in SEEDS:
        result, other = results[seed], expected[seed]
        for name in ("step", "dev_accuracy"):
            assert [entry[name] for entry in result["history"]] == [entry[name] for entry in other["history"]]
        losses, others = ([entry["dev_loss"] for entry in each["history"]] for each in (result, other))
        assert losses == pytest.approx(others, rel=1e-4)
        assert result["best_step"] == other["best_step"]
        lines, others = (read_metrics(each / f"seed{seed}") for each in (tmp_path, folder))
        assert [line["step"] for line in lines] == [line["step"] for line in others]
        for name in ("loss", "gradient_norm", "learning_rate"):
            values, wanted = ([line[name] for line in each if name in line] for each in (lines, others))
            assert values == pytest.approx(wanted, rel=1e-4)
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, atol=1e-4),
            *(final_numbers(each / f"seed{seed}", mesh) for each in (tmp_path, folder)),
        )


def test_runs_together_differ_from_each_other(whole):
    assert len({result["history"][-1]["dev_loss"] for result in whole[1].values()}) == len(SEEDS)


@pytest.fixture(scope="module")
def whole(together, mesh, tmp_path_factory):
    """The folder of runs that were made together without a break, and their results by seed."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, together(folder, mesh)


@pytest.fixture
def interrupted_at_five(monkeypatch):
    """The fifth step is not made: the newest checkpoints are those of steps 3 and 4. Calling it lifts the spell."""
    make = finetune_module.make_train_step

    def interrupted(*arguments, **options):
        step, made = make(*arguments, **options), itertools.count(1)

        def call(state, batch):
            if next(made) > 4:
                raise KeyboardInterrupt
            return step(state, batch)

        return call

    def lift():
        monkeypatch.undo()
        finetune_module._compiled.cache_clear()

    finetune_module._compiled.cache_clear()
    monkeypatch.setattr(finetune_module, "make_train_step", interrupted)
    yield lift
    lift()


def test_runs_cut_off_between_two_savings_go_on_from_their_common_step(
    together, whole, mesh, tmp_path, interrupted_at_five
):
    config = dataclasses.replace(CONFIG, loop=dataclasses.replace(CONFIG.loop, save_every=1))
    with pytest.raises(KeyboardInterrupt):
        together(tmp_path, mesh, config)
    interrupted_at_five()
    with Checkpointer(tmp_path / "seed1" / "checkpoints") as checkpointer:
        assert checkpointer.all_steps()[-2:] == [3, 4]
        checkpointer.go_back_to(3, damaged={})
    results = together(tmp_path, mesh, config)
    folder, expected = whole
    for seed in SEEDS:
        assert results[seed]["history"] == expected[seed]["history"]
        jax.tree.map(
            np.testing.assert_array_equal,
            *(final_numbers(each / f"seed{seed}", mesh) for each in (tmp_path, folder)),
        )
        lines = [line["step"] for line in read_metrics(tmp_path / f"seed{seed}") if "loss" in line]
        assert lines == list(range(1, 9))


def test_a_run_that_stops_early_leaves_the_others_going(together, mesh, tmp_path):
    config = dataclasses.replace(CONFIG, loop=dataclasses.replace(CONFIG.loop, patience=1), best_by="accuracy")
    results = together(tmp_path / "together", mesh, config, seeds=(0, 4))  # of which the first has no luck
    steps = {seed: [entry["step"] for entry in result["history"]] for seed, result in results.items()}
    first = min(steps, key=lambda seed: steps[seed][-1])
    assert steps[first][-1] < max(each[-1] for each in steps.values())
    alone = together(tmp_path / "alone", mesh, config, seeds=(first,))[first]
    assert steps[first] == [entry["step"] for entry in alone["history"]]
    assert results[first]["best_step"] == alone["best_step"]
    assert results[first]["best_step"] in checkpoints(tmp_path / "together" / f"seed{first}")


def checkpoints(folder):
    with Checkpointer(folder / "checkpoints", read_only=True) as checkpointer:
        return checkpointer.all_steps()


def test_time_is_shared_and_examples_are_not(whole):
    results = whole[1]
    # 8 steps of 5 pairs over two epochs of 17, the first step of the process left out.
    assert all(result["seconds"] > 0 for result in results.values())
    total = sum(result["examples_per_second"] * result["seconds"] for result in results.values())
    assert total == pytest.approx(len(SEEDS) * (2 * 17 - 5))


@pytest.mark.parametrize(
    ("devices", "num_runs", "shape"),
    [
        ("data:8", 8, (8, 1, 1, 1)),
        ("data:8", 4, (4, 2, 1, 1)),
        ("data:8", 3, (1, 8, 1, 1)),
        ("data:2,fsdp:2,tensor:2", 6, (2, 1, 2, 2)),
        ("fsdp:8", 8, (1, 1, 8, 1)),
    ],
)
def test_runs_take_their_devices_from_the_data_axis(devices, num_runs, shape):
    mesh = make_mesh(devices)
    runs = mesh_of_runs(mesh, num_runs)
    assert runs.axis_names == ("run", "data", "fsdp", "tensor")
    assert runs.devices.shape == shape
    assert list(runs.devices.flat) == list(mesh.devices.flat)


def test_rows_that_fill_a_batch_up_are_counted_by_nothing(encoders):
    batch = next(training_batches(make_records(9), encoders["gpt2"], batch_size=9, seed=0, epochs=1))
    padded = pad_rows(batch, 12, pad_id=encoders["gpt2"].tokenizer.pad_id)
    for name, array in vars(padded).items():
        assert len(array) == 12
        np.testing.assert_array_equal(array[:9], getattr(batch, name))
    assert not padded.is_real[9:].any()
    assert not padded.document_ids[9:].any()
    assert (padded.row_ids[9:] == -1).all()
    with pytest.raises(ValueError, match="9 rows does not fit in 8"):
        pad_rows(batch, 8, pad_id=0)


@pytest.mark.parametrize(("num_runs", "travels"), [(8, False), (2, True)])
def test_where_each_run_has_a_device_no_gradient_travels(one_run, encoders, tmp_path, num_runs, travels):
    mesh, encoder, run = make_mesh("data:8"), encoders["gpt2"], one_run(0, tmp_path)
    optimizer = make_optimizer(CONFIG.optimizer, total_steps=8)
    step = make_train_step(pair_loss_function(run.start.graph), optimizer, several_runs=True)
    state, placed = plan_new_state(run.start.parameters, optimizer, axes_by_path("gpt2", "pairs"), mesh)
    program = SideBySide(step, mesh, placed, num_runs=num_runs, pad_id=0)
    batch = next(training_batches(make_records(16), encoder, batch_size=16, seed=0, epochs=1, rows_multiple=8))
    compiled = program.compile(state, program.place([batch] * num_runs))
    parameters = sum(leaf.nbytes for leaf in jax.tree.leaves(run.start.parameters))
    moved = sum(each.bytes for each in count_collectives(compiled.as_text()).values())
    assert (moved >= parameters) == travels
    assert travels or moved == 0


@pytest.mark.parametrize(
    ("wanted", "limit", "fitting"),
    [(8, 800, 8), (8, 799, 7), (8, 400, 4), (8, 100, 1), (8, 1, 1), (1, 1, 1)],
)
def test_as_many_runs_as_fit_are_made_at_once(wanted, limit, fitting):
    assert runs_that_fit(wanted, lambda runs: 100 * runs, limit_bytes=limit) == fitting


def test_no_more_is_compiled_than_needed():
    asked = []
    runs_that_fit(8, lambda runs: asked.append(runs) or 10 * runs, limit_bytes=100)
    assert asked == [8]


def test_memory_is_read_off_the_compiled_step(one_run, encoders, mesh, tmp_path):
    run = one_run(0, tmp_path)

    def fitting(limit, config=CONFIG, run=run):
        arguments = {"config": config, "encoder": encoders["gpt2"], "mesh": mesh}
        return runs_at_once(4, run, limit_bytes=limit, **arguments)

    by_cudnn = dataclasses.replace(run.start, config=dataclasses.replace(run.start.config, attention="auto"))

    parameters = sum(leaf.nbytes for leaf in jax.tree.leaves(run.start.parameters))
    assert fitting(10**9) == 4
    assert fitting(4 * 3 * parameters) < 4  # parameters and both moments, and nothing left for the work
    assert fitting(1) == 1
    assert fitting(10**9, dataclasses.replace(CONFIG, pairs_per_row=1)) == 1
    assert fitting(10**9, run=dataclasses.replace(run, start=by_cudnn)) == 1
