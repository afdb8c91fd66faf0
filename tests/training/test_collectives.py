import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lingjax.training.collectives import Traffic, count_collectives


def test_a_collective_in_a_loop_counts_as_often_as_the_loop_turns():
    hlo = """HloModule step

%body (p: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %g = bf16[8,4]{1,0} all-gather(%x), dimensions={0}
}

%cond (p: (s32[], f32[8,4])) -> pred[] {
  %c = pred[] compare(%a, %b), direction=LT
}

ENTRY %main (a: f32[8,4]) -> f32[8,4] {
  %w = (s32[], f32[8,4]) while(%t), condition=%cond, body=%body, backend_config={"known_trip_count":{"n":"5"}}
  %r = (f32[3]{0}, f32[2,2]{1,0}) all-reduce(%u, %v), to_apply=%add
  %s = (bf16[4]{0}, bf16[64]{0}) all-gather-start(%y), dimensions={0}
  %d = bf16[64]{0} all-gather-done(%s)
}
"""
    assert count_collectives(hlo) == {
        "all-gather": Traffic(count=6, bytes=5 * 64 + 128),
        "all-reduce": Traffic(count=1, bytes=12 + 16),
    }


TPU_LOOP = """HloModule step

%body (p: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %g = bf16[8,4]{1,0} all-gather(%x), dimensions={0}
}

%cond (p: (s32[], f32[8,4])) -> pred[] {
  %c = s32[]{:T(128)} constant(7)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=0
  ROOT %lt = pred[]{:T(512)} compare(%i, %c), direction=LT
}

ENTRY %main (a: f32[8,4]) -> f32[8,4] {
  %w = (s32[], f32[8,4]) while(%t), condition=%cond, body=%body, metadata={op_name="while"}
}
"""


@pytest.mark.parametrize("counter", ["s32", "u32"])
def test_a_loop_of_a_tpu_turns_as_often_as_its_condition_says(counter):
    hlo = TPU_LOOP.replace("s32[]{", f"{counter}[]{{")
    assert count_collectives(hlo) == {"all-gather": Traffic(count=7, bytes=7 * 64)}


def test_a_loop_that_turns_nobody_knows_how_often_is_refused():
    with pytest.raises(ValueError, match="how often this loop turns is not known"):
        count_collectives(TPU_LOOP.replace("direction=LT", "direction=NE"))


def test_a_program_of_one_device_has_none():
    compiled = jax.jit(lambda x: x @ x).lower(jnp.ones((3, 3))).compile()
    assert count_collectives(compiled.as_text()) == {}


def test_a_sum_over_devices_is_one_all_reduce_of_its_result():
    mesh = Mesh(np.asarray(jax.devices()[:2]), ("data",))
    x = jax.ShapeDtypeStruct((4, 7), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec("data")))
    compiled = jax.jit(lambda x: x.sum(0), out_shardings=NamedSharding(mesh, PartitionSpec())).lower(x).compile()
    assert count_collectives(compiled.as_text()) == {"all-reduce": Traffic(count=1, bytes=28)}


def test_text_that_is_no_program_is_refused():
    with pytest.raises(ValueError, match="no ENTRY computation"):
        count_collectives("HloModule nothing")
