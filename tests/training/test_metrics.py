import json
import math
import sys
import types

import pytest

from lingjax.errors import InputError
from lingjax.training.metrics import MetricsLog, read_metrics


def write(folder, steps, *, resumed_step=0):
    with MetricsLog(folder, resumed_step=resumed_step) as log:
        for step in steps:
            log.write(step, {"loss": step / 4})


def test_what_was_logged_is_read_back(tmp_path):
    write(tmp_path, [2, 4])
    assert read_metrics(tmp_path) == [{"step": 2, "loss": 0.5}, {"step": 4, "loss": 1.0}]


def test_lines_are_there_before_the_run_ends(tmp_path):
    with MetricsLog(tmp_path, resumed_step=0) as log:
        log.write(1, {"loss": 0.25})
        assert len(read_metrics(tmp_path)) == 1


def test_a_resumed_run_replaces_the_steps_that_it_repeats(tmp_path):
    write(tmp_path, [1, 2, 3])
    write(tmp_path, [3, 4], resumed_step=2)
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4]


def test_a_new_run_starts_a_new_log(tmp_path):
    write(tmp_path, [1, 2, 3])
    write(tmp_path, [1])
    assert [line["step"] for line in read_metrics(tmp_path)] == [1]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null(tmp_path, value):
    with MetricsLog(tmp_path, resumed_step=0) as log:
        log.write(1, {"loss": value, "accuracy": 0.5})
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert line.pop("crc32c") > 0
    assert line == {"step": 1, "loss": None, "accuracy": 0.5}


def test_a_folder_without_a_log_has_no_lines(tmp_path):
    assert read_metrics(tmp_path) == []


def test_a_last_line_that_a_kill_cut_off_is_left_out_and_overwritten(tmp_path):
    write(tmp_path, [1, 2])
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 3, "lo')
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2]
    write(tmp_path, [3], resumed_step=2)
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3]


def test_another_damaged_line_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\nnot json\n{"step": 3}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl: line 2 is not JSON"):
        read_metrics(tmp_path)


def test_tensorboard_receives_the_same_numbers(tmp_path):
    write(tmp_path, [1])
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_a_bucket_receives_the_whole_log_each_time(tmp_path, monkeypatch):
    # Nothing can be appended to an object of a bucket; its address has "://" in it.
    written = []
    monkeypatch.setattr("lingjax.training.metrics.write_text", lambda path, text: written.append((str(path), text)))
    monkeypatch.setattr("lingjax.training.metrics.read_metrics", lambda folder: [])
    with MetricsLog("gs://bucket/run", resumed_step=0) as log:
        log.write(1, {"loss": 0.5})
        log.write(2, {"loss": 0.25})
    assert [path for path, _ in written] == ["gs://bucket/run/metrics.jsonl"] * 3
    assert [text.count("\n") for _, text in written] == [0, 1, 2]


def test_weights_and_biases_receives_what_is_known(tmp_path, monkeypatch):
    calls = []

    class Run:
        def log(self, values, step):
            calls.append((step, values))

        def finish(self):
            calls.append("finished")

    module = types.ModuleType("wandb")
    module.init = lambda **settings: calls.append(settings) or Run()
    monkeypatch.setitem(sys.modules, "wandb", module)
    with MetricsLog(tmp_path / "run", resumed_step=0, wandb_project="transfer") as log:
        log.write(3, {"loss": 0.5, "mfu": None})
    settings, logged, finished = calls
    assert (settings["project"], settings["resume"]) == ("transfer", "allow")
    assert (logged, finished) == ((3, {"loss": 0.5}), "finished")


def test_a_project_without_the_package_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match="pip install wandb"):
        MetricsLog(tmp_path, resumed_step=0, wandb_project="transfer")
