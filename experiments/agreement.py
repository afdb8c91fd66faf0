"""Were the processes of a run started alike? With other settings they train what no recipe says, or hang."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from lingjax.errors import InputError

_MOST_BYTES = 2**18  # of a compressed configuration; shipped ones take 1,000


def check_same_settings(config: Mapping[str, Any], workdir: object) -> None:
    """Compares what the processes of a run were asked for; all must call it, after they have found each other.

    Raises:
      InputError: a process differs from the first; every process says which, and by what keys.
    """
    import jax

    if jax.process_count() == 1:
        return
    import numpy as np
    from jax.experimental import multihost_utils

    from lingjax.study.config import differences

    ours = zlib.compress(json.dumps({"config": config, "workdir": str(workdir)}, sort_keys=True).encode())
    if len(ours) > _MOST_BYTES:
        raise InputError(f"the configuration takes {len(ours)} bytes, more than the {_MOST_BYTES} that are compared")
    padded = np.zeros(_MOST_BYTES + 4, np.uint8)
    padded[:4] = np.frombuffer(np.uint32(len(ours)).tobytes(), np.uint8)
    padded[4 : 4 + len(ours)] = np.frombuffer(ours, np.uint8)
    first, *others = map(_unpacked, multihost_utils.process_allgather(padded))
    problems = [
        f"process {number} was started with other settings than process 0: "
        + ", ".join(f"{key} {change}" for key, change in differences(first, other).items())
        for number, other in enumerate(others, start=1)
        if other != first
    ]
    if problems:
        raise InputError("; ".join(problems[:3]) + "; start all with the same flags")


def _unpacked(row: Any) -> dict[str, Any]:
    size = int.from_bytes(row[:4].tobytes(), "little")
    return json.loads(zlib.decompress(row[4 : 4 + size].tobytes()))
