import json

import numpy as np
import pytest
from scipy import stats

from benchmarks import scaling_input, scaling_step
from benchmarks.scaling_fit import fit_power_law
from benchmarks.scaling_input import InputWork, check_shares
from benchmarks.scaling_plots import draw_scaling
from benchmarks.scaling_pods import PodsWork, describe_cell, meshes_of
from benchmarks.scaling_step import StepWork, describe_curve, measure_steps
from lingjax.errors import InputError

STEP = {
    "size": "tiny",
    "lengths": (16, 64),
    "sizes": ("tiny", "mini"),
    "rows": (1, 3),
    "tokens": 192,
    "length": 32,
    "vocab_size": 101,
    "dtype": "float32",
    "repetitions": 2,
    "seed": 0,
}


def test_a_power_law_is_the_regression_of_the_logarithms():
    x, y = [128, 256, 512, 1024], [0.31, 0.35, 0.52, 0.61]
    law = fit_power_law(x, y)
    expected = stats.linregress(np.log(x), np.log(y))
    np.testing.assert_allclose(
        [law.exponent, law.standard_error, np.log(law.coefficient)],
        [expected.slope, expected.stderr, expected.intercept],
        rtol=1e-12,
    )


def test_two_points_have_a_law_without_error_and_one_point_has_none():
    law = fit_power_law([2, 8], [3, 48])
    assert (law.coefficient, law.exponent) == (pytest.approx(0.75), pytest.approx(2))
    assert law.standard_error is None
    assert fit_power_law([2], [3]) is fit_power_law([2, 2], [3, 4]) is None


def test_lengths_and_sizes_share_their_tokens_and_rows_do_not():
    curves = StepWork(**STEP).curves()
    assert {shape.rows * shape.length for axis in ("length", "parameters") for shape in curves[axis]} == {192}
    assert [(shape.rows, shape.length) for shape in curves["rows"]] == [(1, 32), (3, 32)]


@pytest.mark.parametrize(
    ("changes", "line"),
    [({"lengths": (16, 48, 80)}, "does not divide into rows of 80"), ({"sizes": ("smal",)}, "did you mean 'small'")],
)
def test_steps_that_cannot_be_compared_are_refused(changes, line):
    with pytest.raises(InputError, match=line):
        StepWork(**{**STEP, **changes})


def test_a_step_that_exceeds_the_memory_is_named_and_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(scaling_step, "available_bytes", lambda device: 2**20)
    measured = measure_steps(StepWork(**{**STEP, "lengths": (32,), "sizes": ("tiny",), "rows": (6,)}))
    assert list(measured["left_out"]) == ["tiny, 6 x 32"]
    assert "GiB are free" in measured["left_out"]["tiny, 6 x 32"]
    assert all(curve["points"] == [] for curve in measured["curves"].values())
    assert draw_scaling(tmp_path, {"step": measured}) == []


def test_a_curve_sets_the_exponent_of_its_flops_beside_that_of_its_time():
    points = [
        {"rows": rows, "seconds": {"median": rows**0.5}, "peak_memory_bytes": 7, "flops": 5.0 * rows}
        for rows in (8, 2, 4)
    ]
    curve = describe_curve("rows", points)
    assert [point["rows"] for point in curve["points"]] == [2, 4, 8]
    assert curve["time"]["exponent"] == pytest.approx(0.5)
    assert curve["memory"]["exponent"] == pytest.approx(0)
    assert curve["theory_exponent"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("chips", "meshes"),
    [(4, ["data:4", "fsdp:4"]), (64, ["data:64", "fsdp:64", "data:8,fsdp:8"])],
)
def test_a_slice_is_compiled_for_its_meshes(chips, meshes):
    assert list(meshes_of(chips).values()) == meshes


def test_a_slice_that_is_no_square_is_refused():
    with pytest.raises(InputError, match="--pods_chips=8"):
        PodsWork(generation="v5e", chips=(4, 8), size="tiny", rows=2, length=16, vocab_size=101)


def described_step(**changes):
    """What `experiments.compile_check` prints, in part."""
    collectives = {
        "all-gather": {"count": 2, "bytes": 80, "sent_bytes": 60},
        "all-reduce": {"count": 1, "bytes": 40, "sent_bytes": 60},
    }
    estimate = {"compute_seconds_at_peak": 2.0, "communication_seconds": 3.0, "communication_share": 0.6}
    return {
        "topology": "v5e:2x2",
        "devices": 4,
        "fits": True,
        "memory": {"peak_bytes": 2**30},
        "model_flops_per_device": 7.0,
        "collectives": collectives,
        "estimate": estimate,
    } | changes


