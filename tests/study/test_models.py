import pytest

from experiments.configs import base, pretrain_gpt2
from lingjax.study.models import model_changes


@pytest.mark.parametrize(
    ("scan_layers", "backend", "scanned"),
    [(None, "cpu", False), (None, "gpu", False), (None, "tpu", True), (True, "cpu", True), (False, "tpu", False)],
)
def test_layers_are_scanned_on_a_tpu_unless_told_otherwise(monkeypatch, scan_layers, backend, scanned):
    monkeypatch.setattr("jax.default_backend", lambda: backend)
    model = base.get_config().model
    model.scan_layers = scan_layers
    assert model_changes(model.to_dict())["scan_layers"] is scanned


def test_rates_that_are_not_set_stay_the_models_own():
    model = base.get_config().model
    assert "dropout_rate" not in model_changes(model.to_dict())
    model.dropout_rate = 0.25
    assert model_changes(model.to_dict())["dropout_rate"] == 0.25


@pytest.mark.parametrize(("configuration", "usual"), [(base, "plain"), (pretrain_gpt2, "auto")])
def test_what_computes_attention_is_the_configurations_choice(configuration, usual):
    model = configuration.get_config().model
    assert model_changes(model.to_dict())["attention"] == usual
    model.attention = "cudnn"
    assert model_changes(model.to_dict())["attention"] == "cudnn"
