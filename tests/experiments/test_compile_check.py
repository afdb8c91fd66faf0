import importlib.util
import json
import sys
from pathlib import Path

import pytest

from tests.experiments.conftest import run_command

FLAGS = ["--config.model.size=tiny", "--config.model.max_length=32", "--vocab_size=101", "--config.train.batch_size=8"]


def test_the_step_is_compiled_for_devices_that_are_not_here(command, tmp_path):
    printed = command(
        "experiments.compile_check",
        "--topology=cpu:8",
        "--config.mesh=data:2,fsdp:2,tensor:2",
        *FLAGS,
        f"--out={tmp_path}/step.json",
    )
    described = json.loads(printed)
    assert described == json.loads((tmp_path / "step.json").read_text())
    assert (described["devices"], described["mesh"]) == (8, {"data": 2, "fsdp": 2, "tensor": 2})
    assert described["rows_per_device"] == 2
    assert described["tokens_per_step"] == 8 * 32
    assert described["parameters"] == 128 * 64 + 32 * 64 + 2 * (12 * 64 * 64 + 13 * 64) + 2 * 64
    # Parameters and moments: half of each matrix on two axes, that is a quarter of 12 bytes a number, and a bit.
    assert 3 * described["parameters"] < described["memory"]["arguments_bytes"] < 5 * described["parameters"]
    assert described["collectives"]["all-reduce"]["count"] > 0
    assert described["fits"] is None and described["estimate"] is None  # a CPU is not listed


def test_a_shape_of_ones_own_is_compiled(command):
    shape = ["--config.model.width=48", "--config.model.depth=3", "--config.model.num_heads=6"]
    described = json.loads(command("experiments.compile_check", "--topology=cpu:1", *FLAGS, *shape))
    assert described["parameters"] == 128 * 48 + 32 * 48 + 3 * (12 * 48 * 48 + 13 * 48) + 2 * 48


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--topology=v9:2x2"], "'v9' is not known"),
        (["--topology=v5e"], "expected a shape after the generation"),
        (["--topology=cpu:2x2"], "counted, as in cpu:8"),
        (["--topology=cpu:3"], "does not divide into 3 parts"),
        (["--topology=cpu:2", "--config.mesh=data:4"], "asks for 4 devices and 2 are here"),
    ],
)
def test_what_cannot_be_compiled_is_one_line(refused, flags, line):
    assert line in refused("experiments.compile_check", *FLAGS, *flags)


def test_without_the_tpu_compiler_the_line_says_how_to_get_it(refused):
    if importlib.util.find_spec("libtpu") is not None:
        pytest.skip("libtpu is installed here, so its absence cannot be tried")
    assert ".[tpu]" in refused("experiments.compile_check", *FLAGS, "--topology=v5e:4x4")


@pytest.mark.exhaustive
def test_gpt2_small_fits_a_v5e_slice():
    # `make test` puts the compiler there, outside the packages that every other test sees.
    beside = Path(sys.prefix) / "libtpu"
    if not beside.is_dir():
        pytest.skip(f"libtpu is not in {beside}; make test puts it there on x86 Linux")
    flags = ["--config.mesh=fsdp:16", "--config.train.batch_size=128", "--config.dtype=bfloat16"]
    done = run_command(
        "experiments.compile_check", "--topology=v5e:4x4", "--config.model.remat=layers", *flags, PYTHONPATH=str(beside)
    )
    assert done.returncode == 0, done.stderr[-2000:]
    described = json.loads(done.stdout)
    assert (described["device_kind"], described["devices"]) == ("TPU v5 lite", 16)
    assert described["parameters"] == 124_439_808 + (50_304 - 50_257) * 768
    # Parameters and two moments in float32, a sixteenth of each; and a chip fills up its tiles of 8 x 128 numbers.
    share = 12 * described["parameters"] / 16
    assert share < described["memory"]["arguments_bytes"] < 1.5 * share
    assert described["fits"] is True
    assert 0 < described["estimate"]["communication_share"] < 1


def test_a_step_that_does_not_fit_says_so():
    beside = Path(sys.prefix) / "libtpu"
    if not beside.is_dir():
        pytest.skip(f"libtpu is not in {beside}; make test puts it there on x86 Linux")
    large = ["--config.model.size=mini", "--config.model.max_length=1024", "--config.train.batch_size=2048"]
    done = run_command("experiments.compile_check", *large, "--topology=v5e:2x2", PYTHONPATH=str(beside))
    assert done.returncode == 0, done.stderr[-2000:]
    described = json.loads(done.stdout)
    assert described["fits"] is False
    assert "memory" in described["refusal"]


@pytest.mark.parametrize(
    ("shape", "devices"), [("v4:2x2x1", 4), pytest.param("v5e:1x1", 1, marks=pytest.mark.exhaustive)]
)
def test_a_chip_is_one_device(shape, devices):
    beside = Path(sys.prefix) / "libtpu"
    if not beside.is_dir():
        pytest.skip(f"libtpu is not in {beside}; make test puts it there on x86 Linux")
    done = run_command("experiments.compile_check", *FLAGS, f"--topology={shape}", PYTHONPATH=str(beside))
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["devices"] == devices
