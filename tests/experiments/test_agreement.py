import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils

from experiments.agreement import check_same_settings
from lingjax.errors import InputError

CONFIG = {"train": {"learning_rate": 0.1, "steps": 6}, "seed": 1, "mesh": ""}


@pytest.fixture
def together(monkeypatch):
    """Compares settings as so many processes would."""
    monkeypatch.setattr(jax, "process_count", lambda: 3)

    def run(*all_settings):
        sent = []
        monkeypatch.setattr(multihost_utils, "process_allgather", lambda row: sent.append(row) or row[None])
        for config, workdir in all_settings:
            check_same_settings(config, workdir)
        monkeypatch.setattr(multihost_utils, "process_allgather", lambda row: np.stack(sent))
        check_same_settings(*all_settings[-1])

    return run


def test_one_process_is_alone():
    check_same_settings(CONFIG, "w")


def test_equal_settings_pass(together):
    together((CONFIG, "w"), (dict(reversed(CONFIG.items())), "w"), (CONFIG, "w"))


def test_every_difference_is_named_with_its_process(together):
    other = {**CONFIG, "train": {"learning_rate": 0.2, "steps": 12}}
    expected = (
        "process 1 was started with other settings than process 0: config.train.learning_rate 0.1 -> 0.2, "
        "config.train.steps 6 -> 12; process 2 was started with other settings than process 0: workdir 'w' -> 'v'; "
        "start all with the same flags"
    )
    with pytest.raises(InputError) as error:
        together((CONFIG, "w"), (other, "w"), (CONFIG, "v"))
    assert str(error.value) == expected


@pytest.mark.exhaustive
@pytest.mark.parametrize("change", ["--config.train.learning_rate=0.5", "--config.train.steps=8", "--config.seed=3"])
def test_two_processes_of_other_settings_both_end(pretraining_flags, tmp_path, change):
    from tests.experiments.test_hosts import _start, free_address

    hosts = ["--num_processes=2", f"--coordinator_address={free_address()}"]
    both = [
        _start(f"--workdir={tmp_path}/run", "experiments.pretrain", *pretraining_flags, *more, *hosts, devices=1)
        for more in (["--process_id=0"], ["--process_id=1", change])
    ]
    for process in both:
        _, error = process.communicate(timeout=300)
        assert process.returncode == 2, error[-2000:]
        assert change.removeprefix("--").partition("=")[0] in error
    assert not (tmp_path / "run").exists()
