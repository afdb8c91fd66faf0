import collections
import dataclasses
import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lingjax.data import SubsetSource
from lingjax.errors import InputError
from lingjax.training import finetune as finetune_module
from lingjax.training.finetune import FinetuneConfig, FinetuneRun, finetune, rows_multiple
from lingjax.training.loss import LossTally
from lingjax.training.mesh import make_mesh
from lingjax.training.metrics import read_metrics
from lingjax.training.optimizer import OptimizerConfig
from lingjax.training.run_folder import is_finished, read_result, read_run_description
from lingjax.training.run_log import LoopConfig
from lingjax.training.start import restore_run
from tests.training.small_run import make_records, make_start

FAST = OptimizerConfig(learning_rate=1e-2)


def subset(records):
    return SubsetSource(records, range(len(records)))


def consumable(start):
    """Returns a start of its own memory, because training reuses it."""
    return dataclasses.replace(start, parameters=jax.tree.map(jnp.copy, start.parameters))


@pytest.fixture(scope="module")
def start(tokenizer_folder):
    return make_start(tokenizer_folder)


@pytest.fixture
def run(start, encoders, mesh, tmp_path):
    """Returns a function that fine-tunes in `tmp_path`: `run(config, rows=..., dev_rows=..., **arguments)`."""

    def go(config, *, rows=17, dev_rows=7, seed=3, folder=tmp_path, mesh=mesh):
        one = FinetuneRun(
            start=consumable(start),
            source=subset(make_records(rows)),
            dev=subset(make_records(dev_rows, seed=1)),
            seed=seed,
            folder=folder,
            settings={"pair_format": "separated"},
        )
        return finetune([one], config=config, encoder=encoders["gpt2"], mesh=mesh)[0]

    return go


@pytest.fixture(scope="module")
def learnt(tokenizer_folder, encoders, mesh, tmp_path_factory):
    """A model that learnt whether the second sentence says "magic": its folder, result, and heads by step."""
    folder = tmp_path_factory.mktemp("learnt")
    heads = {}

    def on_evaluation(step, parameters):
        heads[step] = jax.device_get(parameters["head"]["kernel"])
        return {"seen": step}

    (result,) = finetune(
        [
            FinetuneRun(
                start=consumable(
                    make_start(tokenizer_folder, dropout_rate=0.0, attention_dropout_rate=0.0, init_scale=0.1)
                ),
                source=subset(make_records(160)),
                dev=subset(make_records(41, seed=1)),
                seed=0,
                folder=folder,
                settings={"pair_format": "separated"},
                on_evaluation=on_evaluation,
            )
        ],
        config=FinetuneConfig(
            optimizer=FAST,
            batch_size=16,
            steps=40,
            pairs_per_row=1,
            loop=LoopConfig(evaluate_every=20, log_every=10),
        ),
        encoder=encoders["gpt2"],
        mesh=mesh,
    )
    return folder, result, heads


def test_a_word_that_decides_the_label_is_learnt(learnt):
    _, result, _ = learnt
    best = min(result["history"], key=lambda entry: entry["dev_loss"])
    assert best["dev_accuracy"] == 1.0
    assert best["dev_loss"] < 0.1


def test_the_result_says_how_the_run_went(learnt):
    folder, result, _ = learnt
    assert is_finished(folder)
    assert read_result(folder) == json.loads(json.dumps(result))
    assert (result["total_steps"], result["steps_per_epoch"]) == (40, 10)
    assert result["examples_per_second"] > 0
    assert [line["step"] for line in read_metrics(folder) if "loss" in line] == [10, 20, 30, 40]


def test_the_best_model_can_be_loaded_from_the_run_folder_alone(learnt, mesh):
    folder, result, heads = learnt
    assert read_run_description(folder)["settings"] == {"pair_format": "separated"}
    restored = restore_run(folder, mesh=mesh, changes={})
    np.testing.assert_array_equal(restored.parameters["head"]["kernel"], heads[result["best_step"]])


