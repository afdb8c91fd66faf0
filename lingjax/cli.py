"""`lingjax NAME --flag=value`: the commands of `experiments` and `data_prep`, wherever pip has put them."""

import ast
import importlib.util
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from lingjax.errors import nearest

_FOLDERS = ("data_prep", "experiments")
_INSTALLED = "lingjax_commands"  # what holds these folders in a wheel; in a checkout they stand beside `lingjax`


def commands() -> dict[str, Path]:
    """Returns the file of each command, by its name.

    >>> sorted(commands())[:3]
    ['audit', 'build', 'compile_check']
    """
    return {
        path.stem: path
        for name in _FOLDERS
        for path in sorted(_folder(name).glob("*.py"))
        if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command that the first argument names, as `python -m` would in a checkout.

    Args:
      argv: arguments without the program's name; the process's own if not given.
    """
    name, *arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    known = commands()
    if name in ("--help", "-h", "help"):
        sys.stdout.write(_overview(known))
        return
    path = known.get(name.replace("-", "_"))
    if path is None:
        sys.stderr.write(f"error: lingjax has no command '{name}', {nearest(name, list(known))}\n")
        sys.exit(2)
    sys.path.insert(0, str(path.parent.parent))
    sys.argv = [str(path), *arguments]
    runpy.run_module(f"{path.parent.name}.{path.stem}", run_name="__main__", alter_sys=True)


def _folder(name: str) -> Path:
    try:
        found = importlib.util.find_spec(f"{_INSTALLED}.{name}")
    except ModuleNotFoundError:
        found = None
    if found is None:
        return Path(__file__).parents[1] / name
    return Path(found.origin).parent


def _overview(known: dict[str, Path]) -> str:
    width = max(map(len, known))
    lines = ["usage: lingjax COMMAND --flag=value ...   (lingjax COMMAND --help)", ""]
    for name, path in known.items():
        told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        lines.append(f"  {name:{width}}  {told.splitlines()[0].partition(': python -m')[0].rstrip('.')}")
    return "\n".join(lines) + "\n"
