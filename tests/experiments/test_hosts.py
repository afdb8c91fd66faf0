"""Two processes of two devices each, which find each other over the loopback, beside one process of four."""

import os
import socket
import subprocess
import sys

import jax
import pytest

from lingjax.reporting import read_report
from lingjax.training.mesh import make_mesh
from lingjax.training.metrics import read_metrics
from lingjax.training.run_folder import read_result, read_run_description
from lingjax.training.start import hash_parameters, restore_run
from tests.experiments.conftest import ROOT


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory):
    """Runs a command in one process and in two, and returns the two workdirs."""

    def run(*arguments):
        folder = tmp_path_factory.mktemp("hosts")
        address = free_address()
        _finish([_start(f"--workdir={folder}/one", *arguments, devices=4)])
        hosts = ["--num_processes=2", f"--coordinator_address={address}"]
        _finish(
            [
                _start(f"--workdir={folder}/two", *arguments, *hosts, f"--process_id={number}", devices=2)
                for number in range(2)
            ]
        )
        return folder / "one", folder / "two"

    return run


@pytest.fixture(scope="module")
def first_run(command, pretraining_flags, tmp_path_factory):
    """A run of one process on one device."""
    folder = tmp_path_factory.mktemp("first") / "run"
    command("experiments.pretrain", f"--workdir={folder}", *pretraining_flags)
    return folder


def _sha256(run):
    restored = restore_run(run, mesh=make_mesh("data:1", devices=jax.devices()[:1]), changes={})
    return hash_parameters(restored.parameters)


def free_address() -> str:
    """Returns a place on this machine where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def _start(workdir, command, *arguments, devices):
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_backend_optimization_level=0 --xla_force_host_platform_device_count={devices}",
    }
    return subprocess.Popen(
        [sys.executable, "-m", command, workdir, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(processes):
    for process in processes:
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-2000:]


def _tokens(run):
    """The tokens that the rates of a run's log and result stand for."""
    rates = [*read_metrics(run), read_result(run)]
    return [round(rate["tokens_per_second"] * rate["seconds"]) for rate in rates if rate.get("tokens_per_second")]


def test_two_processes_pretrain_as_one_does(both_ways, pretraining_flags):
    folders = both_ways("experiments.pretrain", *pretraining_flags, "--config.mesh=data:2,tensor:2")
    for one, two in zip(*(read_result(folder)["history"] for folder in folders), strict=True):
        assert one == pytest.approx(two, rel=1e-5)
    one, two = ([line["loss"] for line in read_metrics(folder) if "loss" in line] for folder in folders)
    assert one == pytest.approx(two, rel=1e-5)
    assert _tokens(folders[0]) == _tokens(folders[1])


@pytest.mark.exhaustive
@pytest.mark.parametrize("spec", ["fsdp:4", "data:2,tensor:2", "fsdp:2,tensor:2"])
def test_two_processes_go_on_from_a_run_as_one_does(both_ways, first_run, pretraining_flags, spec):
    flags = [flag for flag in pretraining_flags if not flag.startswith("--config.model")]
    folders = both_ways(
        "experiments.pretrain",
        *flags,
        f"--config.model.init={first_run}",
        f"--config.mesh={spec}",
        "--config.train.steps=2",
    )
    one, two = ([line["loss"] for line in read_metrics(folder) if "loss" in line] for folder in folders)
    assert one == pytest.approx(two, rel=1e-5)
    sums = {read_run_description(folder)["init"]["sha256"] for folder in folders}
    assert sums == {_sha256(first_run)}


@pytest.mark.exhaustive
def test_two_processes_fine_tune_and_judge_as_one_does(both_ways, transfer_flags):
    options = ["--config.mesh=data:2,fsdp:2", "--config.control_seeds=0", "--config.seeds=1"]
    one, two = both_ways("experiments.transfer", *transfer_flags, *options)
    histories = [read_result(folder / "seed0")["history"] for folder in (one, two)]
    for before, after in zip(*histories, strict=True):
        assert before == pytest.approx(after, rel=1e-4)
    assert _tokens(one / "seed0") == _tokens(two / "seed0")
    for path in sorted((one / "reports").iterdir()):
        here, there = read_report(path), read_report(two / "reports" / path.name)
        assert there.environment["processes"] == 2
        assert here.seeds[0]["auroc"] == pytest.approx(there.seeds[0]["auroc"], abs=1e-3)
        assert here.seeds[0]["log_loss"] == pytest.approx(there.seeds[0]["log_loss"], rel=1e-4)
    assert (two / "report.html").exists()
