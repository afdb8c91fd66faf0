"""The rules that keep the tree in order, checked on the source itself."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest
from ml_collections import ConfigDict

import lingjax

ROOT = Path(__file__).parents[1]
ORDER = ("data", "models", "training", "evaluation", "reporting", "study")
LEAVES = ("alphabets", "axes", "cli", "command", "errors", "files", "sealed", "workdir_lock")
LIBRARY = sorted((ROOT / "lingjax").rglob("*.py"))
DATA_PREP = sorted((ROOT / "data_prep").rglob("*.py"))
# The one command here that judges rows instead of making them: it wires readers of tables to the library's audit.
AUDIT_COMMAND = ROOT / "data_prep" / "audit.py"
EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.py"))
CONFIGS = sorted(path for path in (ROOT / "experiments" / "configs").rglob("*.py") if path.name != "__init__.py")


def imported(source: str, package: str = "") -> set[str]:
    """Returns the dotted names that a module imports, inside functions too; `package` resolves relative imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


def imports_of(path: Path) -> set[str]:
    return imported(path.read_text(), package=".".join(path.relative_to(ROOT).parent.parts))


def library_parts(names: set[str]) -> set[str]:
    """Returns the folders and modules directly below `lingjax` among imported names."""
    return {name.split(".")[1] for name in names if name.startswith("lingjax.")} | (names & {"lingjax"})


def top_level(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import lingjax.training.loop", {"lingjax.training.loop"}),
        ("from lingjax import training", {"lingjax.training"}),
        ("def f():\n    from lingjax.training import loop as x", {"lingjax.training.loop"}),
        ("from ..training import loop", {"lingjax.training.loop"}),
        ("from . import batch", {"lingjax.data.batch"}),
        ("if True:\n    import tensorflow as tf", {"tensorflow"}),
    ],
)
def test_every_way_to_import_is_seen(source, found):
    assert imported(source, package="lingjax.data") == found


def test_the_library_consists_of_the_known_folders_and_modules():
    parts = {path.relative_to(ROOT / "lingjax").parts[0].removesuffix(".py") for path in LIBRARY}
    assert parts == {*ORDER, *LEAVES, "__init__"}
    assert all((ROOT / "lingjax" / folder / "__init__.py").exists() for folder in ORDER)


@pytest.mark.parametrize("path", LIBRARY, ids=relative)
def test_imports_point_left(path):
    part = path.relative_to(ROOT / "lingjax").parts[0].removesuffix(".py")
    left = ORDER[: ORDER.index(part) + 1] if part in ORDER else ()
    # The package itself holds nothing but its version, and names of the last folder that it loads when they are used.
    allowed = {"lingjax", "__version__", *LEAVES, *(["study"] if part == "__init__" else left)}
    assert library_parts(imports_of(path)) <= allowed


@pytest.mark.parametrize("path", LIBRARY, ids=relative)
def test_the_library_imports_neither_tensorflow_nor_what_is_built_on_it(path):
    assert not top_level(imports_of(path)) & {
        *("tensorflow", "tensorflow_datasets", "data_prep", "experiments", "tests", "benchmarks")
    }


def test_no_module_of_the_library_holds_anything_of_tensorflow():
    for found in pkgutil.walk_packages(lingjax.__path__, prefix="lingjax."):
        module = importlib.import_module(found.name)
        origins = {getattr(value, "__module__", None) or "" for value in vars(module).values()}
        assert not any(str(origin).startswith("tensorflow.") for origin in origins), found.name


@pytest.mark.parametrize("path", sorted((ROOT / "lingjax" / "models").glob("*.py")), ids=relative)
def test_models_take_arrays_and_so_know_nothing_of_data(path):
    assert library_parts(imports_of(path)) <= {"models", *LEAVES}


@pytest.mark.parametrize("path", [path for path in LIBRARY if path.parent.name in ("data", "reporting")], ids=relative)
def test_data_and_reporting_do_without_jax(path):
    assert not top_level(imports_of(path)) & {"jax", "flax", "optax", "orbax", "torch"}


@pytest.mark.parametrize("path", LIBRARY, ids=relative)
def test_flags_and_configuration_files_stop_at_the_door(path):
    forbidden = {"ml_collections"} if path.name == "command.py" else {"ml_collections", "absl"}
    assert not top_level(imports_of(path)) & forbidden


@pytest.mark.parametrize("path", sorted((ROOT / "lingjax" / "study").glob("*.py")), ids=relative)
def test_a_study_knows_neither_flags_nor_configuration_files(path):
    source = path.read_text()
    assert not {"ConfigDict", "FLAGS"} & {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    assert not top_level(imports_of(path)) & {"absl", "ml_collections"}


@pytest.mark.parametrize("path", DATA_PREP, ids=relative)
def test_data_preparation_uses_only_the_data_part_of_the_library(path):
    names = imports_of(path)
    judges = ("evaluation", "reporting") if path == AUDIT_COMMAND else ()
    assert library_parts(names) <= {"data", *judges, *LEAVES}
    assert "experiments" not in top_level(names)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=relative)
def test_experiments_read_datasets_through_the_library(path):
    assert not top_level(imports_of(path)) & {"data_prep", "tensorflow", "tensorflow_datasets"}


@pytest.mark.parametrize("path", LIBRARY + DATA_PREP + EXPERIMENTS, ids=relative)
def test_a_module_has_one_job_and_a_size_to_match(path):
    assert not {"utils", "util", "helpers", "common", "misc"} & {path.stem, path.parent.name}
    assert len(path.read_text().splitlines()) <= 400


def test_there_are_configurations():
    assert {"base.py", "transfer.py"} <= {path.name for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=relative)
def test_a_shipped_configuration_builds_and_can_be_recorded(path):
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    config = module.get_config()
    assert isinstance(config, ConfigDict)
    assert config.to_json()
