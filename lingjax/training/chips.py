"""What accelerators can do, as published, for shares of the peak and for estimates."""

import dataclasses

_GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """One device as JAX counts them.

    Attributes:
      peak_flops: dense bfloat16 operations a second.
      memory_bytes: how much high-bandwidth memory it has.
      interconnect_bytes: a second between chips of a slice, all links of a chip in one direction together; None where
        it is not published, or depends on the server, as of GPUs.
    """

    peak_flops: float
    memory_bytes: int
    interconnect_bytes: float | None = None


# By JAX's device kind. Sources: NVIDIA's data sheets of A100, H100 SXM, H200 and B200; the Cloud TPU pages of v3, v4,
# v5e, v5p and v6e (docs.cloud.google.com/tpu/docs/v5e and so on). Links: half of what those pages call bidirectional
# bandwidth a chip; of v4 the all-reduce bandwidth of a pod by its 4,096 chips, which for v5e and v6e gives the same as
# that half. A device of v3 is a core, half a chip.
_CHIPS = {
    "NVIDIA A100-SXM4-40GB": Chip(312e12, 40 * _GIB),
    "NVIDIA A100-SXM4-80GB": Chip(312e12, 80 * _GIB),
    "NVIDIA A100 80GB PCIe": Chip(312e12, 80 * _GIB),
    "NVIDIA H100 80GB HBM3": Chip(989e12, 80 * _GIB),
    "NVIDIA H200": Chip(989e12, 141 * _GIB),
    "NVIDIA B200": Chip(2250e12, 180 * _GIB),
    "TPU v3": Chip(61.5e12, 16 * _GIB),
    "TPU v4": Chip(275e12, 32 * _GIB, 268e9),
    "TPU v5 lite": Chip(197e12, 16 * _GIB, 200e9),
    "TPU v5": Chip(459e12, 95 * _GIB, 600e9),
    "TPU v6 lite": Chip(918e12, 32 * _GIB, 400e9),
}
_CHIPS |= {"TPU v5e": _CHIPS["TPU v5 lite"], "TPU v5p": _CHIPS["TPU v5"], "TPU v6e": _CHIPS["TPU v6 lite"]}


def find_chip(device_kind: str) -> Chip | None:
    """Returns what is known of a device, or None if it is not listed."""
    return _CHIPS.get(device_kind)
