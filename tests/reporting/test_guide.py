import json
from importlib import resources
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "reading-a-report.md"
PROPERTIES = json.loads(resources.files("lingjax.reporting").joinpath("schema.json").read_text())["properties"]


@pytest.mark.parametrize(
    "key",
    [
        *PROPERTIES["audit"]["required"],
        *PROPERTIES["controls"]["properties"],
        *PROPERTIES["verdict"]["properties"],
        *PROPERTIES["summary"]["properties"],
        "bands",
        "calibration",
        "alignment",
        "sample_efficiency",
        "too_few_rows_for",
        "transferred",
        "direct",
        *PROPERTIES["calibration"]["items"]["required"],
        *PROPERTIES["alignment"]["properties"],
        "ci95_over_items",
        "ci95_over_seeds",
        "ci95_over_both",
    ],
)
def test_guide_to_reports_names_every_figure(key):
    assert key in GUIDE.read_text(encoding="utf-8")
