"""Several runs of one recipe in one program: a training step mapped over runs, which the devices share among them.

`lingjax.training.loop.train` makes them as it makes one: `SideBySide` is its program and `RunLogs` are its books; both
hand it a list where those of one run hand it one thing.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lingjax.data import PairBatch
from lingjax.training.loss import LossTally
from lingjax.training.mesh import BATCH_AXES
from lingjax.training.run_log import LoopConfig, Outcome, Run, RunLog, begin_together
from lingjax.training.state import TrainState
from lingjax.training.steps import RUN_AXIS, BatchArrays, TrainStep


def mesh_of_runs(mesh: Mesh, num_runs: int) -> Mesh:
    """Returns the mesh with an axis of runs cut from its `data` axis, as large as divides both.

    Where 8 runs share 8 devices, each has one of its own, and no gradient travels.
    """
    parts = math.gcd(num_runs, mesh.shape["data"])
    shape = (parts, mesh.shape["data"] // parts, *mesh.devices.shape[1:])
    return Mesh(mesh.devices.reshape(shape), (RUN_AXIS, *mesh.axis_names))


def pad_rows(batch: PairBatch, num_rows: int, *, pad_id: int) -> PairBatch:
    """Returns the batch with empty rows at its end, which nothing counts.

    Raises:
      ValueError: it has more rows.
    """
    missing = num_rows - len(batch.token_ids)
    if missing < 0:
        raise ValueError(f"a batch of {len(batch.token_ids)} rows does not fit in {num_rows}")
    filler = {"token_ids": pad_id, "row_ids": -1}

    def pad(name: str, array: np.ndarray) -> np.ndarray:
        widths = [(0, missing), *[(0, 0)] * (array.ndim - 1)]
        return np.pad(array, widths, constant_values=filler.get(name, 0))

    return PairBatch(**{name: pad(name, array) for name, array in vars(batch).items()})


class RunLogs:
    """The books of several runs, which the loop keeps as if they were a `RunLog`.

    Together, the runs go on from a step that all have: each keeps two checkpoints or more, because a kill may come when
    only some have saved the newest. A run that stops early is left alone until the others end.

    Args:
      runs: made by one recipe, all at their beginning.
      config: when things happen, for all.
      program: takes a run's state out of all states.
      clock: seconds, increasing.
    """

    def __init__(self, runs: Sequence[Run], config: LoopConfig, program: "SideBySide", *, clock: Callable[[], float]):
        self.config = dataclasses.replace(config, keep_checkpoints=max(config.keep_checkpoints, 2))
        self._logs = [RunLog(run, self.config, clock=clock) for run in runs]
        self._program = program
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "RunLogs":
        for log in self._logs:
            self._open.enter_context(log)
        return self

    def __exit__(self, *error):
        return self._open.__exit__(*error)

    @property
    def folder(self) -> epath.Path:
        """That of the first run."""
        return self._logs[0].folder

    @property
    def folders(self) -> list[epath.Path]:
        """Where the runs live."""
        return [log.folder for log in self._logs]

    @property
    def first_step(self) -> int:
        """How many steps were made before."""
        return self._logs[0].first_step

    @property
    def stopped_early(self) -> bool:
        """Whether every run has."""
        return not self._going

    @property
    def _going(self) -> list[RunLog]:
        return [log for log in self._logs if not log.stopped_early]

    def begin(self) -> list[TrainState]:
        """Returns the states that the runs go on from."""
        return begin_together(self._logs)

    def next_batch(self) -> list[PairBatch]:
        """Returns every run's batch of the next step."""
        return [log.next_batch() for log in self._logs]

    def add(
        self,
        done: int,
        batches: Sequence[PairBatch],
        tallies: Sequence[LossTally],
        gradient_norms: Sequence[jax.Array],
        **circumstances: Any,
    ) -> None:
        """Counts one step of every run that has not stopped."""
        for log, *made in zip(self._logs, batches, tallies, gradient_norms, strict=True):
            if not log.stopped_early:
                log.add(done, *made, **circumstances)

    def check_finite(self) -> None:
        """Refuses to go on where a run's loss or gradient is not finite."""
        for log in self._going:
            log.check_finite()

    def means(self) -> dict[str, float]:
        """Returns the means over runs of their losses and accuracies since the last log."""
        return _means([log.means() for log in self._going])

    def write_means(self, done: int, *, learning_rate: float) -> dict[str, float]:
        """Logs the steps of each run since its last log, and returns the means over runs."""
        return _means([log.write_means(done, learning_rate=learning_rate) for log in self._going])

    def save(self, done: int, carried: TrainState, *, evaluated: bool) -> None:
        """Writes a checkpoint of every run, of one that stopped too, so that all have a step in common."""
        going = self._going
        for log in self._logs:
            log.pause()
        self.wait()  # no run gets two steps ahead of another
        for index, log in enumerate(self._logs):
            log.save_now(done, self._program.state(carried, index), evaluated=evaluated and log in going)
        for log in self._logs:
            log.resume()

    def wait(self) -> None:
        """Returns when all that was saved is written."""
        for log in self._logs:
            log.wait()

    def outcomes(self) -> list[Outcome]:
        """Returns how each run went; they share the time evenly."""
        return [outcome for log in self._logs for outcome in log.outcomes(shared_by=len(self._logs))]


