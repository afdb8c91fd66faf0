import copy
import dataclasses
import importlib.resources
import json
import math
import re

import jsonschema
import numpy as np
import pytest

import lingjax
from lingjax.errors import InputError
from lingjax.reporting import (
    TransferReport,
    code_version,
    environment_info,
    read_report,
    render_report_page,
    table_rows,
    write_report,
)

OPTIONAL = ("bands", "calibration", "alignment", "sample_efficiency")
SCHEMA = json.loads(importlib.resources.files("lingjax.reporting").joinpath("schema.json").read_text())


def changed(report, path, value):
    """A copy of the report with the value at the dotted path replaced."""
    content = copy.deepcopy(report.to_json())
    *parents, last = path.split(".")
    inner = content
    for key in parents:
        inner = inner[int(key) if isinstance(inner, list) else key]
    inner[int(last) if isinstance(inner, list) else last] = value
    return TransferReport(**content)


def test_schema_is_a_schema_and_knows_every_field():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    of_reports = set(SCHEMA["properties"]) - {"content_sha256"}  # the file's own
    assert of_reports == {*SCHEMA["required"], *OPTIONAL}
    assert of_reports == {field.name for field in dataclasses.fields(TransferReport)}


def test_objects_of_the_schema_are_closed():
    def objects(node):
        if isinstance(node, dict):
            if "properties" in node:
                yield node
            for inner in node.values():
                yield from objects(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from objects(inner)

    assert all(node["additionalProperties"] is False for node in objects(SCHEMA))


def test_every_property_of_the_schema_is_described():
    def undescribed(node, path):
        if isinstance(node, list):
            node = dict(enumerate(node))
        if not isinstance(node, dict):
            return
        for name, inner in node.items():
            if name == "properties":
                yield from (f"{path}.{key}" for key, one in inner.items() if not one.get("description", "").strip())
            yield from undescribed(inner, f"{path}.{name}")

    assert SCHEMA["$id"]
    assert list(undescribed(SCHEMA, "")) == []
    assert list(undescribed({"items": [{"properties": {"a": {}, "b": {"description": "b"}}}]}, "")) == [".items.0.a"]


def test_what_is_written_comes_back(tmp_path, report):
    write_report(tmp_path / "deep" / "report.json", report)
    assert read_report(tmp_path / "deep" / "report.json") == report


def test_keys_are_sorted_and_nothing_else_is_left_in_the_folder(tmp_path, report):
    write_report(tmp_path / "report.json", report)
    text = (tmp_path / "report.json").read_text()
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_numpy_numbers_become_plain_ones(tmp_path, report):
    write_report(tmp_path / "r.json", changed(report, "timing.examples_per_second", np.float32(0.5)))
    assert read_report(tmp_path / "r.json").timing["examples_per_second"] == 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float32("nan")])
def test_nan_and_infinity_are_refused_by_key(tmp_path, report, value):
    with pytest.raises(ValueError, match=r"report\.seeds\.1\.auroc is (nan|inf); a report holds no NaN"):
        write_report(tmp_path / "r.json", changed(report, "seeds.1.auroc", value))
    assert not list(tmp_path.iterdir())


def test_a_foreign_type_is_refused_by_key(tmp_path, report):
    with pytest.raises(ValueError, match=r"report\.config\.when is of type object"):
        write_report(tmp_path / "r.json", changed(report, "config.when", object()))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("summary.auroc.mean", "high", "summary.auroc.mean: 'high' is not of type"),
        ("seeds.0.accuracy", 1.2, "seeds.0.accuracy: 1.2 is greater than the maximum of 1"),
        ("verdict.orientation", "sideways", "verdict.orientation: 'sideways' is not one of"),
        ("controls.majority", {"accuracy": 0.5}, "controls.majority: 'auroc' is a required property"),
        ("controls.length_only", {"skipped": ""}, "controls.length_only.skipped: '' should be non-empty"),
        ("source.dev.rows", None, "source.dev.rows: None is not of type 'integer'"),
        ("created_utc", "yesterday", "created_utc: 'yesterday' does not match"),
        ("model.size", "base", r"model: Additional properties are not allowed \('size' was unexpected\)"),
    ],
)
def test_a_report_against_the_schema_is_not_written(tmp_path, report, path, value, message):
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path / "r.json", changed(report, path, value))
    assert not list(tmp_path.iterdir())


def test_an_unknown_source_is_null(tmp_path, report):
    write_report(tmp_path / "r.json", changed(report, "source", None))
    assert read_report(tmp_path / "r.json").source is None


def test_optional_parts_come_back_and_absent_ones_leave_no_key(tmp_path, full_report, report):
    write_report(tmp_path / "full.json", full_report)
    assert read_report(tmp_path / "full.json") == full_report
    write_report(tmp_path / "bare.json", report)
    assert not json.loads((tmp_path / "bare.json").read_text()).keys() & set(OPTIONAL)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("bands.length.0.rows", -1, "bands.length.0.rows: -1 is less than the minimum"),
        ("calibration.0.confidence", 2, "calibration.0.confidence: 2 is greater"),
        (
            "alignment.projection.after.target.0",
            [0.0, 1.0, 2],
            "alignment.projection.after.target.0.2: 2 is not one of",
        ),
        ("alignment.states", {"between": {}}, "alignment.states: 'after' is a required property"),
    ],
)
def test_optional_parts_follow_the_schema_too(tmp_path, full_report, path, value, message):
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path / "r.json", changed(full_report, path, value))


