"""A polite end: on SIGTERM, as preempted machines get, and on Ctrl-C the step ends and a checkpoint is written."""

import contextlib
import dataclasses
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import jax


@dataclasses.dataclass
class StopRequest:
    """Whether a run was asked to stop.

    Attributes:
      after: says of a step whether to stop after it.
      sent: what asked; SIGTERM where another host was asked.
    """

    after: Callable[[int], bool]
    sent: signal.Signals = signal.SIGTERM

    @property
    def exit_code(self) -> int:
        """What a shell reports of a program that the signal ended."""
        return 128 + self.sent


@contextlib.contextmanager
def watch_for_stop() -> Iterator[StopRequest]:
    """Catches SIGTERM and SIGINT inside the block; a second SIGINT interrupts at once.

    Left to Python, Ctrl-C raises wherever the program is, also inside callbacks of JAX, which swallow it.

    Of several processes, all are told to stop after the same step, whichever of them got SIGTERM: JAX's coordination
    service spreads the word; SIGINT is left to Python there. Outside the main thread nothing is caught.
    """
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        yield StopRequest(multihost_utils.reached_preemption_sync_point)
        return
    asked = threading.Event()
    request = StopRequest(lambda step: asked.is_set())
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and asked.is_set():
            raise KeyboardInterrupt
        request.sent = signal.Signals(number)
        asked.set()

    # Where SIGINT is ignored, as in the background of a shell without job control, it stays so.
    caught = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        caught.append(signal.SIGINT)
    before = {number: signal.signal(number, ask) for number in caught}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
