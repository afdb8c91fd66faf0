"""Commands that are killed at any moment end, called again, with what an undisturbed one makes."""

import pytest

from tests.experiments.conftest import ROOT, _environment
from tests.experiments.prepared_process import PreparedProcess
from tests.faults.crashes import STAGES, survive


@pytest.fixture(scope="module")
def process():
    process = PreparedProcess(folder=ROOT, environment=_environment())
    yield process
    process.close()


@pytest.mark.parametrize(
    "kills",
    [{"pack": 2}, pytest.param({"pack": 2, "pretrain": 3}, marks=pytest.mark.exhaustive)],
    ids=["two", "five"],
)
def test_a_few_kills(process, tmp_path, kills):
    for name in ("build", "tokenizer"):
        done = process.run(*STAGES[name].arguments(tmp_path))
        assert done.returncode == 0, done.stderr[-2000:]
    tally = survive(process, tmp_path, list(kills), kills=kills, seed=0)
    assert not tally.faults, "\n".join(tally.faults)
    assert sum(tally.kills.values()) >= max(1, sum(kills.values()) - 2)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_kills(process, tmp_path, seed, capfd):
    kills = {"build": 4, "tokenizer": 2, "pack": 4, "pretrain": 8, "transfer": 8, "export": 2}
    tally = survive(process, tmp_path, list(STAGES), kills=kills, seed=seed + 1)
    with capfd.disabled():
        print(f"\nseed {seed}: {sum(tally.kills.values())} kills: {tally.kills}")  # noqa: T201
    assert not tally.faults, "\n".join(tally.faults)
