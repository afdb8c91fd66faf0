"""What every experiment does first and records of itself."""

import importlib.util
import logging as python_logging
import os
import shlex
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import logging

from lingjax.errors import InputError, first_line
from lingjax.study.occasion import now_utc as now_utc

# A start has several compilations of tenths of a second; smaller ones would only fill the cache.
_SHORTEST_KEPT_SECONDS = 0.1


def start_jax(hosts: Mapping[str, Any] | None = None) -> None:
    """Prepares JAX: quiet logs, compiled programs kept between runs, and several processes joined to one.

    Compiled programs go to `JAX_COMPILATION_CACHE_DIR`, by default `~/.cache/lingjax/xla`; the second start of an
    experiment then skips its compilations, also those of less than a second, which JAX by itself would not keep.

    Args:
      hosts: as `configuration.define_run` gives them, of a command that may run in several processes. Without an
        address the processes of a TPU pod, of SLURM and of Open MPI find each other.

    Raises:
      InputError: the flags are incomplete, or the processes do not find each other.
    """
    import jax

    logging.set_verbosity(logging.WARNING)
    for chatty in ("orbax", "absl", "jax"):
        python_logging.getLogger(chatty).setLevel(python_logging.WARNING)
    warnings.filterwarnings("ignore", module="orbax")
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "lingjax" / "xla"))
    if not os.environ.get("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _SHORTEST_KEPT_SECONDS)
    if hosts is not None:
        _join_processes({name: flag.value for name, flag in hosts.items()})


def _join_processes(given: Mapping[str, Any]) -> None:
    import jax

    set_flags = [f"--{name}" for name, value in given.items() if value is not None]
    if 0 < len(set_flags) < len(given):
        missing = ", ".join(f"--{name}" for name, value in given.items() if value is None)
        raise InputError(f"{', '.join(set_flags)} without {missing}: several processes need all three")
    if set_flags and given["process_id"] >= given["num_processes"]:
        raise InputError(f"--process_id={given['process_id']} must be below --num_processes={given['num_processes']}")
    if not set_flags and not _is_one_of_many():
        return
    # Read when the CPU backend starts; elsewhere it changes nothing.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(**given)
    except (RuntimeError, ValueError) as error:
        where = given["coordinator_address"] or "the cluster's environment"
        raise InputError(f"the processes did not find each other by {where}: {first_line(error)}") from error


def _is_one_of_many() -> bool:
    """Says whether a TPU slice, SLURM or Open MPI may have started this process as one of several."""
    counts = [os.environ.get(name, "1") for name in ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE")]
    # An sbatch script's own shell sees SLURM_NTASKS too; only srun's tasks have a rank.
    in_task = "SLURM_PROCID" in os.environ or "OMPI_COMM_WORLD_RANK" in os.environ
    if in_task and any(count.isdecimal() and int(count) > 1 for count in counts):
        return True
    if "," in os.environ.get("TPU_WORKER_HOSTNAMES", ""):  # set by GKE
        return True
    # On a TPU VM the metadata server knows the slice; JAX asks it, and finds one process where there is one VM.
    return _has_tpu_chips() and not os.environ.get("TPU_SKIP_MDS_QUERY")


def _has_tpu_chips() -> bool:
    chips = any(any(Path("/dev").glob(pattern)) for pattern in ("accel*", "vfio/[0-9]*"))
    return chips and importlib.util.find_spec("libtpu") is not None


def is_first_process() -> bool:
    """Says whether this process writes and prints for all."""
    import jax

    return jax.process_index() == 0


def command_line() -> str:
    """Returns the command as it can be typed again from the repository's root."""
    program = Path(sys.argv[0])
    return shlex.join(["python", "-m", f"{program.parent.name}.{program.stem}", *sys.argv[1:]])
