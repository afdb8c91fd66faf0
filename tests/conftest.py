"""What holds for every test: the CPU as eight devices, programs compiled quickly rather than well."""

import os

# JAX reads these when it first looks for devices; commands that tests start inherit them.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        # Tests compile many small programs and run each a few times. These two make compiling three times faster.
        "--xla_backend_optimization_level=0",
        "--xla_cpu_use_fusion_emitters=false",
    ]
)
