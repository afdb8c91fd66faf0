import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from lingjax.models import preset
from lingjax.training.chips import find_chip
from lingjax.training.loss import LossTally
from lingjax.training.throughput import Window, model_flops_utilization, training_flops_per_token


def test_flops_are_six_a_parameter_and_twelve_a_pair_of_positions():
    config = preset("gpt2", "small", vocab_size=50257)
    assert training_flops_per_token(config, num_parameters=1000, length=10) == 6 * 1000 + 12 * 12 * 768 * 10


def test_utilization_is_the_share_of_all_devices_peak():
    devices = [SimpleNamespace(device_kind="NVIDIA H200")] * 2
    utilization = model_flops_utilization(1000.0, flops_per_token=989e9, devices=devices)
    assert utilization == pytest.approx(0.5)


def test_an_unlisted_device_has_no_utilization():
    assert model_flops_utilization(1.0, flops_per_token=1.0, devices=[SimpleNamespace(device_kind="abacus")]) is None


@pytest.mark.parametrize(("generation", "kind"), [("TPU v5e", "TPU v5 lite"), ("TPU v6e", "TPU v6 lite")])
def test_both_names_of_a_chip_are_known(generation, kind):
    assert find_chip(generation) == find_chip(kind) is not None


def test_a_window_counts_and_comes_back_from_its_sums():
    clock = itertools.count().__next__
    window = Window(clock)
    batch = SimpleNamespace(token_ids=np.ones((2, 3)), document_ids=np.array([[1, 1, 0], [1, 0, 0]]))
    window.add(batch, LossTally(np.float32(2.0), 1, 4), data_seconds=0.25)
    window.add(batch, LossTally(np.float32(4.0), 2, 4), data_seconds=0.5)
    rates = window.rates()
    assert (window.examples, window.tokens, window.steps) == (4, 6, 2)
    assert rates["tokens_per_second"] == 6 / rates["seconds"]
    assert rates["step_seconds"] == rates["seconds"] / 2
    assert rates["data_wait_fraction"] == 0.75 / rates["seconds"]
    again = Window(clock)
    again.set_sums(window.sums())
    assert again.sums() == window.sums()
    assert again.tally.means() == {"loss": 0.75, "accuracy": 0.375}


@pytest.mark.parametrize(("kind", "pod_terabytes", "chips"), [("TPU v5e", 51.2, 256), ("TPU v6e", 102.4, 256)])
def test_links_of_all_chips_are_the_all_reduce_bandwidth_of_a_pod(kind, pod_terabytes, chips):
    assert find_chip(kind).interconnect_bytes * chips == pytest.approx(pod_terabytes * 1e12)


@pytest.mark.parametrize(("batch_rows", "factor"), [(None, 1), (2, 1), (6, 3)])
def test_rates_are_of_the_batch_of_all_hosts_counted_once(batch_rows, factor):
    window = Window(itertools.count().__next__)
    batch = SimpleNamespace(token_ids=np.ones((2, 3)), document_ids=np.array([[1, 1, 0], [1, 1, 0]]))
    window.add(batch, LossTally.empty(), batch_rows=batch_rows)
    assert (window.examples, window.tokens) == (2 * factor, 4 * factor)
