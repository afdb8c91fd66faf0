import dataclasses
import errno
import shutil
import time

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from lingjax.errors import InputError
from lingjax.files import is_passing
from lingjax.training.checkpoint import Checkpointer, restore_together
from lingjax.training.checksum import checksums
from lingjax.training.mesh import make_mesh
from lingjax.training.optimizer import OptimizerConfig, make_optimizer
from lingjax.training.state import TrainState, new_state

OPTIMIZER = make_optimizer(OptimizerConfig(), total_steps=10)
PROGRESS = {"history": [{"step": 3, "score": -0.1}], "iterator": {"next": 7, "shards": [1, 2]}}


def make_state(seed=0, *, step=3):
    rng = np.random.default_rng(seed)

    def draw():
        return {"kernel": jnp.float32(rng.normal(size=(8, 6))), "bias": jnp.asarray(rng.normal(size=6), jnp.bfloat16)}

    parameters = {"layer": draw(), "head": draw()}
    state = new_state(parameters, OPTIMIZER, seed=seed)
    _, optimizer_state = OPTIMIZER.update(parameters, state.optimizer_state, parameters)
    return TrainState(jnp.int32(step), parameters, optimizer_state, state.dropout_key)


def numbers(state):
    words = jax.random.key_data(state.dropout_key)
    return jax.tree.map(np.asarray, (state.step, state.parameters, state.optimizer_state, words))


def save(folder, *scores):
    """Saves one checkpoint a score, of steps 1, 2, ..."""
    with Checkpointer(folder) as checkpointer:
        for step, score in enumerate(scores, start=1):
            checkpointer.save(make_state(step, step=step), progress=PROGRESS, score=score)
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def test_everything_comes_back_exactly(tmp_path):
    with Checkpointer(tmp_path) as checkpointer:
        checkpointer.save(make_state(1), progress=PROGRESS, score=0.5)
    with Checkpointer(tmp_path) as checkpointer:
        restored = checkpointer.restore(make_state(2))
    assert jax.tree.structure(restored.state) == jax.tree.structure(make_state(1))
    jax.tree.map(np.testing.assert_array_equal, numbers(restored.state), numbers(make_state(1)))
    assert jax.tree.map(lambda x: x.dtype, restored.state) == jax.tree.map(lambda x: x.dtype, make_state(1))
    assert restored.progress == PROGRESS


def test_a_restored_key_draws_the_same_numbers(tmp_path):
    save(tmp_path, 0.5)
    with Checkpointer(tmp_path) as checkpointer:
        key = checkpointer.restore(make_state(2)).state.dropout_key
    np.testing.assert_array_equal(jax.random.bits(key, (5,)), jax.random.bits(make_state(1).dropout_key, (5,)))


def test_a_state_is_restored_onto_another_mesh(tmp_path):
    def on(description):
        mesh = make_mesh(description)
        spec = PartitionSpec(("data", "fsdp"))
        split = NamedSharding(mesh, spec)
        whole = NamedSharding(mesh, PartitionSpec())
        return jax.tree.map(lambda x: jax.device_put(x, split if x.ndim == 2 else whole), make_state(1))

    with Checkpointer(tmp_path) as checkpointer:
        checkpointer.save(on("data:2,tensor:4"), progress=PROGRESS)
    like = on("fsdp:8")
    with Checkpointer(tmp_path) as checkpointer:
        restored = checkpointer.restore(like).state
    jax.tree.map(np.testing.assert_array_equal, numbers(restored), numbers(make_state(1)))
    kernel = restored.parameters["layer"]["kernel"]
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(1, 6)}
    assert kernel.sharding == like.parameters["layer"]["kernel"].sharding


def test_an_empty_folder_restores_nothing(tmp_path):
    with Checkpointer(tmp_path / "new") as checkpointer:
        assert checkpointer.latest_step() is None
        assert checkpointer.restore(make_state()) is None


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ((0.1, 0.9, 0.2, 0.3), [2, 4]),
        ((0.1, 0.9, 0.2, None), [2, 4]),
        ((-3.0, -2.0, -1.0), [3]),
        ((0.9, 0.9, 0.2, 0.9), [1, 4]),
        ((None, None), [2]),
        ((None, 0.4, None), [2, 3]),
    ],
)
def test_the_newest_and_the_best_are_kept(tmp_path, scores, kept):
    assert save(tmp_path, *scores) == kept


