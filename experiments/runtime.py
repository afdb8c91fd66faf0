"""What every experiment does first and records of itself."""

import datetime
import logging as python_logging
import os
import shlex
import sys
import warnings
from pathlib import Path

from absl import logging


def start_jax() -> None:
    """Prepares JAX: quiet logs, and compiled programs kept between runs.

    Compiled programs go to `JAX_COMPILATION_CACHE_DIR`, by default `~/.cache/lingjax/xla`; the second start of an
    experiment then skips its compilations.
    """
    import jax

    logging.set_verbosity(logging.WARNING)
    for chatty in ("orbax", "absl", "jax"):
        python_logging.getLogger(chatty).setLevel(python_logging.WARNING)
    warnings.filterwarnings("ignore", module="orbax")
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "lingjax" / "xla"))


def command_line() -> str:
    """Returns the command as it can be typed again from the repository's root."""
    program = Path(sys.argv[0])
    return shlex.join(["python", "-m", f"{program.parent.name}.{program.stem}", *sys.argv[1:]])


def now_utc() -> str:
    """Returns the time as the report writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
