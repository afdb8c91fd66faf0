"""Runs a command on TPUs: python -m experiments.launch_tpu --name=NAME --zone=ZONE --accelerator=TYPE -- COMMAND.

Asks for a TPU VM or slice and waits for it, sends the last commit, installs it, runs the command on every worker,
follows the log of worker 0, brings back a workdir that is not in a bucket, and deletes the VM. Given again, the same
command goes on from wherever the last one stopped: it waits for the same VM, follows the same run, or replaces a VM
that was preempted. One slice a launch; it needs the Google Cloud CLI; docs/running-on-tpu.md tells the rest.

Command: python -m experiments.launch_tpu --name=gpt2 --zone=us-west4-a --accelerator=v5litepod-16
    --workdir=gs://BUCKET/gpt2 -- python -m experiments.pretrain --config=experiments/configs/pretrain_gpt2.py
"""

import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from absl import flags

from experiments import tpu_vm
from experiments.runtime import command_line
from experiments.tpu_vm import Move, RemoteCommand, TpuVm
from lingjax import command
from lingjax.errors import InputError, raise_problems

_NAME = flags.DEFINE_string("name", None, "Name of the VM: small letters, digits, dashes.", required=True)
_ZONE = flags.DEFINE_string("zone", None, "Zone, for example us-west4-a.", required=True)
_ACCELERATOR = flags.DEFINE_string("accelerator", None, "Type, for example v5litepod-16.", required=True)
_PROJECT = flags.DEFINE_string("project", "", "Google Cloud project; empty: gcloud's own.")
_VERSION = flags.DEFINE_string("version", "", "Runtime version; empty: the accelerator's usual one.")
_SPOT = flags.DEFINE_bool("spot", False, "Ask for spot capacity, which is cheaper and may be taken away.")
_NETWORK = flags.DEFINE_string("network", "", "Network; empty: default.")
_ENV = flags.DEFINE_list("env", [], "Environment of the command: KEY=VALUE,KEY=VALUE.")
_WORKDIR = flags.DEFINE_string("workdir", "", "The command's --workdir: gs://BUCKET/..., or runs/NAME on one machine.")
_KEEP = flags.DEFINE_bool("keep", False, "Leave the VM, and its cost, after the run.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print the commands of a first launch, one a line, and run none.")
_POLL_SECONDS = flags.DEFINE_float("poll_seconds", 15, "How often to look whether the VM is ready.", lower_bound=0)


class CommandError(Exception):
    """A command that this one ran did not succeed; `code` is its exit code, `line` the one that says why."""

    def __init__(self, failed: Sequence[str], code: int, errors: str):
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        # gcloud adds advice and details below its own line.
        own = [line for line in lines if line.startswith("ERROR: ")]
        self.code = code
        self.line = (own or lines or ["no message"])[-1]
        super().__init__(f"{shlex.join(failed)} failed with exit code {code}: {self.line}")


class Runner(Protocol):
    """Runs commands, and raises `CommandError`."""

    def run(self, command: Sequence[str]) -> None:
        """Runs a command whose output is for the user."""

    def ask(self, command: Sequence[str]) -> str:
        """Runs a command quietly and returns what it wrote to its standard output."""


class Shell:
    """Runs commands as processes; what they write to stderr is passed on as it comes."""

    def run(self, command: Sequence[str]) -> None:
        """Runs a command and lets its output through."""
        errors = b""
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            while piece := process.stderr.read1():
                sys.stderr.buffer.write(piece)
                sys.stderr.buffer.flush()
                errors = (errors + piece)[-10_000:]
        if process.returncode:
            raise CommandError(command, process.returncode, errors.decode(errors="replace"))

    def ask(self, command: Sequence[str]) -> str:
        """Runs a command and returns its output."""
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandError(command, done.returncode, done.stderr)
        return done.stdout