@pytest.mark.parametrize("name", ["a*", "a?", "[a]"])
def test_a_name_that_orbax_takes_for_a_pattern_is_refused_before_it_writes(tmp_path, name):
    with pytest.raises(InputError, match="for a pattern"):
        Checkpointer(tmp_path / name / "checkpoints")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["", "{", '{"score": 0.5}', '{"score": 0.5, "step": 7}', '{"score": "x", "step": 1}'])
def test_a_score_that_cannot_be_read_is_refused(tmp_path, what):
    save(tmp_path, 0.5)
    (tmp_path / "1" / "metrics" / "metrics").write_text(what)
    with pytest.raises(InputError, match=r"1/metrics/metrics: .*put back a whole copy"):
        Checkpointer(tmp_path)


def test_a_score_that_is_not_the_historys_is_refused(tmp_path):
    save(tmp_path, 0.5)
    with Checkpointer(tmp_path) as checkpointer:
        checkpointer.check_scores({1: 0.5, 2: 0.1})
        with pytest.raises(InputError, match=r"its score is not the 0\.25"):
            checkpointer.check_scores({1: 0.25})


def test_changed_progress_is_damage(tmp_path):
    save(tmp_path, 0.5, 0.4)
    path = tmp_path / "2" / "progress" / "metadata"
    path.write_text(path.read_text().replace('"next": 7', '"next": 8').replace('"next":7', '"next":8'))
    with Checkpointer(tmp_path) as checkpointer:
        restored = checkpointer.restore(make_state())
    assert int(restored.state.step) == 1 and restored.progress == PROGRESS


def test_the_best_survives_a_restart(tmp_path):
    save(tmp_path, 0.1, 0.9)
    with Checkpointer(tmp_path) as checkpointer:
        for step in (3, 4):
            checkpointer.save(make_state(step=step), progress=PROGRESS, score=0.5)
    assert {path.name for path in tmp_path.iterdir()} == {"2", "4"}


def test_a_step_that_is_there_is_left_as_it_is(tmp_path):
    save(tmp_path, 0.1)
    save(tmp_path, 0.9)
    with Checkpointer(tmp_path) as checkpointer:
        assert checkpointer.latest_step() == 1


def test_parameters_alone_are_restored_from_any_step(tmp_path):
    save(tmp_path, 0.9, 0.2)
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), make_state().parameters)
    with Checkpointer(tmp_path) as checkpointer:
        for step in (1, 2):
            parameters = checkpointer.restore_parameters(like, step=step)
            jax.tree.map(np.testing.assert_array_equal, parameters, make_state(step).parameters)


def test_a_missing_step_is_an_error_that_lists_those_there(tmp_path):
    save(tmp_path, 0.9, 0.2)
    with (
        Checkpointer(tmp_path) as checkpointer,
        pytest.raises(InputError, match=r"no finished checkpoint of step 7, there are \[1, 2\]"),
    ):
        checkpointer.restore_parameters(make_state().parameters, step=7)


@pytest.fixture
def with_unfinished(tmp_path):
    """Two checkpoints, and what a killed writer leaves: a folder under the name that it has until it is complete."""
    save(tmp_path, 0.9, 0.2)
    shutil.copytree(tmp_path / "2", tmp_path / "3.orbax-checkpoint-tmp")
    shutil.rmtree(tmp_path / "3.orbax-checkpoint-tmp" / "parameters")
    return tmp_path


@pytest.mark.parametrize("read_only", [False, True])
def test_an_unfinished_checkpoint_is_ignored(with_unfinished, read_only):
    with Checkpointer(with_unfinished, read_only=read_only) as checkpointer:
        assert checkpointer.latest_step() == 2
        assert int(checkpointer.restore(make_state()).state.step) == 2


def test_a_writer_clears_away_what_is_unfinished(with_unfinished):
    with Checkpointer(with_unfinished) as checkpointer:
        checkpointer.save(make_state(step=3), progress=PROGRESS)
    assert {path.name for path in with_unfinished.iterdir()} == {"1", "3"}


def test_a_reader_leaves_alone_what_another_may_be_writing(with_unfinished):
    before = sorted(with_unfinished.rglob("*"))
    with Checkpointer(with_unfinished, read_only=True) as checkpointer:
        checkpointer.restore_parameters(make_state().parameters, step=2)
    assert sorted(with_unfinished.rglob("*")) == before