def test_an_alignment_of_null_is_none(tmp_path, report):
    assert read_report(stored(tmp_path, report, alignment=None)).alignment is None


def stored(tmp_path, report, **changes):
    """The path of a report file with top-level keys replaced, or removed if the value is `...`."""
    content = {key: value for key, value in (report.to_json() | changes).items() if value is not ...}
    path = tmp_path / "stored.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("version", ["2.0", "0.9", "1", 1.0, None, ...])
def test_an_unknown_major_version_is_refused(tmp_path, report, version):
    with pytest.raises(InputError, match=r"stored\.json: schema_version is .*, this lingjax reads 1\.x"):
        read_report(stored(tmp_path, report, schema_version=version))


def test_a_later_minor_version_may_have_more_keys(tmp_path, report):
    assert read_report(stored(tmp_path, report, schema_version="1.7", neighbours=[1])).seeds == report.seeds
    with pytest.raises(InputError, match="neighbours"):
        read_report(stored(tmp_path, report, neighbours=[1]))


def test_a_later_minor_version_may_have_more_keys_at_every_depth(tmp_path, full_report):
    content = copy.deepcopy(full_report.to_json()) | {"schema_version": "1.9"}

    def objects(schema, value):
        """The objects of the report that the schema closes, each once."""
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
        for choice in (*schema.get("oneOf", ()), *(schema[key] for key in ("then", "else") if key in schema)):
            if isinstance(value, dict) and set(choice.get("required", ("?",))) <= value.keys():
                yield from objects(choice, value)
        if isinstance(value, list):
            for inner in value:
                yield from objects(schema.get("items") or {}, inner)
        if isinstance(value, dict):
            if schema.get("additionalProperties") is False:
                yield value
            others = schema.get("additionalProperties") or {}
            for name, inner in value.items():
                yield from objects(schema.get("properties", {}).get(name, others), inner)

    closed = list(objects(SCHEMA, content))
    assert any("points" in one for one in closed)
    assert any("skipped" in one for one in closed)
    for one in closed:
        one["later"] = {"any": 1}
    path = stored(tmp_path, TransferReport(**{name: content[name] for name in content if name != "later"}))
    read = read_report(path)
    assert read.sample_efficiency["later"] == read.controls["majority"]["later"] == {"any": 1}
    with pytest.raises(InputError, match="later"):
        read_report(stored(tmp_path, read, schema_version="1.2"))
    with pytest.raises(InputError, match=r"verdict\.orientation: 3 is not one of"):
        read_report(stored(tmp_path, read, verdict=read.verdict | {"orientation": 3}))


def test_a_report_of_1_0_is_read_and_shown(tmp_path, full_report):
    newer = {
        "groups", "rows_that_share_a_text", "expected_if_calibrated", "group_widening", "ci95_widened", "after_tsne",
        "labels", "giveaways", "adds_to_best_control", "added_value", "power", "equivalence",
    }  # fmt: skip

    def older(value):
        if isinstance(value, dict):
            return {name: older(inner) for name, inner in value.items() if name not in newer}
        return [older(inner) for inner in value] if isinstance(value, list) else value

    content = older(full_report.to_json()) | {"schema_version": "1.0"}
    (tmp_path / "old.json").write_text(json.dumps(content))
    read = read_report(tmp_path / "old.json")
    assert (read.schema_version, read.to_json()) == ("1.0", content)
    assert full_report.target["dataset"] in render_report_page([read])
    assert table_rows([read])[0].seeds == "3"


def test_null_stands_only_where_the_schema_allows_it(tmp_path, report):
    with pytest.raises(InputError, match=r"stored\.json: config: None is not of type 'object'"):
        read_report(stored(tmp_path, report, config=None))


def test_a_missing_key_is_named_with_its_file(tmp_path, report):
    with pytest.raises(InputError, match=r"stored\.json: the report: 'audit' is a required property"):
        read_report(stored(tmp_path, report, audit=...))


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00", '"1.0"', '{"schema_version": NaN}'])
def test_a_file_that_is_no_report_is_one_clear_error(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_report(path)


def test_binary_junk_and_missing_files_are_one_clear_error(tmp_path):
    (tmp_path / "junk.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a readable JSON file"):
        read_report(tmp_path / "junk.json")
    with pytest.raises(InputError, match="there is no such report"):
        read_report(tmp_path / "absent.json")


def test_environment_names_the_installed_packages():
    environment = environment_info(device_kind="cpu", device_count=2, processes=1)
    assert environment["packages"]["numpy"] == np.__version__
    jsonschema.validate(environment, SCHEMA["properties"]["environment"])


def test_code_version_starts_with_the_package_version():
    assert code_version().startswith(lingjax.__version__)


def test_code_version_outside_a_checkout_is_the_bare_version(tmp_path, monkeypatch):
    monkeypatch.setattr(lingjax, "__file__", str(tmp_path / "lingjax" / "__init__.py"))
    assert code_version() == lingjax.__version__