class Rehearsal:
    """Prints commands instead of running them, and answers as if the VM were ready as soon as it is asked for."""

    def __init__(self, vm: TpuVm):
        self._vm = vm
        self._created = False

    def run(self, command: Sequence[str]) -> None:
        """Prints a command."""
        sys.stdout.write(shlex.join(command) + "\n")
        self._created |= list(command) == self._vm.create()

    def ask(self, command: Sequence[str]) -> str:
        """Prints a command and makes up its answer."""
        sys.stdout.write(shlex.join(command) + "\n")
        if "describe" not in command:
            return "0" if command[0] == "gcloud" else ""
        if not self._created:
            raise CommandError(command, 1, "ERROR: NOT_FOUND")
        state = {"state": "ACTIVE"} if "queued-resources" in command else "READY"
        return json.dumps({"state": state, "acceleratorType": self._vm.accelerator})


@dataclasses.dataclass
class Launch:
    """One launch, from nothing or from wherever an earlier one stopped.

    Attributes:
      vm, job: what runs where.
      keep: leave the VM at the end.
      runner: runs the commands.
      wait: called between two looks at a VM that is not ready.
      say: tells the user how things stand.
    """

    vm: TpuVm
    job: RemoteCommand
    keep: bool
    runner: Runner
    wait: Callable[[], None]
    say: Callable[[str], None]
    _created: bool = dataclasses.field(default=False, init=False)
    _requested: bool = dataclasses.field(default=True, init=False)
    _packed: bool = dataclasses.field(default=False, init=False)

    def run(self) -> int:
        """Goes all the way and returns the exit code of the command that ran on the workers.

        Raises:
          CommandError: a step did not succeed; the VM stays as it is.
          InputError: the VM or the checkout is not as it must be; the VM stays as it is.
        """
        self._reach_ready()
        if not self._is_running():
            self._send()
            self._on_all(tpu_vm.start_script(self.job))
        self.runner.run(self.vm.ssh(tpu_vm.FOLLOW, worker="0"))
        codes = [int(line) for line in self._ask_all(tpu_vm.EXIT_CODE).split()]
        code = next(filter(None, codes), 0)
        if code:
            self.say(f"the command ended with exit code {code}; the end of each worker's log:")
            self._on_all(tpu_vm.LOG_END)
        self._bring_back(failed=bool(code))
        if self.keep or not self._requested:
            self.say(f"{self.vm.name} stays; delete it by: {self.deletion()}")
        else:
            self.runner.run(self.vm.delete(with_request=True))
        return code

    def deletion(self) -> str:
        """Returns the command that deletes the VM."""
        return shlex.join(self.vm.delete(with_request=self._requested))

    def _reach_ready(self) -> None:
        seen = None
        while True:
            request = self._look(self.vm.describe_request())
            node = self._look(self.vm.describe_node())
            self._requested = request is not None or node is None
            states = (request["state"]["state"] if request else None, node["state"] if node else None)
            if states != seen:
                seen = states
                self.say(f"{self.vm.name}: request {states[0] or 'none'}, VM {states[1] or 'none'}")
            move = tpu_vm.next_move(*states)
            if move is Move.USE:
                break
            if move is Move.WAIT:
                self.wait()
            elif move is Move.CREATE:
                self._pack()
                self.runner.run(self.vm.create())
                self._created = True
            elif self._created:
                raise InputError(f"{self.vm.name} was not granted: {json.dumps(request['state'])}; try again later")
            else:
                self.runner.run(self.vm.delete(with_request=request is not None))
        kind = node.get("acceleratorType", self.vm.accelerator)
        if kind != self.vm.accelerator:
            raise InputError(f"{self.vm.name} is a {kind}, not a {self.vm.accelerator}; choose another --name")

    def _look(self, describe: list[str]) -> Any:
        try:
            return json.loads(self.runner.ask(describe))
        except CommandError as error:
            if "NOT_FOUND" in error.line:
                return None
            raise

    def _is_running(self) -> bool:
        if self._created:
            return False
        running = set(self._ask_all(tpu_vm.RUNNING).splitlines())
        others = running - {self.job.line}
        if others:
            raise InputError(f"{self.vm.name} runs another command: {others.pop()}; wait for it, or delete the VM")
        return bool(running)

    def _pack(self) -> None:
        """Packs the last commit, once, at the moment that the launch is sure to need it."""
        if self._packed:
            return
        lines = self.runner.ask(["git", "status", "--porcelain"]).splitlines()
        raise_problems(
            "changes that no commit holds would not reach the VM, commit or stash them first",
            [line.strip() for line in lines if not line.startswith("??")],
        )
        unknown = [line.removeprefix("?? ") for line in lines if line.startswith("??")]
        if unknown:
            self.say(f"not sent, for git does not know them: {', '.join(unknown)}")
        self.runner.run(["mkdir", "-p", "build"])
        self.runner.run(["git", "archive", f"--output={self._archive}", "HEAD"])
        self._packed = True

    def _send(self) -> None:
        self._pack()
        self.runner.run(self.vm.send(self._archive))
        self.runner.run(["rm", self._archive])
        self._on_all(tpu_vm.install_script())

    def _bring_back(self, *, failed: bool) -> None:
        if not self.job.brought_back:
            if self.job.workdir:
                self.say(f"the results are in {self.job.workdir}")
            return
        folder = Path(self.job.workdir)
        partial = f"{folder.parent}/.{folder.name}.partial"
        self.runner.run(["mkdir", "-p", str(folder.parent)])
        self.runner.run(["rm", "-rf", partial])
        try:
            self.runner.run(self.vm.fetch(self.job.workdir, partial))
        except CommandError as error:
            if not failed:
                raise
            self.say(f"nothing brought back: {error}")  # a command may fail before it makes its workdir
            return
        self.runner.run(["mv", partial, self.job.workdir])

    def _on_all(self, script: str) -> None:
        self.runner.run(self.vm.ssh(script, worker="all"))

    def _ask_all(self, script: str) -> str:
        return self.runner.ask(self.vm.ssh(script, worker="all"))

    @property
    def _archive(self) -> str:
        return f"build/{self.vm.name}.tar.gz"


