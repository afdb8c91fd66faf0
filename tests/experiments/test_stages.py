import pytest

from experiments.configs import base
from experiments.stages import model_changes


@pytest.mark.parametrize(
    ("scan_layers", "backend", "scanned"),
    [(None, "cpu", False), (None, "gpu", True), (True, "cpu", True), (False, "tpu", False)],
)
def test_layers_are_unrolled_on_a_cpu_unless_told_otherwise(monkeypatch, scan_layers, backend, scanned):
    monkeypatch.setattr("jax.default_backend", lambda: backend)
    model = base.get_config().model
    model.scan_layers = scan_layers
    assert model_changes(model)["scan_layers"] is scanned


def test_rates_that_are_not_set_stay_the_models_own():
    model = base.get_config().model
    assert "dropout_rate" not in model_changes(model)
    model.dropout_rate = 0.25
    assert model_changes(model)["dropout_rate"] == 0.25
