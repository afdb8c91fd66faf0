"""Checkpoints by Orbax: the whole training state and the data iterator's, written at once or not at all."""

import dataclasses
import json
import logging
import math
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jax.experimental import multihost_utils

from lingjax.axes import Parameters
from lingjax.errors import InputError, first_line
from lingjax.files import WAITS_SECONDS, is_in_bucket, is_passing, read_object, retried
from lingjax.sealed import digest
from lingjax.training.checksum import checksums
from lingjax.training.run_folder import check_can_hold_checkpoints
from lingjax.training.state import TrainState

_LOG = logging.getLogger(__name__)


def _rank(metrics: dict[str, Any]) -> tuple[float, int]:
    """Orders checkpoints, the best last: by score, the earliest of equals; those without a score come before."""
    score, step = metrics["score"], metrics["step"]
    return (-math.inf, step) if score is None else (score, -step)


def _to_saved(state: TrainState) -> dict[str, Any]:
    # Typed random keys are not arrays to a writer; their words are.
    return {
        "step": state.step,
        "optimizer_state": state.optimizer_state,
        "dropout_key": jax.random.key_data(state.dropout_key),
    }


class DamagedCheckpointError(Exception):
    """A checkpoint cannot be read, or is not what was written."""


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint gives back."""

    state: TrainState
    progress: dict[str, Any]


class Checkpointer:
    """Writes and reads `FOLDER/STEP/`, keeping the newest checkpoints and the one with the highest score.

    Of equal scores the earliest counts as the best.

    Use it as a context manager: leaving waits for the writer.

    Args:
      folder: made if need be; local or a bucket's path.
      keep: how many of the newest are kept.
      read_only: leave the folder as it is; otherwise what a killed run left unfinished is removed, which would be wrong
        beside a run that is still writing.

    Raises:
      InputError: a checkpoint's score, by which the best is kept, cannot be read, or Orbax cannot write to a folder of
        such a name.
    """

    def __init__(self, folder: epath.PathLike, *, keep: int = 1, read_only: bool = False):
        self.folder = epath.Path(folder)
        if not read_only:
            check_can_hold_checkpoints(self.folder)
        _check_scores(self.folder)
        policies = ocp.checkpoint_managers
        keep = policies.AnyPreservationPolicy(
            [
                policies.LatestN(keep),
                policies.BestN(get_metric_fn=_rank, n=1, keep_checkpoints_without_metrics=False),
            ]
        )
        self._manager = ocp.CheckpointManager(
            # `absolute` would make a folder of this machine, CWD/gs:/..., of a bucket's path.
            self.folder if is_in_bucket(self.folder) else self.folder.absolute(),
            # Without `best_fn` the scores would not be written, and a resumed run would delete the best checkpoint.
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                best_fn=_rank,
                create=not read_only,
                cleanup_tmp_directories=not read_only,
            ),
        )

    def __enter__(self) -> "Checkpointer":
        return self

    def __exit__(self, *_):
        self._manager.wait_until_finished()
        self._manager.close()

    def wait(self) -> None:
        """Returns when all that was saved is written."""
        self._manager.wait_until_finished()

    def all_steps(self) -> list[int]:
        """Returns the steps of the finished checkpoints."""
        return list(self._manager.all_steps())

    def latest_step(self) -> int | None:
        """Returns the newest finished checkpoint's step, or None."""
        return self._manager.latest_step()

    def save(self, state: TrainState, *, progress: dict[str, Any], score: float | None = None) -> None:
        """Writes one checkpoint in the background; a step that is there already is left as it is.

        Args:
          state: all of it is written.
          progress: plain values: the iterator's state and the run's history.
          score: higher is better; the best is kept. None for a checkpoint that only serves resuming.
        """
        step = int(state.step)
        metrics = {"score": score, "step": step}
        written = checksums({"parameters": state.parameters, "training": _to_saved(state)})
        self._manager.save(
            step,
            args=ocp.args.Composite(
                parameters=ocp.args.StandardSave(state.parameters),
                training=ocp.args.StandardSave(_to_saved(state)),
                progress=ocp.args.JsonSave(progress),
                checksums=ocp.args.JsonSave({**written, "progress": digest(progress)}),
            ),
            metrics=metrics,
        )

    def restore(self, like: TrainState) -> Restored | None:
        """Reads the newest checkpoint into the shapes, types and shardings of `like`; None if there is none.

        One that cannot be read is passed over as in `restore_together`.

        Raises:
          InputError: there are checkpoints, and none can be read; all stay where they are.
        """
        restored = restore_together([self], [like])
        return None if restored is None else restored[0]

    def go_back_to(self, taken: int, *, damaged: Mapping[int, Exception]) -> None:
        """Leaves no checkpoint after the step `taken`: the damaged are set aside, with their errors; others removed."""
        for step, error in damaged.items():
            sys.stderr.write(
                f"{self.folder / str(step)}: cannot be read ({first_line(error)}); "
                f"going on from step {taken}, and setting it aside as damaged-{step}\n"
            )
            if jax.process_index() == 0:
                (self.folder / str(step)).rename(self.folder / f"damaged-{step}")
        if damaged:
            agree_on(0)  # no host looks at the folder before the first has renamed
            self._manager.reload()
        for step in self.all_steps():
            if step > taken:
                self._manager.delete(step)

    def restore_step(self, step: int, like: TrainState) -> Restored:
        """Reads one checkpoint into the shapes, types and shardings of `like`.

        Raises:
          DamagedCheckpointError: it cannot be read, or is not what was written; every host says so.
          InputError: it cannot be read now, and nothing tells that it is damaged.
        """
        restored = self._read(
            step,
            parameters=ocp.args.StandardRestore(_abstract(like.parameters)),
            training=ocp.args.StandardRestore(_abstract(_to_saved(like))),
            progress=ocp.args.JsonRestore(),
        )
        training = restored.training
        state = TrainState(
            step=training["step"],
            parameters=restored.parameters,
            optimizer_state=training["optimizer_state"],
            dropout_key=jax.random.wrap_key_data(training["dropout_key"]),
        )
        return Restored(state, restored.progress)

    def restore_parameters(self, like: Parameters, *, step: int) -> Parameters:
        """Reads only the parameters of one checkpoint.

        Args:
          like: gives shapes, types and shardings; `jax.ShapeDtypeStruct` leaves suffice.
          step: which checkpoint.

        Raises:
          InputError: there is no such checkpoint, or it is damaged.
        """
        if step not in self._manager.all_steps():
            raise InputError(
                f"{self.folder}: no finished checkpoint of step {step}, there are {self._manager.all_steps()}"
            )
        try:
            return self._read(step, parameters=ocp.args.StandardRestore(_abstract(like))).parameters
        except DamagedCheckpointError as error:
            raise InputError(
                f"{self.folder / str(step)}: is damaged ({error}); put back a whole copy, or train it again"
            ) from error

    def _read(self, step: int, **items: ocp.args.CheckpointArgs) -> Any:
        """Reads items of a checkpoint; every host gets them, or none."""
        # Checkpoints of older versions have no checksums.
        known = {"checksums": ocp.args.JsonRestore()} if self._has_checksums(step) else {}
        for tries, seconds in enumerate((*WAITS_SECONDS, 0.0), start=1):
            failure, read = None, None
            try:
                read = self._manager.restore(step, args=ocp.args.Composite(**items, **known))
            except Exception as error:  # Orbax, TensorStore and JSON each raise their own, and more than one kind
                failure = error
            verdict = agree_on(_judge(failure, tries=tries))
            if verdict == _SOUND:
                break
            if verdict == _DAMAGED:
                raise DamagedCheckpointError(first_line(failure or "another host cannot read it")) from failure
            time.sleep(seconds)
        else:
            raise InputError(
                f"{self.folder / str(step)}: cannot be read now ({first_line(failure or 'on another host')}), though "
                "it may be sound; nothing was changed, the same command goes on when it can be read"
            ) from failure
        if not known:
            _LOG.warning("%s: has no checksums, as checkpoints of older versions", self.folder / str(step))
        if known:
            arrays = {name: getattr(read, name) for name in ("parameters", "training") if name in items}
            now = checksums(arrays)
            if "progress" in items and "progress" in read.checksums:  # not in those of older versions
                now["progress"] = digest(read.progress)
            changed = [name for name, value in now.items() if read.checksums.get(name) != value]
            if changed:
                raise DamagedCheckpointError(f"the numbers of {changed[0]} are not those that were written")
        return read

    def check_scores(self, scores: Mapping[int, float]) -> None:
        """Refuses checkpoints whose scores, by which the best is kept, are not those of the run's history.

        Raises:
          InputError: a file of scores is damaged; names it.
        """
        for step in self.all_steps():
            # By their digests, since no NaN equals another.
            if step in scores and digest((self._manager.metrics(step) or {}).get("score")) != digest(scores[step]):
                raise InputError(
                    f"{self.folder / str(step) / 'metrics'}: is damaged: its score is not the {scores[step]} of the "
                    f"run's history; put back a whole copy, or remove {self.folder / str(step)}"
                )

    def _has_checksums(self, step: int) -> bool:
        here = retried((self.folder / str(step) / "checksums").exists)
        return bool(agree_on(int(here)))