def test_a_reader_makes_no_folder(tmp_path):
    with Checkpointer(tmp_path / "new", read_only=True) as checkpointer:
        assert checkpointer.latest_step() is None
    assert not (tmp_path / "new").exists()


def damage(folder):
    """Empties every file of a checkpoint's arrays, as a full disk does."""
    for path in folder.rglob("*"):
        if path.is_file() and "parameters" in path.parts:
            path.write_bytes(b"")


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(tmp_path, capsys):
    with Checkpointer(tmp_path, keep=2) as checkpointer:
        for step in (1, 2):
            checkpointer.save(make_state(step, step=step), progress=PROGRESS)
    damage(tmp_path / "2")
    with Checkpointer(tmp_path, keep=2) as checkpointer:
        restored = checkpointer.restore(make_state())
        assert checkpointer.latest_step() == 1
        checkpointer.save(make_state(2, step=2), progress=PROGRESS)  # its place is free again
    jax.tree.map(np.testing.assert_array_equal, numbers(restored.state), numbers(make_state(1, step=1)))
    line = capsys.readouterr().err
    assert f"{tmp_path}/2: cannot be read" in line
    assert "going on from step 1" in line
    assert (tmp_path / "damaged-2").is_dir()
    assert (tmp_path / "2").is_dir()


def test_where_every_checkpoint_is_damaged_none_is_touched(tmp_path):
    save(tmp_path, 0.1)
    damage(tmp_path / "1")
    with Checkpointer(tmp_path) as checkpointer, pytest.raises(InputError, match=r"steps \[1\] can be read"):
        checkpointer.restore(make_state())
    assert (tmp_path / "1").is_dir()


@pytest.mark.parametrize(
    ("steps", "taken"),
    [
        (((1, 2), (1, 2)), 2),
        (((1, 2), (1,)), 1),
        (((2, 3), (1, 2)), 2),
        (((1,), ()), None),
        (((1,), (2,)), None),
        (((), ()), None),
    ],
)
def test_runs_go_back_to_the_newest_step_of_which_all_have_a_checkpoint(tmp_path, steps, taken):
    for run, saved in enumerate(steps):
        folder = tmp_path / str(run)
        with Checkpointer(folder, keep=2) as checkpointer:
            for step in saved:
                checkpointer.save(make_state(run, step=step), progress={"run": run, "step": step})
    with Checkpointer(tmp_path / "0", keep=2) as first, Checkpointer(tmp_path / "1", keep=2) as second:
        restored = restore_together([first, second], [make_state(7), make_state(8)])
        left = [each.all_steps() for each in (first, second)]
    if taken is None:
        assert restored is None
        assert left == [[], []]
        return
    for run, each in enumerate(restored):
        jax.tree.map(np.testing.assert_array_equal, numbers(each.state), numbers(make_state(run, step=taken)))
        assert each.progress == {"run": run, "step": taken}
    # What all have stays, what only some have after it goes.
    assert left == [[step for step in saved if step <= taken] for saved in steps]


def test_a_damaged_checkpoint_of_one_run_takes_all_back_to_the_step_before(tmp_path, capsys):
    for run in "ab":
        with Checkpointer(tmp_path / run, keep=2) as checkpointer:
            for step in (1, 2):
                checkpointer.save(make_state(step, step=step), progress=PROGRESS)
    damage(tmp_path / "b" / "2")
    with Checkpointer(tmp_path / "a", keep=2) as first, Checkpointer(tmp_path / "b", keep=2) as second:
        restored = restore_together([first, second], [make_state(), make_state()])
        assert [each.all_steps() for each in (first, second)] == [[1], [1]]
    assert [int(each.state.step) for each in restored] == [1, 1]
    assert f"{tmp_path}/b/2: cannot be read" in capsys.readouterr().err
    assert (tmp_path / "b" / "damaged-2").is_dir()


@pytest.fixture
def saved_twice(tmp_path):
    with Checkpointer(tmp_path, keep=2) as checkpointer:
        for step in (1, 2):
            checkpointer.save(make_state(step, step=step), progress=PROGRESS)
    return tmp_path


