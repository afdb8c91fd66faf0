"""Commands and decisions about a TPU VM; `test_launch_tpu.py` runs them."""

import pytest

from experiments.tpu_vm import RUNTIMES, Move, TpuVm, next_move
from lingjax.errors import InputError


@pytest.mark.parametrize("generation", sorted(RUNTIMES))
def test_each_generation_has_its_runtime(generation):
    assert f"--runtime-version={RUNTIMES[generation]}" in TpuVm("a", "z", f"{generation}-8").create()


@pytest.mark.parametrize(
    ("accelerator", "several"), [("v5litepod-8", False), ("v5litepod-16", True), ("v4-8", False), ("v4-16", True)]
)
def test_slices_of_several_machines_are_known(accelerator, several):
    assert TpuVm("a", "z", accelerator).several_hosts is several


def test_the_name_may_be_that_of_no_flag_or_path():
    for name in ("-a", "a-", "A", "a b", "a:b", "a" * 64, ""):
        with pytest.raises(InputError, match="--name="):
            TpuVm(name, "z", "v4-8")


@pytest.mark.parametrize(
    ("request_state", "node", "move"),
    [
        (None, None, Move.CREATE),
        ("WAITING_FOR_RESOURCES", None, Move.WAIT),
        ("PROVISIONING", "CREATING", Move.WAIT),
        ("ACTIVE", "READY", Move.USE),
        ("ACTIVE", "REPAIRING", Move.WAIT),
        ("ACTIVE", "PREEMPTED", Move.REPLACE),
        ("ACTIVE", None, Move.WAIT),
        ("SUSPENDING", "PREEMPTED", Move.WAIT),
        ("SUSPENDED", None, Move.REPLACE),
        ("FAILED", None, Move.REPLACE),
        (None, "READY", Move.USE),
        (None, "TERMINATED", Move.REPLACE),
    ],
)
def test_states_decide_the_next_move(request_state, node, move):
    assert next_move(request_state, node) is move


@pytest.mark.parametrize(("request_state", "node"), [("ACTIVE", "STOPPED"), (None, "HIDDEN"), ("DREAMING", "READY")])
def test_states_that_need_a_person_are_named(request_state, node):
    with pytest.raises(InputError, match=f"{node}|{request_state}"):
        next_move(request_state, node)
