"""Jobs of submitit whose cells are small processes in place of experiments."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from experiments import grid, jobs
from lingjax.errors import InputError
from tests.experiments.conftest import ROOT

DEFAULTS = {
    "cell_flag": [],
    "dry_run": False,
    "cluster": "local",
    "max_parallel": 2,
    "minutes": 60,
    "cpus": None,
    "gpus": 1,
    "partition": None,
    "slurm": [],
}

# Counts its starts in the file `starts`, prints its GPUs, and does what its seed says.
SCRIPT = """
import os, pathlib, signal, sys, time
folder, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2])
starts = folder / "starts"
starts.write_text(starts.read_text() + "." if starts.exists() else ".")
print(os.environ.get("CUDA_VISIBLE_DEVICES"))
if seed == 1:
    sys.stderr.write("10%\\rerror: a bad value\\n")
    sys.exit(2)
if seed == 2:
    os.kill(os.getpid(), signal.SIGKILL)
if seed == 3 and len(starts.read_text()) == 1:  # saves when it is asked to stop, and is done when started again
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    (folder / "waits").write_text(str(os.getppid()))
    time.sleep(60)
"""


@pytest.fixture
def options(tmp_path, monkeypatch):
    """Makes flags, and cells whose processes are `SCRIPT`."""
    monkeypatch.chdir(ROOT)

    def arguments(cell):
        return [sys.executable, "-c", SCRIPT, str(cell.folder), str(cell.settings["seed"])]

    monkeypatch.setattr(grid.Cell, "arguments", property(arguments))

    def make(**changes):
        return {
            name: SimpleNamespace(value=value) for name, value in {**DEFAULTS, "workdir": tmp_path, **changes}.items()
        }

    return make


def cells_of(tmp_path, seeds):
    return grid.make_cells("transfer", {"config.seed": seeds.split(",")}, flags=[], workdir=tmp_path)


def starts(cell):
    path = cell.folder / "starts"
    return len(path.read_text()) if path.exists() else 0


@pytest.mark.parametrize("cluster", ["local", "debug"])
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # submitit's logs in this process
def test_a_cell_that_fails_does_not_stop_the_others_and_is_tried_again(options, tmp_path, cluster):
    cells = cells_of(tmp_path, "1,2,0")
    for tries in (1, 2):
        outcomes = jobs.run_grid(cells, options(cluster=cluster))
        assert [outcome.error for outcome in outcomes] == ["error: a bad value", "killed by SIGKILL", ""]
        # What is finished is not started again.
        assert [starts(cell) for cell in cells] == [tries, tries, 1]


def test_a_dry_run_prints_every_command_and_makes_nothing(options, tmp_path, capsys):
    cells = cells_of(tmp_path, "0,1")
    assert jobs.run_grid(cells, options(dry_run=True)) == []
    assert capsys.readouterr().out == "".join(f"{cell.command}\n" for cell in cells)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("gpus", "visible_here", "seen"),
    [(1, None, ["0", "1"]), (2, None, ["0,1", "2,3"]), (0, None, ["", ""]), (1, "4,7", ["4", "7"])],
)
def test_cells_that_run_together_see_different_gpus(monkeypatch, options, tmp_path, gpus, visible_here, seen):
    class Executor:
        def submit(self, job):
            job()
            job.done = lambda: True
            return job

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible_here:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible_here)
    monkeypatch.setattr(jobs, "_open_executor", lambda *_: Executor())
    cells = cells_of(tmp_path, "0,4")
    jobs.run_grid(cells, options(gpus=gpus))
    assert [(cell.folder / "stdout.log").read_text() for cell in cells] == [f"{one}\n" for one in seen]


def test_a_job_that_the_cluster_does_not_take_is_one_line(monkeypatch, options, tmp_path):
    from submitit.core.utils import FailedJobError

    class Executor:
        def submit(self, job):
            raise FailedJobError("sbatch: wait\nsbatch: error: invalid partition specified: nowhere\n")

    monkeypatch.setattr(jobs, "_open_executor", lambda *_: Executor())
    with pytest.raises(InputError, match=r"^the cluster did not take seed=0: sbatch: error: invalid partition"):
        jobs.run_grid(cells_of(tmp_path, "0"), options())


@pytest.mark.parametrize(("most", "together"), [(1, 1), (0, 1), (2, 2)])
def test_no_more_cells_run_at_a_time_than_allowed(monkeypatch, options, tmp_path, most, together):
    seen = []

    class Executor:
        def submit(self, job):
            jobs.write_sealed(job.folder / "outcome.json", {"exit_code": 0, "error": "", "seconds": 1.0})
            job.done = lambda: seen.append(job) is None
            running.append(job)
            counts.append(len(running) - len(seen))
            return job

    running, counts = [], []
    monkeypatch.setattr(jobs, "_open_executor", lambda *_: Executor())
    monkeypatch.setattr(jobs, "_SECONDS_BETWEEN_LOOKS", 0)
    jobs.run_grid(cells_of(tmp_path, "0,1,2"), options(max_parallel=most))
    assert max(counts) == together


def test_a_job_whose_time_is_up_stops_its_cell_and_goes_on(options, tmp_path):
    import submitit

    (cell,) = cells_of(tmp_path, "3")
    executor = submitit.AutoExecutor(folder=tmp_path / "jobs", cluster="local")
    executor.update_parameters(timeout_min=60)
    job = executor.submit(jobs.CellJob(cell.arguments, cell.folder))
    # The warning that a cluster sends to the job.
    os.kill(wait_for(cell.folder / "waits"), signal.SIGUSR2)
    assert job.result() == 0
    assert starts(cell) == 2


def test_a_grid_that_is_stopped_stops_its_cells_and_goes_on_later(options, tmp_path):
    (cell,) = cells_of(tmp_path, "3")

    def stop():
        wait_for(cell.folder / "waits")
        signal.raise_signal(signal.SIGTERM)

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(SystemExit) as stopped:
        jobs.run_grid([cell], options())
    stopper.join()
    assert stopped.value.code == 143
    assert not jobs.read_outcome(cell.folder)
    assert [outcome.error for outcome in jobs.run_grid([cell], options())] == [""]
    assert starts(cell) == 2


def test_a_cell_that_still_runs_elsewhere_is_waited_for(options, tmp_path):
    (cell,) = cells_of(tmp_path, "0")
    cell.folder.mkdir(parents=True)
    hold = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True)"
    command = [sys.executable, "-c", f"{hold}; time.sleep(0.7)", str(cell.folder / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as elsewhere:
        elsewhere.stdout.readline()
        began = time.monotonic()
        jobs.CellJob(cell.arguments, cell.folder)()
        assert time.monotonic() - began > 0.5
    assert starts(cell) == 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"partition": "gpu"}, "--partition is for --cluster=slurm, not local"),
        ({"cpus": 2}, "--cpus is for --cluster=slurm"),
        ({"slurm": ["account=me"]}, "--slurm is for --cluster=slurm"),
        ({"cluster": "slurm", "slurm": ["account"]}, "expected NAME=VALUE"),
        ({"cluster": "slurm"}, "--cluster=slurm: Could not detect"),
    ],
)
def test_a_cluster_that_cannot_be_is_one_line(options, tmp_path, changes, line):
    with pytest.raises(InputError) as error:
        jobs.run_grid(cells_of(tmp_path, "0"), options(**changes))
    assert line in str(error.value)


def test_settings_of_slurm_reach_sbatch(options, tmp_path, monkeypatch):
    import submitit

    monkeypatch.setattr(submitit.SlurmExecutor, "affinity", classmethod(lambda cls: 2))
    changes = {"cluster": "slurm", "partition": "long", "cpus": 3, "gpus": 2, "minutes": 7}
    values = {**DEFAULTS, **changes, "slurm": ["account=me", "qos=low"]}
    executor = jobs._open_executor(tmp_path / "jobs", values)
    script = executor._executor._make_submission_file_text("cell", "id")
    for option in ("partition=long", "cpus-per-task=3", "gpus-per-node=2", "time=7", "account=me", "qos=low"):
        assert f"#SBATCH --{option}\n" in script


def test_without_submitit_the_line_says_how_to_get_it(options, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"\.\[sweep\]"):
        jobs.run_grid(cells_of(tmp_path, "0"), options())


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("--config=a.py:b", "--cell_flag=--config=a.py:b"),
        ("-config.seed=1", "--cell_flag=--config.seed=1"),
        ("--vary=config.seed=1", "--vary=config.seed=1"),
        ("--dry_run", "--dry_run"),
    ],
)
def test_configuration_on_the_command_line_is_handed_on(given, taken):
    assert jobs.hand_on_config([given]) == [taken]


@pytest.mark.parametrize("argument", ["--config", "--config.offline", "--noconfig.offline"])
def test_configuration_without_a_value_is_refused(argument):
    with pytest.raises(InputError, match="write --"):
        jobs.hand_on_config([argument])


def wait_for(path):
    for _ in range(600):
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError(f"{path} does not appear")
