"""Makes the site's reference pages from the code itself, when `make docs` builds it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
COMMANDS = (
    "data_prep.build",
    "data_prep.train_tokenizer",
    "data_prep.pack",
    "data_prep.audit",
    "experiments.pretrain",
    "experiments.finetune",
    "experiments.transfer",
    "experiments.evaluate",
    "experiments.sweep",
    "experiments.matrix",
    "experiments.tabulate",
    "experiments.export",
    "experiments.sample",
    "experiments.compile_check",
    "experiments.launch_tpu",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of `reference/`."""
    pages = {
        "commands": commands_page(),
        "datasets": _site_links((ROOT / "data_prep" / "README.md").read_text(encoding="utf-8"), "data_prep"),
        "report": report_page(),
        "python": python_page(),
    }
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Names files of the checkout where a page links to them: the site has only what is in `docs/`."""
    return _site_links(markdown, "docs") if page.file.generated_by is None else markdown


def commands_page() -> str:
    """Returns every command's `--help`."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        helps = pool.map(_help, COMMANDS)
        parts = [f"## {name}\n\n```text\n{text}```\n" for name, text in zip(COMMANDS, helps, strict=True)]
    return "\n".join(
        [
            "# Commands\n\nEach runs from the checkout: `python -m NAME --flag=value`. This is what `--help` prints.\n",
            *parts,
        ]
    )


def _help(module: str) -> str:
    shown = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.replace(f"{ROOT}/", "").strip() + "\n"


def report_page() -> str:
    """Returns a table of the report's keys, from its schema."""
    schema = json.loads((ROOT / "lingjax" / "reporting" / "schema.json").read_text(encoding="utf-8"))
    lines = [
        "# The report's schema",
        "",
        f"{schema.get('description', '')} A key with ? may be missing.",
        "",
        "| key | type | meaning |",
        "|---|---|---|",
        *_schema_rows(schema, schema, ""),
    ]
    return "\n".join(lines) + "\n"


def _schema_rows(schema: Mapping[str, Any], node: Mapping[str, Any], prefix: str) -> Iterator[str]:
    node = _resolved(schema, node)
    for name, child in node.get("properties", {}).items():
        described = child.get("description", "")
        child = _resolved(schema, child)
        optional = "" if name in node.get("required", []) else "?"
        described = (described or child.get("description", "")).replace("|", "\\|").replace("\n", " ")
        yield f"| `{prefix}{name}`{optional} | {_type(child)} | {described} |"
        if child.get("type") == "object" or "properties" in child:
            yield from _schema_rows(schema, child, f"{prefix}{name}.")
        elif "items" in child:
            yield from _schema_rows(schema, child["items"], f"{prefix}{name}[].")


def _resolved(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        target: Any = schema
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _type(node: Mapping[str, Any]) -> str:
    kinds = node.get("type", [each.get("type", "object") for each in node.get("anyOf", node.get("oneOf", []))])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(map(str, kinds)) or ("one of " + ", ".join(map(str, node["enum"])) if "enum" in node else "any")


def python_page() -> str:
    """Returns directives for what `lingjax` exports."""
    sys.path.insert(0, str(ROOT))
    import lingjax

    homes = {name: f"lingjax.study.{lingjax._HOMES[name]}.{name}" for name in lingjax.__all__}
    return "# Python\n\n`import lingjax` loads a name when it is first used.\n\n" + "\n\n".join(
        f"::: {home}" for home in homes.values()
    )


def _site_links(text: str, folder: str) -> str:
    """Returns the page with links to files outside `docs/` as the names of these files."""

    def lead(link: re.Match[str]) -> str:
        target = link[2]
        if re.match(r"[a-z]+:|#", target):
            return link[0]
        path, _, anchor = target.partition("#")
        inside = os.path.relpath(ROOT / folder / path, ROOT)
        if inside.startswith("docs/"):
            up = "../" if folder != "docs" else ""
            return f"{link[1]}({up}{inside.removeprefix('docs/')}{'#' + anchor if anchor else ''})"
        label = link[1][1:-1]
        return f"`{inside}`" if label.strip("`") in inside else f"{label} (`{inside}`)"

    return re.sub(r"(\[[^\]]*\])\(([^)\s]+)\)", lead, text)
