"""Launching against a stand-in for gcloud."""

import json
import os
import shlex
import shutil
import signal
import time

import pytest

from tests.experiments.gcloud_stand_in import Site


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


SEND_AND_START = ["scp all", "ssh all", "ssh all"]
FOLLOW_TO_THE_END = ["ssh 0", "ssh all"]


def test_a_launch_asks_sends_installs_starts_follows_and_deletes_in_this_order(site):
    done = site.launch()
    assert done.returncode == 0, done.stderr
    assert site.steps() == ["create", *SEND_AND_START, *FOLLOW_TO_THE_END, "delete"]
    assert list((site.repository / "build").iterdir()) == []


def test_a_dry_run_prints_the_commands_of_a_launch_and_runs_none(site):
    flags = ("--workdir=runs/a", "--env=TEXT=it's 1", "--spot")
    dry = site.launch(*flags, "--dry_run", job=("python", "-c", 'print("a b")'))
    assert dry.returncode == 0, dry.stderr
    assert site.calls() == []
    assert not (site.repository / "build").exists()
    printed = [shlex.split(line) for line in dry.stdout.splitlines()]
    site.launch(*flags, job=("python", "-c", 'print("a b")'))
    assert [words for words in printed if words[0] == "gcloud"] == site.calls()
    others = [words[:2] for words in printed if words[0] != "gcloud"]
    assert others == [
        *(["git", "status"], ["mkdir", "-p"], ["git", "archive"], ["rm", "build/vm.tar.gz"]),
        *(["mkdir", "-p"], ["rm", "-rf"], ["mv", "runs/.a.partial"]),
    ]


def test_a_dry_run_needs_no_gcloud(site):
    site.environment["PATH"] = str(site.repository)
    assert site.launch("--dry_run").returncode == 0


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--spot"], "--spot"),
        (["--network=mine"], "--network=mine"),
        (["--project=ours"], "--project=ours"),
        (["--version=newest"], "--runtime-version=newest"),
    ],
)
def test_a_flag_reaches_the_request(site, flags, word):
    def request(*arguments: str) -> list[str]:
        lines = site.launch("--dry_run", *arguments).stdout.splitlines()
        return shlex.split(next(line for line in lines if " create " in line))

    assert word in request(*flags)
    assert word not in request()


def test_a_ready_vm_is_used_again(site):
    site.state(request=["ACTIVE"], node=["READY"])
    assert site.launch().returncode == 0
    assert site.steps() == ["ssh all", *SEND_AND_START, *FOLLOW_TO_THE_END, "delete"]


@pytest.mark.parametrize(
    ("state", "group"),
    [
        ({"request": ["ACTIVE"], "node": ["PREEMPTED"]}, "queued-resources"),
        ({"request": ["SUSPENDING", "SUSPENDED"]}, "queued-resources"),
        ({"node": ["PREEMPTED"]}, "tpu-vm"),
    ],
)
def test_a_preempted_vm_is_deleted_and_asked_for_again(site, state, group):
    site.state(**state)
    assert site.launch().returncode == 0
    assert site.steps() == ["delete", "create", *SEND_AND_START, *FOLLOW_TO_THE_END, "delete"]
    assert [call[3] for call in site.calls() if call[4] == "delete"] == [group, "queued-resources"]


def test_a_vm_that_was_made_by_hand_is_used_and_stays(site):
    site.state(node=["READY"])
    done = site.launch()
    assert done.returncode == 0
    assert "delete" not in site.steps()
    assert "gcloud compute tpus tpu-vm delete vm --zone=us-west4-a --quiet" in done.stderr


def test_a_vm_is_waited_for_and_each_new_state_told(site):
    waiting = ["WAITING_FOR_RESOURCES", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
    site.state(created={"request": waiting, "node": [None, None, "CREATING", "READY"]})
    done = site.launch()
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if line.startswith("vm: ")] == [
        "vm: request none, VM none",
        "vm: request WAITING_FOR_RESOURCES, VM none",
        "vm: request PROVISIONING, VM CREATING",
        "vm: request ACTIVE, VM READY",
    ]


def test_a_request_that_is_not_granted_ends_the_launch(site):
    site.state(created={"request": ["PROVISIONING", "FAILED"], "node": [None]})
    done = site.launch()
    assert done.returncode == 2
    assert "vm was not granted" in done.stderr and "FAILED" in done.stderr
    assert site.steps() == ["create"]


def test_a_vm_of_another_type_is_refused(site):
    site.state(request=["ACTIVE"], node=["READY"], accelerator="v4-16")
    done = site.launch()
    assert (done.returncode, site.steps()) == (2, [])
    assert "vm is a v4-16, not a v4-8" in done.stderr


