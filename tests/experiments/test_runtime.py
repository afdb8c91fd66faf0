import os
import subprocess
import sys

import pytest

from experiments import runtime

CLUSTER_NAMES = (
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_RANK",
    "TPU_WORKER_HOSTNAMES",
    "TPU_SKIP_MDS_QUERY",
)


@pytest.mark.parametrize(
    ("environment", "chips", "expected"),
    [
        ({}, False, False),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, False, True),
        ({"SLURM_NTASKS": "4"}, False, False),  # the batch script itself, outside of srun
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, False, False),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, False, True),
        ({"TPU_WORKER_HOSTNAMES": "host-0,host-1"}, False, True),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, False, False),
        ({}, True, True),
        ({"TPU_SKIP_MDS_QUERY": "1"}, True, False),
    ],
)
def test_a_process_knows_whether_it_is_one_of_several(monkeypatch, environment, chips, expected):
    for name in CLUSTER_NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(runtime, "_has_tpu_chips", lambda: chips)
    assert runtime._is_one_of_many() is expected


@pytest.mark.parametrize(
    ("environment", "expected"), [({}, 0.1), ({"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "7"}, 7)]
)
def test_short_compilations_are_kept_unless_the_environment_says_otherwise(environment, expected):
    program = (
        "import jax; from experiments.runtime import start_jax; start_jax(); "
        "print(jax.config.jax_persistent_cache_min_compile_time_secs)"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JAX_PERSISTENT_CACHE")}
    result = subprocess.run(
        [sys.executable, "-c", program], env=clean | environment, capture_output=True, text=True, check=True
    )
    assert float(result.stdout) == expected
