import dataclasses
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lingjax.data import TokenBatch
from lingjax.errors import InputError
from lingjax.training.checkpoint import Checkpointer
from lingjax.training.loop import OneRun
from lingjax.training.loss import LossTally
from lingjax.training.metrics import read_metrics
from lingjax.training.run_log import Evaluation, LoopConfig, Run
from lingjax.training.state import new_state
from tests.training.small_run import STEPS, SmallRun, train_alone

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def small_run(tokenizer_folder):
    return SmallRun(tokenizer_folder)


@pytest.fixture(scope="module")
def whole(small_run, tmp_path_factory):
    """Six steps at once, evaluated at 2, 4 and 6: the result and the log."""
    folder = tmp_path_factory.mktemp("whole")
    result = small_run.go(folder, log_every=1)
    return result, read_metrics(folder)


def numbers(state):
    words = jax.random.key_data(state.dropout_key)
    return jax.tree.map(np.asarray, (state.step, state.parameters, state.optimizer_state, words))


def assert_same_run(result, expected):
    """Checks bit for bit what a run leaves."""
    jax.tree.map(np.testing.assert_array_equal, numbers(result.state), numbers(expected.state))
    assert result.history == expected.history
    assert result.best_step == expected.best_step


def without_rates(lines):
    """Leaves out what depends on the clock and on how many steps this process made."""
    rates = ("examples_per_second", "tokens_per_second", "seconds")
    return [{name: value for name, value in line.items() if name not in rates} for line in lines]


def test_a_run_learns_something_at_every_step(whole):
    losses = [line["loss"] for line in whole[1] if "loss" in line]
    assert len(set(losses)) == len(losses) == STEPS


@pytest.mark.parametrize("stop", [2, 3])
def test_a_run_in_two_parts_equals_a_whole_one_bit_for_bit(small_run, whole, tmp_path, stop):
    # A checkpoint follows the evaluation at step 2; step 3 has one only because of `save_every`.
    interrupted = itertools.count(1)

    def step(*arguments):
        if next(interrupted) > stop:
            raise KeyboardInterrupt
        return small_run.step(*arguments)

    with pytest.raises(KeyboardInterrupt):
        small_run.go(tmp_path, step=step, save_every=stop)
    result = small_run.go(tmp_path, save_every=stop)
    assert_same_run(result, whole[0])
    assert without_rates(read_metrics(tmp_path)) == without_rates(whole[1])


def test_a_logged_mean_covers_the_steps_before_an_interruption_too(small_run, whole, tmp_path):
    interrupted = itertools.count(1)

    def step(*arguments):
        if next(interrupted) > 3:
            raise KeyboardInterrupt
        return small_run.step(*arguments)

    with pytest.raises(KeyboardInterrupt):
        small_run.go(tmp_path / "two", step=step, save_every=3, log_every=4)
    small_run.go(tmp_path / "two", log_every=4)
    small_run.go(tmp_path / "one", log_every=4)
    one, two = (without_rates(read_metrics(tmp_path / name)) for name in ("one", "two"))
    assert one == two
    assert [line["step"] for line in one if "loss" in line] == [4, 6]