def test_each_evaluation_is_reported_with_its_step(learnt):
    _, result, heads = learnt
    assert list(heads) == [entry["seen"] for entry in result["history"]] == [20, 40]


class Script:
    """Takes the place of what is compiled: counts pairs, and reads dev losses and accuracies from a script."""

    def __init__(self):
        self.seen = []
        self.rows = []
        self.dev_rows = collections.Counter()
        self.dev = [(0.5, 0.5)]
        self.evaluations = 0

    def compiled(self, graph, config, total_steps, *, several_runs):
        return optax.sgd(1.0), self.step, self.evaluation_step

    def step(self, state, batch):
        self.rows.append(len(batch["labels"]))
        self.seen.append(sorted(np.asarray(batch["row_ids"])[np.asarray(batch["is_real"])].tolist()))
        return dataclasses.replace(state, step=state.step + 1), LossTally(1.0, 1, 1), jnp.float32(1)

    def evaluation_step(self, parameters, batch, tally):
        """Counts ten predictions an evaluation, whatever its batches are."""
        self.dev_rows.update(np.asarray(batch["row_ids"])[np.asarray(batch["is_real"])].tolist())
        if int(tally.count):
            return tally
        loss, accuracy = self.dev[min(self.evaluations, len(self.dev) - 1)]
        self.evaluations += 1
        return LossTally(10 * loss, round(10 * accuracy), 10)


@pytest.fixture
def script(monkeypatch):
    script = Script()
    monkeypatch.setattr(finetune_module, "_compiled", script.compiled)
    return script


@pytest.mark.parametrize(("best_by", "best_step"), [("loss", 4), ("accuracy", 6), ("last", 8)])
def test_the_best_checkpoint_is_chosen_by_what_was_asked(run, script, tmp_path, best_by, best_step):
    script.dev = [(0.9, 0.2), (0.3, 0.5), (0.5, 0.9), (0.8, 0.6)]
    result = run(FinetuneConfig(steps=8, loop=LoopConfig(evaluate_every=2), best_by=best_by))
    assert result["best_step"] == best_step
    checkpoints = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert checkpoints == {str(best_step), "8"}


@pytest.mark.parametrize("best_by", ["loss", "accuracy"])
def test_the_best_checkpoint_is_there_when_evaluations_tie(run, script, tmp_path, best_by):
    result = run(FinetuneConfig(steps=6, loop=LoopConfig(evaluate_every=2), best_by=best_by))
    assert result["best_step"] == 2
    assert (tmp_path / "checkpoints" / "2").is_dir()


def test_patience_counts_evaluations_of_the_chosen_number(run, script):
    script.dev = [(0.9, 0.2), (0.8, 0.5), (0.7, 0.5), (0.6, 0.5), (0.5, 0.5)]
    result = run(FinetuneConfig(steps=10, loop=LoopConfig(evaluate_every=2, patience=2), best_by="accuracy"))
    assert [entry["step"] for entry in result["history"]] == [2, 4, 6, 8]


@pytest.mark.parametrize(
    ("length", "total_steps"),
    [
        # 17 pairs in batches of 5 are 4 steps an epoch.
        ({"epochs": 3}, 12),
        ({"epochs": 0.5}, 2),
        ({"epochs": 0.01}, 1),
        ({"epochs": 3, "steps": 7}, 7),
        ({"epochs": 0, "steps": 9}, 9),
    ],
)
def test_epochs_give_the_steps_unless_steps_are_given(run, script, length, total_steps):
    result = run(FinetuneConfig(batch_size=5, **length))
    assert (result["total_steps"], len(script.seen), result["steps_per_epoch"]) == (total_steps, total_steps, 4)


@pytest.mark.parametrize(
    ("evaluate_every", "evaluated"), [(0, [4, 8, 10]), (3, [3, 6, 9, 10]), (5, [5, 10]), (50, [10])]
)
def test_evaluations_follow_their_interval_or_the_epochs(run, script, evaluate_every, evaluated):
    result = run(FinetuneConfig(batch_size=5, steps=10, loop=LoopConfig(evaluate_every=evaluate_every)))
    assert [entry["step"] for entry in result["history"]] == evaluated