def _check(vm: TpuVm, job: RemoteCommand) -> None:
    if job.brought_back and vm.several_hosts:
        raise InputError(
            f"--workdir={job.workdir}: the machines of a {vm.accelerator} share no disk; use gs://BUCKET/..."
        )
    if job.brought_back and Path(job.workdir).exists():
        raise InputError(f"--workdir={job.workdir} exists here, where the run's would go; choose another")
    if not Path("setup.py").exists():
        raise InputError("run this from the repository's root, which is what the VM receives")


def _environment(pairs: Sequence[str]) -> dict[str, str]:
    environment = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise InputError(f"--env: expected KEY=VALUE, got '{pair}'; quote a value that holds a comma: '\"K=a,b\"'")
        environment[name] = value
    return environment


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def main(arguments: list[str]) -> None:
    """Launches, and on any stop before the end says how to go on and how to delete."""
    vm = TpuVm(
        name=_NAME.value,
        zone=_ZONE.value,
        accelerator=_ACCELERATOR.value,
        runtime=_VERSION.value,
        project=_PROJECT.value,
        network=_NETWORK.value,
        spot=_SPOT.value,
    )
    job = RemoteCommand(tuple(arguments), _environment(_ENV.value), _WORKDIR.value)
    _check(vm, job)
    if not _DRY_RUN.value and shutil.which("gcloud") is None:
        raise InputError("gcloud is not installed; see https://cloud.google.com/sdk/docs/install")
    if job.brought_back and vm.spot:
        _say(f"{job.workdir} is on the VM and is lost if that is preempted; a gs:// workdir would stay")

    launch = Launch(
        vm=vm,
        job=job,
        keep=_KEEP.value,
        runner=Rehearsal(vm) if _DRY_RUN.value else Shell(),
        wait=lambda: time.sleep(_POLL_SECONDS.value),
        say=_say,
    )
    try:
        code = launch.run()
    except CommandError as error:
        _say(f"error: {error}")
        _say_how_to_go_on(launch)
        sys.exit(error.code)
    except KeyboardInterrupt:
        _say_how_to_go_on(launch)
        raise
    sys.exit(code)


def _say_how_to_go_on(launch: Launch) -> None:
    _say(f"go on:  {command_line()}")
    _say(f"delete: {launch.deletion()}")


if __name__ == "__main__":
    command.run(main, positional=True)