def test_a_killed_run_ends_as_if_it_had_not_been_killed(small_run, whole, tokenizer_folder, tmp_path):
    killed = subprocess.run(
        [sys.executable, "-m", "tests.training.small_run", tokenizer_folder, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    # It died at step 4, after the checkpoint of step 2 and before, during or after the writing of that of step 3.
    assert [line["step"] for line in read_metrics(tmp_path) if "loss" in line] == [1, 2, 3, 4]
    with Checkpointer(tmp_path / "checkpoints", read_only=True) as checkpointer:
        assert checkpointer.latest_step() in (2, 3)
    result = small_run.go(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, numbers(result.state), numbers(whole[0].state))
    steps = [line for line in whole[1] if "loss" in line]
    assert without_rates(line for line in read_metrics(tmp_path) if "loss" in line) == without_rates(steps)


def test_a_finished_run_is_not_run_again(small_run, whole, tmp_path):
    def step(*_):
        raise AssertionError("a finished run makes no step")

    small_run.go(tmp_path)
    assert_same_run(small_run.go(tmp_path, step=step), whole[0])


# From here on nothing is compiled: the step only counts, and evaluations follow a script.


@dataclasses.dataclass
class Batches:
    """Token batches 0, 1, 2, ..."""

    next_number: int = 0

    def __next__(self):
        number, self.next_number = self.next_number, self.next_number + 1
        row = np.array([[number, 0, 0]], np.int32)
        return TokenBatch(
            row,
            row,
            row == number,
            np.array([[1, 1, 0]], np.int32),
            row,
            np.zeros(1, np.int32),
            np.array([number], np.int32),
        )

    def get_state(self):
        return {"next": self.next_number}

    def set_state(self, state):
        self.next_number = state["next"]


class ScriptedRun:
    """A run whose losses and scores are given."""

    def __init__(self, folder, mesh):
        self.folder = folder
        self.mesh = mesh
        self.batches_seen = []
        self.evaluated = []
        self.tally = lambda loss: LossTally(jnp.float32(loss), 1, 1)

    def go(self, total_steps, config=None, *, losses=None, norms=None, scores=(), clock=lambda: 0.0, **described):
        optimizer = optax.sgd(1.0)

        def step(state, batch):
            done = int(state.step) + 1
            self.batches_seen.append(int(batch["token_ids"][0, 0]))
            loss, norm = (1.0 if values is None else values[done - 1] for values in (losses, norms))
            return dataclasses.replace(state, step=state.step + 1), self.tally(loss), jnp.float32(norm)

        def evaluate(done, parameters):
            self.evaluated.append(done)
            score = scores[len(self.evaluated) - 1] if scores else 0.0
            return Evaluation({"dev_loss": 0.25}, score)

        state = new_state({"kernel": jnp.ones((2, 3))}, optimizer, seed=0)
        return train_alone(
            Run(state, Batches(), evaluate, self.folder, **described),
            OneRun(step, self.mesh),
            config or LoopConfig(),
            total_steps=total_steps,
            learning_rate=lambda step: 0.5,
            clock=clock,
        )

    def kept(self):
        return sorted(int(path.name) for path in (self.folder / "checkpoints").iterdir() if path.name.isdecimal())


@pytest.fixture
def scripted(tmp_path, mesh):
    return ScriptedRun(tmp_path, mesh)


@pytest.mark.parametrize(
    ("scores", "patience", "evaluated", "best"),
    [
        ((0.1, 0.5, 0.4, 0.3, 0.6), 2, 4, 2),
        ((0.1, 0.5, 0.4, 0.3, 0.6), 3, 5, 5),
        ((0.1, 0.5, 0.4, 0.3, 0.6), 0, 5, 5),
        ((0.5, 0.5, 0.5, 0.5, 0.5), 2, 3, 1),
        ((0.5, 0.4, 0.3, 0.2, 0.1), 1, 2, 1),
        ((0.1, 0.2, 0.3, 0.4, 0.5), 1, 5, 5),
    ],
)
def test_training_stops_when_patience_ends_and_the_best_is_kept(scripted, scores, patience, evaluated, best):
    result = scripted.go(10, LoopConfig(evaluate_every=2, patience=patience), scores=scores)
    assert scripted.evaluated == [2 * (number + 1) for number in range(evaluated)]
    assert int(result.state.step) == 2 * evaluated
    assert result.best_step == 2 * best
    assert scripted.kept() == sorted({2 * best, 2 * evaluated})


def test_a_run_that_stopped_early_stays_stopped(scripted):
    config = LoopConfig(evaluate_every=2, patience=1)
    scripted.go(10, config, scores=(0.5, 0.4))
    again = scripted.go(10, config, scores=(0.5, 0.4))
    assert (again.best_step, len(again.history), scripted.evaluated) == (2, 2, [2, 4])


def test_the_last_step_is_always_logged_evaluated_and_saved(scripted):
    result = scripted.go(5, LoopConfig(log_every=0))
    assert (scripted.evaluated, scripted.kept(), result.best_step) == ([5], [5], 5)
    assert [line["step"] for line in read_metrics(scripted.folder) if "loss" in line] == [5]


def test_history_holds_every_evaluation(scripted):
    result = scripted.go(5, LoopConfig(evaluate_every=2), scores=(0.1, 0.2, 0.3))
    assert result.history == [
        {"step": step, "score": score, "dev_loss": 0.25} for step, score in ((2, 0.1), (4, 0.2), (5, 0.3))
    ]


def test_a_logged_loss_is_the_mean_since_the_last_one(scripted):
    scripted.go(5, LoopConfig(log_every=2), losses=[1.0, 2.0, 3.0, 5.0, 7.0])
    lines = [line for line in read_metrics(scripted.folder) if "loss" in line]
    assert [(line["step"], line["loss"]) for line in lines] == [(2, 1.5), (4, 4.0), (5, 7.0)]
    assert lines[0]["learning_rate"] == 0.5


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ({"losses": [1.0, 1.0, float("nan"), 1.0]}, "loss is nan"),
        ({"losses": [1.0, 1.0, float("inf"), 1.0]}, "loss is inf"),
        ({"norms": [1.0, 1.0, float("nan"), 1.0]}, "gradient's norm is nan"),
    ],
)
def test_a_number_that_is_not_finite_stops_the_run_in_one_line(scripted, numbers, name):
    with pytest.raises(
        InputError, match=f"the {name} at step 3, in a batch of the rows 2 of domains 0; lower"
    ) as caught:
        scripted.go(4, LoopConfig(log_every=1), **numbers)
    assert "\n" not in str(caught.value)


