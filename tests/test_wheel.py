"""What pip installs elsewhere: every module of the library, importable outside the checkout, and every command."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_IMPORT_ALL = """
import importlib, pathlib, pkgutil
import lingjax
for found in pkgutil.walk_packages(lingjax.__path__, prefix="lingjax."):
    importlib.import_module(found.name)
    print(found.name)
print(pathlib.Path(lingjax.__file__).parent)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The wheel of the checkout, unpacked as pip does; setuptools of this environment builds it, without network."""
    work = tmp_path_factory.mktemp("wheel")
    # From a copy: a build leaves folders beside what it builds.
    checkout = work / "checkout"
    checkout.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "lingjax", "experiments", "data_prep"):
        (checkout / name).symlink_to(ROOT / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*build, f"--wheel-dir={work}", "."], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = work.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(work / "site")
    return work / "site"


def test_the_wheel_holds_every_module_and_data_file(installed):
    def files(folder: Path) -> set[str]:
        found = (path for path in (folder / "lingjax").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path.relative_to(folder)) for path in found}

    assert files(installed) == files(ROOT)
    for name in ("experiments", "data_prep"):
        modules = {path.relative_to(ROOT) for path in (ROOT / name).rglob("*.py")}
        found = {
            path.relative_to(installed / "lingjax_commands")
            for path in installed.rglob("*.py")
            if path.is_relative_to(installed / "lingjax_commands" / name)
        }
        assert found == modules


def test_the_script_runs_commands_outside_the_checkout(installed, tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", "from lingjax.cli import main; main()", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
        )

    overview = run("--help").stdout
    for name in ("transfer", "build", "launch_tpu"):
        assert f"\n  {name} " in overview
    shown = run("transfer", "--help")
    assert shown.returncode == 0, shown.stderr[-2000:]
    assert "--config.train.learning_rate" in shown.stdout
    assert run("train-tokenizer", "--help").stdout == run("train_tokenizer", "--help").stdout != ""
    wrong = run("transfr")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "error: lingjax has no command 'transfr', did you mean 'transfer'?\n",
    )
    refused = run("tabulate", "nowhere")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_every_module_can_be_imported_outside_the_checkout(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *modules, folder = done.stdout.splitlines()
    assert folder == str(installed / "lingjax")
    assert "lingjax.training.loop" in modules
