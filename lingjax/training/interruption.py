"""A polite end: SIGTERM, as preempted machines get, lets the running step finish and a checkpoint be written."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import jax

EXIT_CODE = 128 + signal.SIGTERM
"""What a shell reports of a program that SIGTERM ended."""


@contextlib.contextmanager
def watch_for_sigterm() -> Iterator[Callable[[int], bool]]:
    """Catches SIGTERM inside the block, and yields a function of the step that says whether to stop after it.

    Of several processes, all are told to stop after the same step, whichever of them was asked: JAX's coordination
    service spreads the word. Outside the main thread nothing is caught.
    """
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        yield multihost_utils.reached_preemption_sync_point
        return
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield lambda step: asked.is_set()
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield lambda step: asked.is_set()
    finally:
        signal.signal(signal.SIGTERM, before)