@pytest.mark.parametrize(
    ("step", "made"),
    [
        ("describe", []),
        (" create ", ["create"]),
        (" scp ", ["create", "scp all"]),
        ("pip install", ["create", "scp all", "ssh all"]),
        ("setsid", ["create", *SEND_AND_START]),
        ("--follow", ["create", *SEND_AND_START, "ssh 0"]),
    ],
)
def test_a_step_that_fails_passes_its_code_on_and_tells_how_to_go_on_and_to_delete(site, step, made):
    site.state(fails={step: 7})
    done = site.launch("--project=ours")
    assert (done.returncode, site.steps()) == (7, made)
    error, go_on, delete = done.stderr.splitlines()[-3:]
    assert error.startswith("error: gcloud compute tpus ")
    assert error.endswith("failed with exit code 7: ERROR: (gcloud) the stand-in refuses")
    assert go_on == "go on:  " + shlex.join(["python", *site.command("--project=ours")[1:]])
    command = "gcloud compute tpus queued-resources delete vm --zone=us-west4-a --project=ours --force --quiet"
    assert delete == f"delete: {command}"


def test_a_command_that_fails_shows_every_log_passes_its_code_on_and_deletes(site):
    site.state(exit_codes=[0, 3, 0])
    done = site.launch()
    assert done.returncode == 3
    assert site.steps() == ["create", *SEND_AND_START, *FOLLOW_TO_THE_END, "ssh all", "delete"]
    assert "the command ended with exit code 3" in done.stderr


def test_keep_leaves_the_vm_and_tells_how_to_delete_it(site):
    done = site.launch("--keep")
    assert done.returncode == 0
    assert "delete" not in site.steps()
    assert "vm stays; delete it by: gcloud compute tpus queued-resources delete vm" in done.stderr


def test_a_run_in_progress_is_followed_and_not_disturbed(site):
    site.state(request=["ACTIVE"], node=["READY"], running="python -m experiments.pretrain")
    (site.repository / "setup.py").write_text("changed since")
    assert site.launch().returncode == 0
    assert site.steps() == ["ssh all", *FOLLOW_TO_THE_END, "delete"]


def test_another_run_in_progress_is_left_alone(site):
    site.state(request=["ACTIVE"], node=["READY"], running="python -m experiments.finetune")
    done = site.launch()
    assert (done.returncode, site.steps()) == (2, ["ssh all"])
    assert "vm runs another command: python -m experiments.finetune" in done.stderr


def test_an_interrupt_leaves_the_run_and_tells_how_to_go_on_and_to_delete(site):
    site.state(hangs="--follow")
    launch = site.start()
    deadline = time.monotonic() + 30
    while not (site.folder / "hanging").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(launch.pid, signal.SIGINT)  # as a terminal does: to every process
    _, errors = launch.communicate(timeout=30)
    assert launch.returncode == 130
    assert "go on:  python -m experiments.launch_tpu" in errors
    assert "delete: gcloud compute tpus queued-resources delete vm" in errors
    assert site.steps()[-1] == "ssh 0"


def test_a_workdir_on_the_vm_comes_back_whole(site):
    done = site.launch("--workdir=runs/deep/a")
    assert done.returncode == 0, done.stderr
    fetch = site.calls()[-2]
    assert fetch[5:7] == ["vm:lingjax/runs/deep/a", "runs/deep/.a.partial"]
    assert [path.name for path in (site.repository / "runs" / "deep").iterdir()] == ["a"]


def test_a_workdir_in_a_bucket_is_pointed_to(site):
    site.state(accelerator="v4-16")
    done = site.launch("--workdir=gs://bucket/a", accelerator="v4-16", job=("train",))
    assert done.returncode == 0
    assert "the results are in gs://bucket/a" in done.stderr
    assert any("train --workdir=gs://bucket/a" in word for call in site.calls() for word in call)


def test_a_command_that_fails_before_it_makes_its_workdir_is_deleted_all_the_same(site):
    site.state(exit_codes=[2], fails={"--recurse": 1})
    done = site.launch("--workdir=runs/a")
    assert (done.returncode, site.steps()[-1]) == (2, "delete")
    assert "nothing brought back" in done.stderr


def test_changes_that_no_commit_holds_are_refused_by_name_before_anything_is_made(site):
    (site.repository / "setup.py").write_text("changed")
    done = site.launch()
    assert (done.returncode, site.steps()) == (2, [])
    assert "commit or stash them first: M setup.py" in done.stderr


def test_files_that_git_does_not_know_are_named(site):
    (site.repository / "mine.py").write_text("")
    done = site.launch()
    assert done.returncode == 0
    assert "not sent, for git does not know them: mine.py" in done.stderr


def test_outside_a_repository_git_has_the_word(site):
    shutil.rmtree(site.repository / ".git")
    done = site.launch()
    assert (done.returncode, site.steps()) == (128, [])
    assert "not a git repository" in done.stderr


