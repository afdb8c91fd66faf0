"""What holds for every test: eight CPU devices, programs compiled quickly rather than well and once a session."""

import atexit
import os
import shutil
import tempfile

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


def _share_compiled_programs() -> None:
    """Names one folder of compiled programs for all processes of this session, which inherit it, and removes it."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="lingjax-xla-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not a fork of this process
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)


_share_compiled_programs()
