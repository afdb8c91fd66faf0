"""A process that has imported what commands import, and forks once a command: a tenth of a fresh interpreter's time.

As a command it reads requests, one JSON object a line, from its input and answers each with the exit code.
"""

import contextlib
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

# What commands import, and what those modules import when they are first used; nothing that has flags.
_PREPARED = (
    "lingjax.command",
    "lingjax.study.evaluate",
    "lingjax.study.pretraining",
    "lingjax.study.publish",
    "lingjax.study.transfer",
    "grain",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "sklearn.linear_model",
    "tensorboardX",
    "transformers.models.bert.tokenization_bert",
    "transformers.models.gpt2.tokenization_gpt2",
)


class PreparedProcess:
    """Runs `python -m ARGUMENTS` as `subprocess.run` would, from forks of one process."""

    def __init__(self, *, folder: Path, environment: dict[str, str]):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.experiments.prepared_process"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, kill: tuple[float, int] | None = None) -> subprocess.CompletedProcess:
        """Runs a command; `kill` sends it a signal after so many seconds, unless it has ended by then."""
        with tempfile.TemporaryDirectory() as folder:
            outputs = [str(Path(folder) / name) for name in ("stdout", "stderr")]
            request = {"arguments": [*map(str, arguments)], "outputs": outputs, "environment": dict(os.environ)}
            request["kill"] = kill
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            stdout, stderr = (Path(path).read_text() for path in outputs)
        return subprocess.CompletedProcess(arguments, code, stdout, stderr)

    def close(self) -> None:
        self._process.communicate()


def _become(request: dict) -> None:
    """Runs a command in this process, as its own interpreter would."""
    for number, path in zip((1, 2), request["outputs"], strict=True):
        output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, number)
        os.close(output)
    unread = os.open(os.devnull, os.O_RDONLY)
    os.dup2(unread, 0)
    os.environ.update({name: text for name, text in request["environment"].items() if name not in _OWN})
    module, *arguments = request["arguments"]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


_OWN = ("JAX_PLATFORMS", "XLA_FLAGS")  # as this process was started, on one device


def _wait(child: int, kill: tuple[float, int] | None) -> int:
    """Returns how a child ended; its own children get the signal too, as from a terminal or a scheduler."""
    if kill is not None:
        seconds, number = kill
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status
            time.sleep(0.005)
        os.killpg(child, number)
    return os.waitpid(child, 0)[1]


def _serve() -> None:
    for module in _PREPARED:
        importlib.import_module(module)
    warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            return _become(json.loads(line))
        with contextlib.suppress(OSError):  # it may have done so, or be gone
            os.setpgid(child, child)
        status = _wait(child, json.loads(line)["kill"])
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return None


if __name__ == "__main__":
    _serve()
