"""Says on stderr what a long build is doing, so that no stage passes in silence."""

import sys


def tell_stage(stage: str) -> None:
    """Writes one line, at once."""
    sys.stderr.write(stage + "\n")
    sys.stderr.flush()
