"""A TPU VM as gcloud sees it: its commands, the states it goes through, and the scripts that its workers run.

Nothing here runs anything: texts are built and decisions made; `experiments.launch_tpu` hands them to gcloud.

Source of commands, flags and states: Google Cloud CLI 528, `gcloud compute tpus queued-resources` and `tpu-vm`.
"""

import dataclasses
import enum
import re
import shlex
from collections.abc import Sequence

from lingjax.errors import InputError, nearest

# By generation, as accelerator types begin. Source: https://cloud.google.com/tpu/docs/runtimes, "PyTorch and JAX".
RUNTIMES = {
    "v2": "tpu-ubuntu2204-base",
    "v3": "tpu-ubuntu2204-base",
    "v4": "tpu-ubuntu2204-base",
    "v5litepod": "v2-alpha-tpuv5-lite",
    "v5p": "v2-alpha-tpuv5",
    "v6e": "v2-alpha-tpuv6e",
}

# The largest type of every generation that is one machine, in the unit of its name (cores, or chips for v5litepod and
# v6e). Source: the pages of the generations, https://cloud.google.com/tpu/docs/system-architecture-tpu-vm.
_ONE_HOST = 8

# The runtimes are Ubuntu 22.04, whose Python 3.10 is too old; the constraints were resolved with this one.
_PYTHON = "3.11"

# Below the home directory of a worker.
_CODE, _RUN, _PYTHON_FOLDER, _ARCHIVE = "lingjax", "lingjax_run", "lingjax_python", "lingjax.tar.gz"


@dataclasses.dataclass(frozen=True)
class TpuVm:
    """A TPU VM, or a slice of several, asked for as the queued resource of the same name; its methods build commands.

    Attributes:
      name: what the request and the VM are called.
      zone: for example us-west4-a.
      accelerator: for example v5litepod-16 (16 chips of v5e) or v4-16 (16 cores, so 8 chips).
      runtime: software version; empty: the one of the accelerator's generation.
      project: empty: the one that gcloud is configured with.
      network: empty: `default`.
      spot: cheaper, and may be taken away at any moment.

    Raises:
      InputError: the name or the accelerator cannot be one.
    """

    name: str
    zone: str
    accelerator: str
    runtime: str = ""
    project: str = ""
    network: str = ""
    spot: bool = False

    def __post_init__(self):
        if not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", self.name):
            raise InputError(
                f"--name={self.name}: up to 63 small letters, digits and dashes, beginning with a letter and not "
                "ending with a dash"
            )
        generation, dash, size = self.accelerator.rpartition("-")
        if not dash or not size.isdecimal():
            raise InputError(f"--accelerator={self.accelerator}: expected GENERATION-SIZE, as in v5litepod-16")
        if not self.runtime and generation not in RUNTIMES:
            hint = "gcloud calls v5e v5litepod" if generation == "v5e" else nearest(generation, RUNTIMES)
            raise InputError(f"--accelerator={self.accelerator}: {hint}; or name its runtime by --version")
        if not self.runtime:
            object.__setattr__(self, "runtime", RUNTIMES[generation])

    @property
    def several_hosts(self) -> bool:
        """Whether the slice spans machines, which then need a bucket in common."""
        return int(self.accelerator.rpartition("-")[2]) > _ONE_HOST

    def create(self) -> list[str]:
        """Asks for the VM; it comes when there is room."""
        return self._gcloud(
            ["queued-resources", "create", self.name],
            f"--node-id={self.name}",
            f"--accelerator-type={self.accelerator}",
            f"--runtime-version={self.runtime}",
            *([f"--network={self.network}"] if self.network else []),
            *(["--spot"] if self.spot else []),
            "--quiet",
        )

    def describe_request(self) -> list[str]:
        """Asks how the request stands."""
        return self._gcloud(["queued-resources", "describe", self.name], "--format=json")

    def describe_node(self) -> list[str]:
        """Asks how the VM stands."""
        return self._gcloud(["tpu-vm", "describe", self.name], "--format=json")

    def delete(self, *, with_request: bool) -> list[str]:
        """Deletes the VM, together with its request if it has one."""
        if with_request:
            return self._gcloud(["queued-resources", "delete", self.name], "--force", "--quiet")
        return self._gcloud(["tpu-vm", "delete", self.name], "--quiet")

    def ssh(self, script: str, *, worker: str) -> list[str]:
        """Runs a script in the home directory of one worker (its number) or of `all` at once."""
        return self._gcloud(["tpu-vm", "ssh", self.name], f"--worker={worker}", f"--command={script}", "--quiet")

    def send(self, archive: str) -> list[str]:
        """Copies the packed checkout to every worker."""
        return self._gcloud(["tpu-vm", "scp", archive, f"{self.name}:{_ARCHIVE}"], "--worker=all", "--quiet")

    def fetch(self, folder: str, destination: str) -> list[str]:
        """Copies a folder, relative to the checkout on worker 0, to a local name that does not exist yet."""
        source = f"{self.name}:{_CODE}/{folder}"
        return self._gcloud(["tpu-vm", "scp", source, destination], "--recurse", "--worker=0", "--quiet")

    def _gcloud(self, words: Sequence[str], *flags: str) -> list[str]:
        project = [f"--project={self.project}"] if self.project else []
        return ["gcloud", "compute", "tpus", *words, f"--zone={self.zone}", *project, *flags]


