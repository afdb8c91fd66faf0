"""What a folder calls its classes, in the report and its warnings."""

import json
import shutil

import pytest

import lingjax
from tests.training.small_run import make_records


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"0": "equivalent", "1": "different"}, ["equivalent", "different"]),
        ({"0": "LABEL_0", "1": "LABEL_1"}, None),
    ],
)
def test_class_names_with_a_meaning_are_reported_and_warned_of(tiny_classifier, tmp_path, names, told):
    folder = shutil.copytree(tiny_classifier, tmp_path / "named")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": names}))
    (folder / "lingjax.sha256").unlink()  # the change is meant
    pairs = [(one.sentence1, one.sentence2, one.label) for one in make_records(12, seed=2)]
    (report,) = lingjax.evaluate(
        str(folder), {"mine": pairs}, config=lingjax.EvaluationConfig(bootstrap_replicates=5)
    ).values()
    assert report.model.get("labels") == told
    about = [warning for warning in report.verdict["warnings"] if "calls class 0" in warning]
    assert len(about) == (1 if told else 0)
    assert all("calls class 0 'equivalent' and class 1 'different'; here class 1" in warning for warning in about)
