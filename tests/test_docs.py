"""The README stays one screen, and the site has a page for everything that there is."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def hooks():
    import importlib.util

    pytest.importorskip("mkdocs", reason="mkdocs is not installed; make docs installs it")
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_is_one_screen():
    assert len((ROOT / "README.md").read_text().split()) <= 600


def test_every_link_in_the_readme_leads_to_a_file():
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text())
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    pages = set(re.findall(r"([\w/-]+\.md)$", nav, flags=re.MULTILINE))
    assert {path.name for path in DOCS.glob("*.md")} == {page for page in pages if "/" not in page}


def test_workflows_and_issue_templates_are_yaml():
    files = [*(ROOT / ".github").rglob("*.yml"), ROOT / "CITATION.cff"]
    assert len(files) >= 5
    for path in files:
        assert isinstance(yaml.safe_load(path.read_text()), dict), path


def test_the_citation_has_the_version_of_the_package():
    import lingjax

    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == lingjax.__version__


def test_the_reference_has_every_command(hooks):
    commands = {
        f"{folder}.{path.stem}"
        for folder in ("experiments", "data_prep")
        for path in (ROOT / folder).glob("*.py")
        if 'if __name__ == "__main__"' in path.read_text()
    }
    assert set(hooks.COMMANDS) == commands


def test_the_schema_page_has_every_key_with_its_meaning(hooks):
    page = hooks.report_page()
    assert re.search(r"^\| `verdict.above_best_control` \| .*boolean.* \| .{20,} \|$", page, flags=re.MULTILINE)
    assert "| `seeds[].auroc` |" in page


def test_links_out_of_the_site_become_names_of_files(hooks):
    text = "[schema.json](../lingjax/reporting/schema.json), [here](reading-a-report.md#tables), [x](https://a.b)"
    assert hooks._site_links(text, "docs") == (
        "`lingjax/reporting/schema.json`, [here](reading-a-report.md#tables), [x](https://a.b)"
    )
