"""A recording of some training steps for TensorBoard's profiler."""

from typing import Any

import jax
from etils import epath


class Profile:
    """Records three steps, for JAX's profiler; a context manager, whose end stops a recording that is still going on.

    Args:
      folder: receives the recording.
      first: the first of the three steps; 0 records none.
    """

    def __init__(self, folder: epath.Path, first: int):
        self._folder, self._first, self._recording = folder, first, False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, *_):
        if self._recording:
            jax.profiler.stop_trace()

    def before(self, step: int) -> None:
        """Begins to record, if this step is the first."""
        if self._first and step == self._first:
            jax.profiler.start_trace(str(self._folder))
            self._recording = True

    def after(self, step: int, carried: Any) -> None:
        """Ends the recording, if this step was the last of three, once `carried` is computed."""
        if self._recording and step == self._first + 2:
            jax.block_until_ready(carried)
            jax.profiler.stop_trace()
            self._recording = False