def test_a_cell_adds_up_what_is_sent_and_estimates_both_efficiencies():
    cell = describe_cell("fsdp", "fsdp:4", described_step())
    assert cell["sent_bytes"] == 120
    assert cell["efficiency"] == {"overlapped": pytest.approx(2 / 3), "in_turns": pytest.approx(2 / 5)}


def test_a_cell_that_does_not_fit_has_no_efficiency():
    cell = describe_cell("data", "data:4", described_step(fits=False, memory=None, collectives=None, estimate=None))
    assert (cell["fits"], cell["sent_bytes"], cell["efficiency"]) == (False, 0, None)


@pytest.fixture(scope="module")
def work(packed, tokenizer):
    return InputWork(mixture=packed, tokenizer=str(tokenizer), hosts=(1, 3), rows=2, batches=20, rounds=1)


def test_the_shares_of_three_hosts_are_the_stream(work):
    checked = check_shares(work.open(), hosts=3, rows=2, batches=20)
    assert checked == {"rows_of_all_hosts": 3 * 2 * 20, "rows_read_twice": 0, "rows_left_out": 0}


@pytest.mark.parametrize(
    ("rows_of", "fault"),
    [
        (lambda host, rows: range(rows), "80 rows twice, 80 not at all"),
        (lambda host, rows: range((2 - host) * rows, (3 - host) * rows), "0 rows twice, 0 not at all"),
    ],
    ids=["all hosts read the first share", "the shares are out of order"],
)
def test_shares_that_are_not_the_stream_are_found(work, monkeypatch, rows_of, fault):
    monkeypatch.setattr(scaling_input, "rows_of", rows_of)
    with pytest.raises(RuntimeError, match=fault):
        check_shares(work.open(), hosts=3, rows=2, batches=20)


@pytest.mark.exhaustive
def test_all_parts_are_measured_and_drawn(command, packed, tokenizer, tmp_path):
    printed = command(
        "benchmarks.scaling",
        "--part=input,pods,step",
        *["--vocab_size=101", "--step_size=tiny", "--step_lengths=32,64", "--step_tokens=192", "--step_length=32"],
        *["--step_sizes=tiny", "--step_rows=1,6", "--step_repetitions=2"],
        *["--pods_generation=cpu", "--pods_chips=1", "--pods_size=tiny", "--pods_rows=2", "--pods_length=16"],
        *[f"--input_mixture={packed}", f"--input_tokenizer={tokenizer}", "--input_hosts=2", "--input_batches=3"],
        *["--input_rounds=1", f"--out={tmp_path}/result.json", f"--plots={tmp_path}"],
    )
    result = json.loads(printed)
    assert result == json.loads((tmp_path / "result.json").read_text())
    curves = result["step"]["curves"]
    assert {axis: len(curve["points"]) for axis, curve in curves.items()} == {"length": 2, "parameters": 1, "rows": 2}
    assert len(curves["length"]["points"][0]["seconds_by_repetition"]) == 2
    assert curves["parameters"]["time"] is None  # one model has no exponent
    assert curves["rows"]["theory_exponent"] == pytest.approx(1)
    assert result["step"]["left_out"] == {}
    (cell,) = result["pods"]["cells"]
    assert (cell["mesh"], cell["sent_bytes"], cell["memory"]["peak_bytes"] > 0) == ("data:1", 0, True)
    (point,) = result["input"]["points"]
    rate = point["tokens_per_second_of_a_host"]
    assert rate["min"] + rate["max"] == pytest.approx(point["tokens_per_second_together"])
    for part in ("step", "pods", "input"):
        assert "<svg" in (tmp_path / f"{part}.svg").read_text()
    again = tmp_path / "again"
    assert json.loads(command("benchmarks.scaling", f"--redraw={tmp_path}/result.json", f"--plots={again}")) == result
    for part in ("step", "pods", "input"):
        assert (again / f"{part}.svg").read_bytes() == (tmp_path / f"{part}.svg").read_bytes()


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--part=steps"], "did you mean 'step'"),
        (["--part=input"], "--input_mixture"),
        (["--redraw=result.json"], "--plots"),
        (["--part=pods", "--pods_chips=4,no"], "expected positive numbers"),
        (["--part=pods", "--pods_chips=4,0"], "expected positive numbers"),
    ],
)
def test_what_cannot_be_measured_is_one_line(refused, flags, line):
    assert line in refused("benchmarks.scaling", *flags)
