"""No damage to any kind of file passes silently: it is named in one line, or what is read is what was written."""

import pytest

from tests.faults.damage import try_damages
from tests.faults.kinds import all_kinds

NAMES = (
    "pairs", "corpus", "tokenizer", "packed", "model folder", "checkpoint, resumed", "checkpoint, evaluated",
    "run folder", "report", "predictions", "download",
)  # fmt: skip
# Reading a checkpoint takes a fraction of a second, and most other files a millisecond.
# Orbax leaves coroutines behind where reading failed; Python complains when it collects them.
_LEFT_BY_ORBAX = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
SLOW = ("checkpoint, resumed", "checkpoint, evaluated", "model folder")


@pytest.fixture(scope="session")
def kinds(tmp_path_factory, tiny_pairs, tiny_model, tiny_transfer):
    made = all_kinds(tmp_path_factory.mktemp("kinds"), pairs=tiny_pairs, model=tiny_model, workdir=tiny_transfer)
    return {kind.name: kind for kind in made}


def check(kinds, name, tmp_path, capfd, *, times, seed):
    count = try_damages(kinds[name], tmp_path, times=times, seed=seed, capture=lambda: "".join(capfd.readouterr()))
    assert count.tried == times
    assert not count.faults, f"{len(count.faults)} of {times}: " + "\n".join(count.faults[:20])
    return count


@_LEFT_BY_ORBAX
@pytest.mark.parametrize("name", NAMES)
def test_damage_is_named_or_harmless(kinds, name, tmp_path, capfd):
    check(kinds, name, tmp_path, capfd, times=6 if name in SLOW else 20, seed=0)


@_LEFT_BY_ORBAX
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_more_damage_is_named_or_harmless(kinds, name, tmp_path, capfd):
    times = 60 if name in SLOW else 150
    count = check(kinds, name, tmp_path, capfd, times=times, seed=1)
    with capfd.disabled():
        print(f"\n{name}: {times} damages, {count.named} named, {count.harmless} harmless, 0 silent")  # noqa: T201