class Move(enum.Enum):
    """What brings a VM nearer to being ready."""

    CREATE = "ask for it"
    WAIT = "look again later"
    REPLACE = "delete it, for it will not come back"
    USE = "it is ready"


_MOVES_BY_REQUEST = {
    **dict.fromkeys(("CREATING", "ACCEPTED", "WAITING_FOR_RESOURCES", "PROVISIONING"), Move.WAIT),
    **dict.fromkeys(("SUSPENDING", "DELETING"), Move.WAIT),
    **dict.fromkeys(("SUSPENDED", "FAILED"), Move.REPLACE),
}
_MOVES_BY_NODE = {
    "READY": Move.USE,
    **dict.fromkeys(("CREATING", "STARTING", "RESTARTING", "REIMAGING", "REPAIRING", "DELETING"), Move.WAIT),
    **dict.fromkeys(("PREEMPTED", "TERMINATED"), Move.REPLACE),
}


def next_move(request: str | None, node: str | None) -> Move:
    """Decides by the states of the queued resource and of the VM; None where there is none.

    Raises:
      InputError: somebody stopped the VM, or it is in a state that cannot be judged here.
    """
    if request is not None and request != "ACTIVE":
        if request not in _MOVES_BY_REQUEST:
            raise InputError(f"the request is in the state {request}, which is not known here")
        return _MOVES_BY_REQUEST[request]
    if node is None:
        # A VM deleted behind its request's back: the request is soon suspended.
        return Move.CREATE if request is None else Move.WAIT
    if node not in _MOVES_BY_NODE:
        raise InputError(f"the VM is {node}: start it with gcloud compute tpus tpu-vm start, or delete it")
    return _MOVES_BY_NODE[node]


@dataclasses.dataclass(frozen=True)
class RemoteCommand:
    """What runs on the workers.

    Attributes:
      command: as it was typed, without its workdir.
      environment: variables set for it.
      workdir: a bucket's path, or a folder below `runs/` on the VM; empty: the command has none.

    Raises:
      InputError: there is no command, or its workdir cannot be reached afterwards.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    workdir: str

    def __post_init__(self):
        if not self.command:
            raise InputError("no command: give one after --, as in -- python -m experiments.pretrain --config=FILE")
        if any(argument.startswith("--workdir") for argument in self.command):
            raise InputError("give --workdir before the --, so that it is passed on and brought back")
        if self.brought_back and not re.fullmatch(r"runs(/\w[\w.-]*)+", self.workdir):
            raise InputError(f"--workdir={self.workdir}: expected gs://BUCKET/FOLDER, or a folder below runs/")

    @property
    def brought_back(self) -> bool:
        """Whether the workdir is on the VM."""
        return bool(self.workdir) and not self.workdir.startswith("gs://")

    @property
    def line(self) -> str:
        """The whole command, quoted for a shell."""
        return shlex.join([*self.command, *([f"--workdir={self.workdir}"] if self.workdir else [])])


def install_script() -> str:
    """Unpacks the checkout and installs it; `runs/` and `data/` of an earlier one stay, as git ignores them too."""
    python = f"{_PYTHON_FOLDER}/bin/python"
    uv = f"python3 -m pip install --quiet --user uv && python3 -m uv venv --quiet --seed --python={_PYTHON}"
    return "; ".join(
        [
            "set -e",
            f"mkdir -p {_CODE} {_RUN}",
            f"find {_CODE} -mindepth 1 -maxdepth 1 -not -name runs -not -name data -exec rm -rf '{{}}' +",
            f"tar -xzf {_ARCHIVE} -C {_CODE}",
            f"[ -x {python} ] || {{ {uv} {_PYTHON_FOLDER}; }}",
            f"cd {_CODE}",
            f'../{python} -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[tpu]"',
        ]
    )


def start_script(job: RemoteCommand) -> str:
    """Starts a job that outlives the connection, and does nothing if one is running already.

    It holds a lock for as long as it or a child of it lives; its output goes to `log`, its exit code to `exit_code`.
    """
    variables = [f"{name}={shlex.quote(value)}" for name, value in job.environment.items()]
    body = "; ".join(
        [
            f'cd "$HOME/{_CODE}"',
            " ".join([f'export PATH="$HOME/{_PYTHON_FOLDER}/bin:$PATH"', *variables]),
            job.line,
            f'echo $? > "$HOME/{_RUN}/exit_code"',
        ]
    )
    return "; ".join(
        [
            f"cd {_RUN} && exec 9> lock || exit",
            "flock --nonblock 9 || exit 0",
            "rm -f exit_code",
            f"printf '%s\\n' {shlex.quote(job.line)} > command",
            ": > log",
            f"nohup setsid bash -c {shlex.quote(body)} >> log 2>&1 < /dev/null &",
        ]
    )


# Prints the command that is running, if there is one.
RUNNING = f"if [ -f {_RUN}/lock ] && ! flock --nonblock {_RUN}/lock true; then cat {_RUN}/command; fi"
# Prints the log, from its beginning, until the command has ended.
FOLLOW = f"cd {_RUN} && {{ flock --shared lock true & tail --pid=$! --lines=+1 --follow log; }}"
# Waits for the end and prints the exit code; a command that was killed could not write one.
EXIT_CODE = f"cd {_RUN} && flock --shared lock true && {{ [ -s exit_code ] && cat exit_code || echo 137; }}"
# The end of the log, each line with its worker's name.
LOG_END = f'tail --lines=20 {_RUN}/log | sed "s/^/$(hostname): /"'