def restore_together(checkpointers: Sequence[Checkpointer], likes: Sequence[TrainState]) -> list[Restored] | None:
    """Reads the newest step of which every folder has a checkpoint; None if there is none.

    One that is damaged, because a disk or a copy was cut off, is set aside as `damaged-STEP` with a line on stderr, and
    the step before it is taken. A failure that may pass is no damage: it is tried again, and at last raised. All hosts
    take the same step. Later steps that only some folders hold, because a kill came between two savings,
    are removed: the runs make them again together.

    Args:
      checkpointers: those of runs that save the same steps, each keeping two or more where they are several.
      likes: their states; give shapes, types and shardings.

    Raises:
      InputError: there are such steps, and none can be read, or one not now; all stay where they are.
    """
    common = set.intersection(*(set(each.all_steps()) for each in checkpointers))
    damaged: list[dict[int, Exception]] = [{} for _ in checkpointers]
    for step in sorted(common, reverse=True):
        restored = []
        for checkpointer, like, errors in zip(checkpointers, likes, damaged, strict=True):
            try:
                restored.append(checkpointer.restore_step(step, like))
            except DamagedCheckpointError as error:
                errors[step] = error
        if len(restored) == len(checkpointers):
            for checkpointer, errors in zip(checkpointers, damaged, strict=True):
                checkpointer.go_back_to(step, damaged=errors)
            return restored
    for checkpointer, errors in zip(checkpointers, damaged, strict=True):
        for step, error in errors.items():
            raise InputError(
                f"{checkpointer.folder}: no checkpoint of the steps {sorted(common)} can be read ({step}: "
                f"{first_line(error)}); remove the folder to start anew, or put back a whole copy"
            )
    for checkpointer in checkpointers:
        checkpointer.go_back_to(0, damaged={})
    return None


