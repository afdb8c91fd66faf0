"""The keys of a configuration as `--help` shows them: name, default, and the comment beside it in the shipped files."""

import ast
import textwrap
from pathlib import Path

from experiments import configuration

_CONFIGS = Path(__file__).parent / "configs"
# Where keys are written down with their comments; the other shipped files change values.
_COMMENTED = ("base", "pretrain_gpt2", "evaluate")
_WIDTH = 110


def describe_keys(shipped: str) -> str:
    """Returns a line or more for each key of a shipped configuration, and an example of how one is set.

    Args:
      shipped: the configuration's name without `.py`.
    """
    comments = {}
    for name in _COMMENTED:
        comments = comments | {k: text for k, text in _comments(_CONFIGS / f"{name}.py").items() if k not in comments}
    comments |= _comments(_CONFIGS / f"{shipped}.py")
    order = {key: place for place, key in enumerate(comments)}
    values = configuration.flatten(configuration.load(str(_CONFIGS / f"{shipped}.py")))
    lines = [
        f"--config=FILE[:ARGUMENT] chooses a configuration; by default it is experiments/configs/{shipped}.py.",
        "Each of its keys is a flag, as in --config.seed=1. The keys, their defaults, and what they mean:",
        "",
    ]
    for key in sorted(values, key=lambda key: order.get(key, len(order))):
        text = f"--config.{key}={_shown(values[key])}  {comments.get(key, '')}".rstrip()
        lines += textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent=" " * 6, break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def _comments(path: Path) -> dict[str, str]:
    """Returns the comment at the end of each key's line, or nothing, by dotted key in the order of the file."""
    source = path.read_text(encoding="utf-8")
    lines, found = source.splitlines(), {}

    def walk(node: ast.Dict, prefix: str) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            name = f"{prefix}{key.value}"
            if isinstance(value, ast.Dict):
                walk(value, f"{name}.")
                continue
            found[name] = lines[value.end_lineno - 1][value.end_col_offset :].partition("#")[2].strip()

    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "ConfigDict" and isinstance(call.args[0], ast.Dict):
            walk(call.args[0], "")
    return found