def test_without_gcloud_the_one_line_says_where_to_get_it(site):
    site.environment["PATH"] = str(site.repository)
    done = site.launch()
    assert done.returncode == 2
    assert done.stderr == "error: gcloud is not installed; see https://cloud.google.com/sdk/docs/install\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--name=My_VM", "--", "train"], "--name=My_VM: up to 63 small letters"),
        (["--accelerator=v5e-16", "--", "train"], "gcloud calls v5e v5litepod"),
        (["--accelerator=v5litpod-16", "--", "train"], "did you mean 'v5litepod'?"),
        (["--accelerator=v4", "--", "train"], "expected GENERATION-SIZE"),
        (["--env=A", "--", "train"], "expected KEY=VALUE, got 'A'"),
        (["--env=2A=1", "--", "train"], "expected KEY=VALUE, got '2A=1'"),
        (["--workdir=/tmp/a", "--", "train"], "expected gs://BUCKET/FOLDER, or a folder below runs/"),
        (["--workdir=runs/../a", "--", "train"], "expected gs://BUCKET/FOLDER, or a folder below runs/"),
        (["--workdir=runs/a", "--accelerator=v4-16", "--", "train"], "the machines of a v4-16 share no disk"),
        (["--num_slices=2", "--", "train"], "Unknown command line flag 'num_slices'"),
        (["--poll_seconds=-1", "--", "train"], "poll_seconds"),
        ([], "no command: give one after --"),
        (["--", "train", "--workdir=a"], "give --workdir before the --"),
    ],
)
def test_bad_arguments_are_one_line(site, arguments, says):
    done = site.launch(*arguments, job=())
    assert (done.returncode, site.calls()) == (2, [])
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_workdir_that_is_here_already_is_refused(site):
    (site.repository / "runs" / "a").mkdir(parents=True)
    done = site.launch("--workdir=runs/a")
    assert done.returncode == 2
    assert "--workdir=runs/a exists here" in done.stderr


@pytest.mark.skipif(shutil.which("flock") is None, reason="the workers run Linux")
class TestWorkers:
    """The scripts really run, in one folder a worker."""

    def test_two_workers_install_and_run_the_command_as_it_was_typed(self, site):
        site.state(execute=2, accelerator="v4-16")
        program = "import os, sys; print(os.environ['WORKER'], os.environ['TEXT'], sys.argv[1:], os.getcwd())"
        words = ("two words", "it's", '"$HOME"', "a\\b", "*", "é;&")
        done = site.launch("--env=TEXT=x  $y 'z'", job=("python", "-c", program, *words), accelerator="v4-16")
        assert done.returncode == 0, done.stderr
        home = site.folder / "worker0"
        assert done.stdout == f"worker0 x  $y 'z' {list(words)} {home / 'lingjax'}\n"
        assert (site.folder / "worker1" / "lingjax_run" / "log").read_text().startswith("worker1 x  $y 'z'")
        assert (home / "installed").read_text().splitlines() == [
            "python3 -m pip install --quiet --user uv",
            "python3 -m uv venv --quiet --seed --python=3.11 lingjax_python",
            f"{home}/lingjax python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .[tpu]",
        ]

    def test_the_code_of_a_worker_that_fails_is_passed_on_with_its_log(self, site):
        site.state(execute=2, accelerator="v4-16")
        program = "import os, sys; print(os.environ['WORKER']); sys.exit(5 * (os.environ['WORKER'] == 'worker1'))"
        done = site.launch(job=("python", "-c", program), accelerator="v4-16")
        assert done.returncode == 5
        assert f"{os.uname().nodename}: worker1" in done.stdout

    def test_a_command_that_was_killed_counts_as_failed(self, site):
        site.state(execute=1)
        program = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
        assert site.launch(job=("python", "-c", program)).returncode == 137

    def test_results_stay_and_old_code_goes_when_the_same_vm_is_used_again(self, site):
        site.state(execute=1)
        job = ("sh", "-c", 'ls; mkdir -p "${1#*=}"; date +%N > "${1#*=}/$(date +%N)"', "sh")
        assert site.launch("--keep", "--workdir=runs/a", job=job).returncode == 0
        shutil.move(site.repository / "runs" / "a", site.folder / "first")
        site.git("mv", "setup.py", "other.py")
        site.commit()
        (site.repository / "setup.py").write_text("")
        done = site.launch("--workdir=runs/a", job=job)
        assert done.stdout.split() == ["constraints.txt", "other.py", "runs"]
        first = {path.name for path in (site.folder / "first").iterdir()}
        both = {path.name for path in (site.repository / "runs" / "a").iterdir()}
        assert len(first) == 1 and len(both) == 2 and first < both

    def test_a_run_in_progress_is_found_and_not_started_twice(self, site):
        site.state(execute=1, fails={"--follow": 9})
        job = ("sh", "-c", "echo start; while [ ! -e go ]; do sleep 0.05; done; echo end")
        assert site.launch(job=job).returncode == 9
        state = json.loads((site.folder / "state.json").read_text())
        site.state(**{**state, "fails": {}})
        launch = site.start(job=job)
        assert launch.stdout.readline() == "start\n"
        (site.folder / "worker0" / "lingjax" / "go").touch()
        assert launch.communicate(timeout=30)[0] == "end\n"
        assert launch.returncode == 0
        assert sum("setsid" in word for call in site.calls() for word in call) == 1
