"""Checkpoints by Orbax: the whole training state and the data iterator's, written at once or not at all."""

import dataclasses
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from lingjax.axes import Parameters
from lingjax.errors import InputError
from lingjax.training.state import TrainState

_SCORE = "score"


def _to_saved(state: TrainState) -> dict[str, Any]:
    # Typed random keys are not arrays to a writer; their words are.
    return {
        "step": state.step,
        "optimizer_state": state.optimizer_state,
        "dropout_key": jax.random.key_data(state.dropout_key),
    }


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint gives back."""

    state: TrainState
    progress: dict[str, Any]


class Checkpointer:
    """Writes and reads `FOLDER/STEP/`, keeping the newest checkpoint and the one with the highest score.

    Use it as a context manager: leaving waits for the writer.

    Args:
      folder: made if need be; local or a bucket's path.
    """

    def __init__(self, folder: epath.PathLike):
        self.folder = epath.Path(folder)
        policies = ocp.checkpoint_managers
        keep = policies.AnyPreservationPolicy(
            [
                policies.LatestN(1),
                policies.BestN(
                    get_metric_fn=lambda metrics: metrics[_SCORE], n=1, keep_checkpoints_without_metrics=False
                ),
            ]
        )
        self._manager = ocp.CheckpointManager(
            self.folder.absolute(),
            options=ocp.CheckpointManagerOptions(preservation_policy=keep, cleanup_tmp_directories=True),
        )

    def __enter__(self) -> "Checkpointer":
        return self

    def __exit__(self, *_):
        self._manager.wait_until_finished()
        self._manager.close()

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
        self._manager.save(
            int(state.step),
            args=ocp.args.Composite(
                parameters=ocp.args.StandardSave(state.parameters),
                training=ocp.args.StandardSave(_to_saved(state)),
                progress=ocp.args.JsonSave(progress),
            ),
            metrics=None if score is None else {_SCORE: score},
        )

    def restore(self, like: TrainState) -> Restored | None:
        """Reads the newest checkpoint into the shapes, types and shardings of `like`; None if there is none."""
        step = self.latest_step()
        if step is None:
            return None
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                parameters=ocp.args.StandardRestore(_abstract(like.parameters)),
                training=ocp.args.StandardRestore(_abstract(_to_saved(like))),
                progress=ocp.args.JsonRestore(),
            ),
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
          InputError: there is no such checkpoint.
        """
        if step not in self._manager.all_steps():
            raise InputError(
                f"{self.folder}: no finished checkpoint of step {step}, there are {self._manager.all_steps()}"
            )
        args = ocp.args.Composite(parameters=ocp.args.StandardRestore(_abstract(like)))
        return self._manager.restore(step, args=args).parameters


def _abstract(tree: Any) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None)), tree)