def _fail(monkeypatch, *errors):
    """Lets reading a checkpoint fail so many times."""
    errors, restore = list(errors), ocp.CheckpointManager.restore

    def failing(self, *arguments, **options):
        if errors:
            raise errors.pop(0)
        return restore(self, *arguments, **options)

    monkeypatch.setattr(ocp.CheckpointManager, "restore", failing)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("timed out"),
        ConnectionResetError("reset"),
        OSError(errno.EMFILE, "Too many open files"),
        ValueError("RESOURCE_EXHAUSTED: Error reading local file: 429"),
        RuntimeError("HTTP 503: Service Unavailable"),
        RuntimeError("nobody knows"),
    ],
)
def test_a_failure_that_passes_is_no_damage(saved_twice, monkeypatch, capsys, error):
    _fail(monkeypatch, error, error)
    with Checkpointer(saved_twice, keep=2) as checkpointer:
        restored = checkpointer.restore(make_state())
    assert int(restored.state.step) == 2
    assert capsys.readouterr().err == ""


def test_a_bucket_that_stays_away_is_one_line_and_changes_nothing(saved_twice, monkeypatch):
    _fail(monkeypatch, *[RuntimeError("503 Service Unavailable")] * 99)
    with (
        Checkpointer(saved_twice, keep=2) as checkpointer,
        pytest.raises(InputError, match=r"/2: cannot be read now \(503 Service Unavailable\).*nothing was changed"),
    ):
        checkpointer.restore(make_state())
    assert sorted(path.name for path in saved_twice.iterdir() if path.is_dir()) == ["1", "2"]


def test_a_path_that_looks_like_a_code_of_http_is_no_passing_failure():
    assert not is_passing(ValueError("NOT_FOUND: /runs/503/checkpoints/429/parameters/d"))
    assert is_passing(ValueError("Error: 503, bucket busy"))


@pytest.fixture
def changed_number(saved_twice):
    """Writes step 2 anew with one other number and the checksums of before."""
    kept = (saved_twice / "2" / "checksums" / "metadata").read_bytes()
    shutil.rmtree(saved_twice / "2")
    state = make_state(2, step=2)
    bias = state.parameters["head"]["bias"]
    flipped = jax.lax.bitcast_convert_type(bias, jnp.uint16) ^ jnp.uint16([0, 0, 1, 0, 0, 0])
    parameters = state.parameters | {
        "head": state.parameters["head"] | {"bias": jax.lax.bitcast_convert_type(flipped, jnp.bfloat16)}
    }
    with Checkpointer(saved_twice, keep=2) as checkpointer:
        checkpointer.save(dataclasses.replace(state, parameters=parameters), progress=PROGRESS)
    (saved_twice / "2" / "checksums" / "metadata").write_bytes(kept)
    return saved_twice


def test_a_changed_bit_is_damage_for_a_run_that_goes_on(changed_number, capsys):
    with Checkpointer(changed_number, keep=2) as checkpointer:
        assert int(checkpointer.restore(make_state()).state.step) == 1
    assert "the numbers of parameters.head.bias are not those that were written" in capsys.readouterr().err


def test_a_changed_bit_is_one_line_for_who_reads_parameters(changed_number):
    with (
        Checkpointer(changed_number, read_only=True) as checkpointer,
        pytest.raises(InputError, match=r"/2: is damaged \(the numbers of parameters.head.bias"),
    ):
        checkpointer.restore_parameters(make_state().parameters, step=2)


def test_a_damaged_file_is_one_line_for_who_reads_parameters(saved_twice):
    damage(saved_twice / "2")
    with Checkpointer(saved_twice, read_only=True) as checkpointer, pytest.raises(InputError, match="/2: is damaged"):
        checkpointer.restore_parameters(make_state().parameters, step=2)


def test_a_checkpoint_of_before_there_were_checksums_is_read(saved_twice):
    shutil.rmtree(saved_twice / "2" / "checksums")
    with Checkpointer(saved_twice, keep=2) as checkpointer:
        assert int(checkpointer.restore(make_state()).state.step) == 2


def test_a_checksum_does_not_depend_on_how_an_array_is_split():
    array = jnp.float32(np.random.default_rng(0).normal(size=(8, 6)))
    split = jax.device_put(array, NamedSharding(make_mesh("data:4,fsdp:2"), PartitionSpec("data", "fsdp")))
    (whole,), (parts,) = checksums({"x": array}).values(), checksums({"x": split}).values()
    assert whole == parts
    words = np.asarray(array).view(np.uint32).astype(object)
    factors = (np.arange(8, dtype=object)[:, None] * 0x9E3779B1 + np.arange(6, dtype=object) * 0x85EBCA77) * 2 + 1
    assert whole == (words * factors).sum() % 2**32
