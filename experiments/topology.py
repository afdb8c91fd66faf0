"""Devices that are described, not present: TPU slices for the compiler, and simulated CPU devices."""

import importlib.util
import os
from typing import TYPE_CHECKING

from lingjax.errors import InputError, first_line, nearest

if TYPE_CHECKING:
    import jax

# Of a v4 chip's two cores JAX makes one device, as here; left alone, the compiler counts cores.
_OPTIONS = {"v4": {"chip_config_name": "megacore"}}

# The compiler takes a host to have 2x2 chips and refuses a slice that is smaller, unless it is told.
_ONE_CHIP = {"chips_per_host_bounds": (1, 1, 1)}

# Any type that libtpu knows of a generation serves to start its compiler; the topology decides the rest.
_ACCELERATOR_TYPES = {
    "v3": "v3-32",
    "v4": "v4-32",
    "v5e": "v5litepod-16",
    "v5p": "v5p-32",
    "v6e": "v6e-16",
}


def open_topology(text: str) -> "list[jax.Device]":
    """Returns the abstract devices of `GENERATION:SHAPE`, such as v5e:4x4, or of `cpu:COUNT`.

    Must be called before JAX starts, because both kinds are announced through the environment.

    Raises:
      InputError: the text is not of this form, libtpu is not installed, or it does not know the topology.
    """
    generation, colon, shape = text.partition(":")
    known = ("cpu", *_ACCELERATOR_TYPES)
    if generation not in known:
        raise InputError(f"--topology={text}: '{generation}' is not known, {nearest(generation, known)}")
    if not colon or not all(part.isdecimal() and int(part) for part in shape.split("x")):
        raise InputError(f"--topology={text}: expected a shape after the generation, as in v5e:4x4 or cpu:8")
    os.environ["JAX_PLATFORMS"] = "cpu"
    if generation == "cpu":
        return _simulated(int(shape) if shape.isdecimal() else 0, text)
    if importlib.util.find_spec("libtpu") is None:
        raise InputError('libtpu, the compiler of TPUs, is not installed: pip install -c constraints.txt -e ".[tpu]"')
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", _ACCELERATOR_TYPES[generation])
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    # The compiler's lock keeps two programs off one TPU; there is none here, and several may compile at once.
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    from jax.experimental import topologies

    options = _OPTIONS.get(generation, {}) | (_ONE_CHIP if set(shape.split("x")) == {"1"} else {})
    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=text, **options).devices)
    except Exception as error:  # libtpu's errors reach Python as several types
        raise InputError(
            f"--topology={text}: libtpu does not make it ({first_line(error)}); shapes are like 4x4 or 2x2x4"
        ) from error


def _simulated(count: int, text: str) -> "list[jax.Device]":
    if not count:
        raise InputError(f"--topology={text}: CPU devices are counted, as in cpu:8")
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
    import jax

    return jax.devices()
