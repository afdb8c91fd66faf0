"""The transfer report: the one file that evaluation leaves behind, checked against `schema.json` on both ways."""

import dataclasses
import functools
import importlib.metadata
import importlib.resources
import json
import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
from etils import epath
from jsonschema.exceptions import ValidationError

import lingjax
from lingjax.errors import InputError, first_line, raise_problems
from lingjax.evaluation import Control, MetricSummary, PairPredictions, TargetAudit, Verdict, pair_metrics
from lingjax.sealed import unsealed, write_sealed

SCHEMA_VERSION = "1.2"

_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "numpy",
    "scipy",
    "transformers",
    "tokenizers",
)


@dataclasses.dataclass(frozen=True)
class TransferReport:
    """One fine-tuned model, all its seeds, on one target; fields hold plain JSON values as `schema.json` describes."""

    created_utc: str
    command: str
    config: dict[str, Any]
    code_version: str
    environment: dict[str, Any]
    model: dict[str, Any]
    source: dict[str, Any] | None
    target: dict[str, Any]
    seeds: list[dict[str, Any]]
    summary: dict[str, Any]
    controls: dict[str, Any]
    audit: dict[str, Any]
    learning_curve: list[dict[str, Any]]
    verdict: dict[str, Any]
    timing: dict[str, Any]
    schema_version: str = SCHEMA_VERSION
    # Optional: None in reports that do not have them, and left out of the file.
    bands: dict[str, list[dict[str, Any]]] | None = None
    calibration: list[dict[str, Any]] | None = None
    alignment: dict[str, Any] | None = None
    sample_efficiency: dict[str, Any] | None = None

    @property
    def synthetic(self) -> bool:
        """Whether the target or the source was made by a simulator."""
        return self.target["synthetic"] or (self.source is not None and self.source["synthetic"])

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON object; optional parts that it does not have are left out."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in content.items() if value is not None or name not in _OPTIONAL}


_OPTIONAL = ("bands", "calibration", "alignment", "sample_efficiency")


def build_report(
    *,
    predictions: Mapping[int, PairPredictions],
    summary: Mapping[str, MetricSummary],
    controls: Mapping[str, Control],
    audit: TargetAudit,
    verdict: Verdict,
    **described: Any,
) -> TransferReport:
    """Joins the results of one transfer to the description of how they came about.

    Args:
      predictions: by training seed.
      described: the report's other fields as JSON values: `created_utc`, `command`, `config`, `environment`, `model`,
        `source`, `target`, `learning_curve`, `timing`, and if known `bands`, `calibration`, `alignment`,
        `sample_efficiency`. `code_version` is filled in.
    """
    return TransferReport(
        code_version=code_version(),
        seeds=[
            {"seed": seed} | pair_metrics(one.labels, one.positive_probability).to_json()
            for seed, one in sorted(predictions.items())
        ],
        summary={name: one.to_json() for name, one in summary.items()},
        controls={name: one.to_json() for name, one in controls.items()},
        audit=audit.to_json(),
        verdict=verdict.to_json(),
        **described,
    )


def write_report(path: epath.PathLike, report: TransferReport) -> None:
    """Writes the report with sorted keys, complete or not at all.

    Raises:
      ValueError: a value is NaN, infinite, of a foreign type or against the schema; the text names its key.
    """
    content = _plain(report.to_json(), "report")
    problems = [_describe(error) for error in _validator(closed=True).iter_errors(content)]
    if problems:
        raise ValueError(f"the report for {path} does not follow its schema: " + "; ".join(problems))
    write_sealed(path, content)


def read_report(path: epath.PathLike) -> TransferReport:
    """Reads and checks a report.

    Raises:
      InputError: the file is missing or not JSON, its schema version is of another major, or a key is wrong.
    """
    try:
        content = json.loads(epath.Path(path).read_bytes().decode("utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise InputError(
            f"{path}: there is no such report; experiments.transfer and experiments.evaluate write them"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable JSON file ({first_line(error)})") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    major, _, minor = version.partition(".") if isinstance(version, str) else ("", "", "")
    ours_major, _, ours_minor = SCHEMA_VERSION.partition(".")
    if major != ours_major or not minor.isdecimal():
        raise InputError(
            f"{path}: schema_version is {version!r}, this lingjax reads {ours_major}.x; "
            "it is another kind of file, or needs another version of lingjax"
        )
    # A later minor version may add keys, never change or remove them.
    validator = _validator(closed=int(minor) <= int(ours_minor))
    raise_problems(str(path), [_describe(error) for error in validator.iter_errors(content)])
    unsealed(path, content)
    known = [field.name for field in dataclasses.fields(TransferReport)]
    return TransferReport(**{name: content[name] for name in known if name in content or name not in _OPTIONAL})


def environment_info(*, device_kind: str, device_count: int, processes: int) -> dict[str, Any]:
    """Returns the report's `environment`: the given devices, Python, platform and the versions of the main packages."""
    installed = {}
    for name in _PACKAGES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": installed,
        "device_kind": device_kind,
        "device_count": device_count,
        "processes": processes,
    }


def code_version() -> str:
    """Returns the package's version and, in a git checkout, the commit: `0.1.0+git.1a2b3c4`, `.dirty` if changed."""
    checkout = Path(lingjax.__file__).parent.parent
    if not (checkout / ".git").exists():
        return lingjax.__version__
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty=.dirty", "--exclude=*", "--abbrev=12"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return lingjax.__version__
    return f"{lingjax.__version__}+git.{described}"


@functools.cache
def _validator(*, closed: bool) -> jsonschema.Draft202012Validator:
    """Returns what checks reports; if not `closed`, objects may have keys that the schema does not know."""
    text = importlib.resources.files("lingjax.reporting").joinpath("schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    return jsonschema.Draft202012Validator(schema if closed else _opened(schema))


def _opened(schema: Any) -> Any:
    """Returns the schema without its refusals of unknown keys, at every depth."""
    if isinstance(schema, list):
        return [_opened(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _opened(inner)
        for name, inner in schema.items()
        if not (name == "additionalProperties" and inner is False)
    }


def _describe(error: ValidationError) -> str:
    key = ".".join(str(part) for part in error.absolute_path) or "the report"
    # The longest messages repeat the whole offending object.
    message = error.message if len(error.message) <= 200 else error.message[:97] + " ... " + error.message[-97:]
    return f"{key}: {message}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which JSON does not know")


def _plain(value: Any, key: str) -> Any:
    """Returns `value` as plain JSON values; an error names the path of the key, as in `report.summary.auroc.mean`."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{key} is {value}; a report holds no NaN or infinity, use null for an undefined figure")
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(inner, f"{key}.{name}") for name, inner in value.items()}
    if isinstance(value, Sequence):
        return [_plain(inner, f"{key}.{position}") for position, inner in enumerate(value)]
    raise ValueError(f"{key} is of type {type(value).__name__}, which JSON cannot hold")
