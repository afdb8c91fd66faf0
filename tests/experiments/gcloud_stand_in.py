"""A stand-in for gcloud: a program that writes down how it is called and answers from a state file.

`$STAND_IN/calls.jsonl` receives the arguments. `$STAND_IN/state.json` may hold `request` and `node` (the states that
`describe` tells, one a look, the last for good), `created` (what `create` makes of it), `accelerator`, `running` and
`exit_codes` (what the scripts of these names find), `fails` (part of a command: exit code), `hangs` (part of a script),
and `execute`: the number of workers whose scripts really run, each in its folder `$STAND_IN/workerN`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

GCLOUD = """#!/bin/sh
exec {python} -IS {stand_in} "$@"
"""

# The system's Python of a worker, on which uv makes an environment; there pip is only written down.
PYTHON3 = """#!/bin/sh
echo "python3 $*" >> "$HOME/installed"
[ "$2" = uv ] || exit 0
mkdir -p lingjax_python/bin
cat > lingjax_python/bin/python <<'END'
#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then echo "$PWD python $*" >> "$HOME/installed"; else exec {python} "$@"; fi
END
chmod +x lingjax_python/bin/python
"""


class Site:
    """A small repository, a stand-in for gcloud, and what it was called with."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.repository = folder / "repository"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, text in (("gcloud", GCLOUD), ("python3", PYTHON3)):
            (self.bin / name).write_text(text.format(python=sys.executable, stand_in=__file__))
            (self.bin / name).chmod(0o755)
        self.repository.mkdir()
        for name, text in (("setup.py", ""), ("constraints.txt", "jax==1\n"), (".gitignore", "/build/\n/runs/\n")):
            (self.repository / name).write_text(text)
        self.environment = {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "STAND_IN": str(folder),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        self.git("init", "--quiet")
        self.commit()
        self.state()

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.repository, env=self.environment, check=True)

    def commit(self) -> None:
        self.git("add", ".")
        self.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "all")

    def state(self, **values) -> None:
        (self.folder / "state.json").write_text(json.dumps(values))

    def command(self, *flags: str, accelerator="v4-8", job=("python", "-m", "experiments.pretrain")) -> list[str]:
        named = ["--name=vm", "--zone=us-west4-a", f"--accelerator={accelerator}", "--poll_seconds=0"]
        return [sys.executable, "-m", "experiments.launch_tpu", *named, *flags, *(["--", *job] if job else [])]

    def start(self, *flags: str, **job) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(*flags, **job),
            cwd=self.repository,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def launch(self, *flags: str, **job) -> subprocess.CompletedProcess:
        launch = self.start(*flags, **job)
        try:
            output, errors = launch.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(launch.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(launch.args, launch.returncode, output, errors)

    def calls(self) -> list[list[str]]:
        log = self.folder / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def steps(self) -> list[str]:
        """What was called, without the looks: `create`, `scp`, `ssh 0` ..."""
        steps = [
            " ".join([call[4], *(word.removeprefix("--worker=") for word in call if word.startswith("--worker="))])
            for call in self.calls()
        ]
        return [step for step in steps if step != "describe"]


def main(words: list[str]) -> None:
    here = Path(os.environ["STAND_IN"])
    with (here / "calls.jsonl").open("a") as log:
        log.write(json.dumps(["gcloud", *words]) + "\n")
    state = json.loads((here / "state.json").read_text())
    _, _, group, verb, *rest = words
    flags = dict(word[2:].partition("=")[::2] for word in rest if word.startswith("--"))
    script = flags.get("command", "")
    for part, code in state.get("fails", {}).items():
        if part in " ".join(words):
            sys.stderr.write("ERROR: (gcloud) the stand-in refuses\nsome advice\n")
            sys.exit(code)
    if "hangs" in state and state["hangs"] in script:
        (here / "hanging").touch()
        time.sleep(60)

    kind = "request" if group == "queued-resources" else "node"
    if verb == "describe":
        describe(here, state, kind)
    elif verb == "create":
        save(here, state | state.get("created", {"request": ["ACTIVE"], "node": ["READY"]}))
    elif verb == "delete":
        save(here, state | {"node": [None]} | ({"request": [None]} if kind == "request" else {}))
    elif "execute" in state:
        for worker in range(1 if flags["worker"] == "0" else state["execute"]):
            execute(here / f"worker{worker}", verb, rest, script)
    elif "cat exit_code" in script:
        sys.stdout.write("".join(f"{code}\n" for code in state.get("exit_codes", [0])))
    elif script.endswith("/command; fi"):
        sys.stdout.write(state.get("running", ""))
    elif "--recurse" in rest:
        Path(rest[1]).mkdir()


def save(here: Path, state: dict) -> None:
    (here / "state.json").write_text(json.dumps(state))


def describe(here: Path, state: dict, kind: str) -> None:
    now, *later = state.get(kind, [None])
    save(here, state | {kind: later or [now]})
    if now is None:
        sys.exit("ERROR: (gcloud) NOT_FOUND: Resource was not found.\n- details: below")
    value = {"state": now} if kind == "request" else now
    sys.stdout.write(json.dumps({"state": value, "acceleratorType": state.get("accelerator", "v4-8")}))


def execute(home: Path, verb: str, rest: list[str], script: str) -> None:
    home.mkdir(exist_ok=True)
    if verb == "ssh":
        environment = os.environ | {"HOME": str(home), "WORKER": home.name}
        subprocess.run(["bash", "-c", script], cwd=home, env=environment, check=True)
    elif "--recurse" in rest:
        shutil.copytree(home / rest[0].partition(":")[2], rest[1])
    else:
        shutil.copy(rest[0], home / rest[1].partition(":")[2])


if __name__ == "__main__":
    main(sys.argv[1:])