def _means(of_runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([means[name] for means in of_runs])) for name in of_runs[0]}


class SideBySide:
    """The program of several runs (see `lingjax.training.loop.Program`).

    Every run makes the step that it would make alone, with its own batch, its own dropout and its own clipping: the
    numbers agree up to the order of sums. Batches are padded to the rows of the largest.

    Args:
      update: a step of `make_train_step(..., several_runs=True)`.
      mesh: as a single run would have it.
      placed: where a single run's state lies (`state_shardings`).
      num_runs: how many.
      pad_id: fills the rows that a batch lacks.
    """

    def __init__(self, update: TrainStep, mesh: Mesh, placed: TrainState, *, num_runs: int, pad_id: int):
        self.mesh = mesh_of_runs(mesh, num_runs)
        self._update = update
        self._placed = placed
        self._pad_id = pad_id
        self._batches = NamedSharding(self.mesh, PartitionSpec(RUN_AXIS, BATCH_AXES))
        self._one = jax.jit(lambda carried, run: jax.tree.map(lambda x: x[run], carried), out_shardings=placed)
        self._apart = jax.jit(
            lambda seen: [jax.tree.map(lambda x, run=run: x[run], seen) for run in range(num_runs)],
            out_shardings=NamedSharding(self.mesh, PartitionSpec()),
        )

    def begin(self, states: Sequence[TrainState]) -> TrainState:
        """Stacks the states, leaf by leaf; their memory is given back on the way, so that it is not needed twice."""
        return jax.tree.map(self._stack, self._placed, *states)

    def step(
        self, carried: TrainState, batches: Sequence[PairBatch]
    ) -> tuple[TrainState, Sequence[LossTally], Sequence[jax.Array]]:
        """Makes one step of every run."""
        carried, *seen = self._update(carried, self.place(batches))
        tallies, gradient_norms = zip(*self._apart(seen), strict=True)
        return carried, tallies, gradient_norms

    def state(self, carried: TrainState, run: int) -> TrainState:
        """Returns a copy of one run's state, placed as if it were alone."""
        return self._one(carried, run)

    def place(self, batches: Sequence[PairBatch]) -> BatchArrays:
        """Puts the runs' batches on the devices, padded to equal rows."""
        rows = max(len(batch.token_ids) for batch in batches)
        padded = [pad_rows(batch, rows, pad_id=self._pad_id) for batch in batches]

        def put(name: str) -> jax.Array:
            array = np.stack([getattr(batch, name) for batch in padded])
            return jax.make_array_from_process_local_data(self._batches, array, array.shape)

        return {field.name: put(field.name) for field in dataclasses.fields(PairBatch)}

    def compile(self, state: TrainState, batch: BatchArrays) -> jax.stages.Compiled:
        """Compiles a step of all runs without making it.

        Args:
          state: a single run's, or its shapes.
          batch: what `place` returned.
        """
        num_runs = len(next(iter(batch.values())))
        abstract = jax.tree.map(
            lambda x, one: jax.ShapeDtypeStruct((num_runs, *x.shape), x.dtype, sharding=self._stacked(one)),
            state,
            self._placed,
        )
        with jax.set_mesh(self.mesh):
            return self._update.lower(abstract, batch).compile()

    def _stacked(self, one: NamedSharding) -> NamedSharding:
        return NamedSharding(self.mesh, PartitionSpec(RUN_AXIS, *one.spec))

    def _stack(self, one: NamedSharding, *leaves: jax.Array) -> jax.Array:
        stacked = jax.jit(lambda *x: jnp.stack(x), out_shardings=self._stacked(one))(*leaves)
        jax.block_until_ready(stacked)
        for leaf in leaves:
            leaf.delete()
        return stacked


def needed_bytes(compiled: jax.stages.Compiled) -> int:
    """Returns a device's memory that a compiled step takes."""
    memory = compiled.memory_analysis()
    passed_on = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return memory.argument_size_in_bytes + memory.temp_size_in_bytes + passed_on


def runs_that_fit(wanted: int, bytes_of: Callable[[int], int], *, limit_bytes: int) -> int:
    """Returns how many runs are made at once, at least one.

    Args:
      wanted: how many there are.
      bytes_of: a device's memory for so many runs at once.
      limit_bytes: what a device has.
    """
    runs = wanted
    while runs > 1 and (needed := bytes_of(runs)) > limit_bytes:
        # In proportion, but always fewer.
        runs = max(1, min(runs - 1, runs * limit_bytes // needed))
    return runs