@pytest.mark.parametrize(("batch_size", "pairs_per_row"), [(1, 1), (2, 4), (5, 1), (16, 4), (17, 1), (18, 4), (100, 4)])
def test_every_pair_is_seen_once_an_epoch_whatever_the_batch_size(run, script, batch_size, pairs_per_row):
    result = run(FinetuneConfig(batch_size=batch_size, pairs_per_row=pairs_per_row, epochs=2))
    steps = result["steps_per_epoch"]
    for epoch in (script.seen[:steps], script.seen[steps:]):
        assert sorted(row for batch in epoch for row in batch) == list(range(17))


@pytest.mark.parametrize("evaluation_batch_size", [1, 3, 13, 64])
def test_every_dev_pair_is_evaluated_once(run, script, evaluation_batch_size):
    run(FinetuneConfig(steps=1, evaluation_batch_size=evaluation_batch_size), dev_rows=13)
    assert script.dev_rows == collections.Counter(range(13))


def test_rows_divide_among_devices_and_micro_batches(run, script):
    run(FinetuneConfig(batch_size=5, steps=3, accumulation=3), mesh=make_mesh("data:4,tensor:2"))
    assert {rows % 12 for rows in script.rows} == {0}


def test_the_order_of_the_pairs_follows_the_seed(run, script, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(FinetuneConfig(batch_size=5, epochs=1), seed=seed, folder=tmp_path / name)
    first, again, other = script.seen[:4], script.seen[4:8], script.seen[8:]
    assert first == again
    assert first != other


def test_all_bad_values_are_named_in_one_error():
    with pytest.raises(InputError) as caught:
        FinetuneConfig(
            batch_size=0,
            epochs=0,
            label_smoothing=1.0,
            accumulation=0,
            best_by="los",
            loop=LoopConfig(patience=-1, evaluate_every=-3),
        )
    assert str(caught.value) == (
        "training configuration: batch_size=0 must be at least 1; accumulation=0 must be at least 1; "
        "patience=-1 must not be negative; evaluate_every=-3 must not be negative; "
        "epochs=0 must be positive where steps is 0; label_smoothing=1.0 must be at least 0 and less than 1; "
        "best_by='los' is not known, did you mean 'loss'?"
    )


def test_a_configuration_is_recorded_as_plain_scalars():
    values = FinetuneConfig(loop=LoopConfig(log_every=7)).to_json()
    assert json.loads(json.dumps(values)) == values
    assert (values["learning_rate"], values["batch_size"], values["log_every"]) == (1e-5, 20, 7)


def test_label_smoothing_changes_training_and_not_the_dev_loss(run, start, encoders, tmp_path):
    still = OptimizerConfig(learning_rate=1e-30)  # the parameters stay, so only the loss differs
    lines, histories = [], []
    for smoothing in (0.0, 0.4):
        folder = tmp_path / str(smoothing)
        config = FinetuneConfig(still, steps=1, batch_size=7, label_smoothing=smoothing, pairs_per_row=1)
        histories.append(run(config, rows=7, folder=folder)["history"])
        lines.append(read_metrics(folder)[0]["loss"])
    assert lines[0] != lines[1]
    assert histories[0] == histories[1]


@pytest.mark.parametrize(
    ("platform", "data", "accumulation", "expected"),
    [("cpu", 1, 1, 2), ("cpu", 3, 1, 6), ("gpu", 1, 1, 8), ("tpu", 4, 1, 8), ("gpu", 2, 12, 24)],
)
def test_rows_come_in_coarser_numbers_on_accelerators(platform, data, accumulation, expected):
    device = types.SimpleNamespace(platform=platform)
    mesh = types.SimpleNamespace(devices=np.array([device]), shape={"data": data, "fsdp": 1, "tensor": 1})
    assert rows_multiple(mesh, accumulation=accumulation) == expected