def test_no_checkpoint_holds_what_came_after_a_loss_that_is_not_finite(scripted):
    with pytest.raises(InputError, match="at step 3, in a batch of the rows 2"):
        scripted.go(9, LoopConfig(log_every=0, save_every=2), losses=[1.0, 1.0, float("nan"), *[1.0] * 6])
    assert scripted.kept() == [2]


def test_every_batch_is_trained_on_once_across_a_restart(scripted):
    scripted.go(3)
    scripted.go(7)
    assert scripted.batches_seen == list(range(7))


def test_rates_leave_out_evaluation_checkpoints_and_the_first_step(scripted):
    result = scripted.go(5, LoopConfig(evaluate_every=2), clock=itertools.count().__next__)
    # Each of the four steps after the first is one row with two tokens.
    assert (result.examples, result.tokens) == (4, 8)
    assert result.seconds > 0


def test_a_loss_that_was_not_finite_is_found_by_its_own_step_when_the_log_is_due(scripted):
    with pytest.raises(InputError, match="at step 3, in a batch of the rows 2"):
        scripted.go(9, LoopConfig(log_every=5), losses=[1.0, 1.0, float("nan"), *[1.0] * 6])


def test_each_group_has_its_own_loss_in_the_log(scripted):
    def by_group(losses):
        return [jnp.array([loss, 3 * loss, 0.0]) for loss in losses]

    def tally(loss):
        return LossTally(loss, jnp.array([1, 0, 0]), jnp.array([1, 2, 0]))

    scripted.tally = tally
    scripted.go(2, LoopConfig(log_every=2), losses=by_group([1.0, 3.0]), groups=("english", "dna", "protein"))
    line = next(line for line in read_metrics(scripted.folder) if "loss" in line)
    assert (line["english_training_loss"], line["dna_training_loss"]) == (2.0, 3.0)
    assert "protein_training_loss" not in line  # no token of it was counted
    assert line["loss"] == (1.0 + 3.0 + 3.0 + 9.0) / 6


def test_the_log_says_how_long_a_step_took_and_waited_for_data(scripted):
    scripted.go(4, LoopConfig(log_every=4), clock=itertools.count().__next__)
    line = next(line for line in read_metrics(scripted.folder) if "loss" in line)
    # The clock ticks once a look: every step looks once before and once after its batch.
    assert line["step_seconds"] == line["seconds"] / 4
    assert line["data_wait_fraction"] == 4 / line["seconds"]


def test_the_share_of_the_peak_is_null_on_a_device_that_is_not_listed(scripted):
    scripted.go(2, LoopConfig(log_every=2), flops_per_token=1e6)
    line = next(line for line in read_metrics(scripted.folder) if "loss" in line)
    assert line["mfu"] is None


def test_three_steps_are_profiled_where_asked(scripted):
    scripted.go(5, LoopConfig(profile_at=2))
    assert list((scripted.folder / "profile").rglob("*.xplane.pb"))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_same_run_goes_on(scripted, capsys, sent, code):
    # A run in the background may have been started with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def terminate(loss):
        if len(scripted.batches_seen) == 3:
            os.kill(os.getpid(), sent)
        return LossTally(jnp.float32(loss), 1, 1)

    scripted.tally = terminate
    with pytest.raises(SystemExit) as ended:
        scripted.go(7)
    assert ended.value.code == code
    assert scripted.kept() == [3]
    assert f"{sent.name}; saved step 3" in capsys.readouterr().err
    scripted.go(7)
    assert scripted.batches_seen == list(range(7))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_interrupts_at_once(scripted):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt_twice(loss):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        return LossTally(jnp.float32(loss), 1, 1)

    scripted.tally = interrupt_twice
    with pytest.raises(KeyboardInterrupt):
        scripted.go(7)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("keep", "kept"), [(1, [6]), (3, [4, 5, 6])])
def test_as_many_of_the_newest_checkpoints_are_kept_as_asked(scripted, keep, kept):
    scripted.go(6, LoopConfig(save_every=1, keep_checkpoints=keep))
    assert scripted.kept() == kept