def agree_on(value: int) -> int:
    """Returns the largest of the hosts' values, to each of them; all must ask."""
    if jax.process_count() == 1:
        return value
    return int(np.max(multihost_utils.process_allgather(np.int32(value))))


_SOUND, _DAMAGED, _UNCLEAR = range(3)
# What JSON, TensorStore and file systems raise of data that are missing or not what was written.
_DAMAGE_WORDS = re.compile(r"DATA_LOSS|NOT_FOUND|OUT_OF_RANGE|corrupt|checksum|not found|does not exist", re.IGNORECASE)
_TRIES_OF_UNKNOWN = 3


def _judge(failure: Exception | None, *, tries: int) -> int:
    """Says what a failed reading tells of a checkpoint, after so many tries."""
    if failure is None:
        return _SOUND
    if isinstance(failure, (FileNotFoundError, json.JSONDecodeError)):
        return _DAMAGED
    if is_passing(failure):
        return _UNCLEAR
    return _DAMAGED if _DAMAGE_WORDS.search(str(failure)) or tries >= _TRIES_OF_UNKNOWN else _UNCLEAR


def _check_scores(folder: epath.Path) -> None:
    """Refuses finished checkpoints without a score of their step; Orbax would lose the best of them, or fail."""
    for step in filter(_is_finished, retried(lambda: list(folder.iterdir())) if retried(folder.is_dir) else []):
        path = step / "metrics" / "metrics"
        try:
            scored = retried(lambda path=path: read_object(path, needed=("score", "step")))
            score = scored["score"]
            if scored["step"] != int(step.name) or not (score is None or isinstance(score, (int, float))):
                raise InputError(f"{path}: is not the score of step {step.name}")
        except InputError as error:
            raise InputError(f"{error}; put back a whole copy, or remove {step}") from error


def _is_finished(step: epath.Path) -> bool:
    # In a bucket nothing is renamed: a folder has its name from the beginning, and a file of Orbax's at its end.
    return step.name.isdecimal() and (not is_in_bucket(step) or retried((step / "commit_success.txt").exists))


def _abstract(tree: Any) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None)), tree)
