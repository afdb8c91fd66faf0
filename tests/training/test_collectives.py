import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lingjax.training.collectives import Traffic, count_collectives


def test_a_collective_in_a_loop_counts_as_often_as_the_loop_turns():
    hlo = """HloModule step, num_partitions=2

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
        "all-gather": Traffic(count=6, bytes=5 * 64 + 128, sent_bytes=5 * 32 + 64),
        "all-reduce": Traffic(count=1, bytes=12 + 16, sent_bytes=12 + 16),
    }


@pytest.mark.parametrize(
    "groups",
    ["{{0,2,4},{1,3,5}}", "[2,3]<=[3,2]T(1,0)", "mesh['axis_0'=3,'axis_1'=2] {'axis_0'}"],
)
@pytest.mark.parametrize(
    ("kind", "sent"),
    [("all-gather", 32), ("all-reduce", 64), ("reduce-scatter", 96), ("all-to-all", 32), ("collective-permute", 48)],
)
def test_what_a_ring_of_three_devices_sends_for_a_result_of_48_bytes(kind, sent, groups):
    hlo = f"""HloModule step, num_partitions=6

ENTRY %main (a: f32[8,4]) -> f32[8,4] {{
  %r = bf16[4,6]{{1,0}} {kind}(%x), channel_id=1, replica_groups={groups}, use_global_device_ids=true
}}
"""
    assert count_collectives(hlo) == {kind: Traffic(count=1, bytes=48, sent_bytes=sent)}


def test_a_transfer_that_runs_on_through_several_fusions_is_one():
    gather = 'bf16[6,4]{1,0} all-gather(%x), channel_id=7, replica_groups={{0,1,2}}, attributes={chain_id="2"}'
    hlo = f"""HloModule step, num_partitions=3

%start (p: bf16[2,4]) -> bf16[6,4] {{
  %g.1 = {gather}
}}

%done (p: bf16[2,4]) -> bf16[6,4] {{
  %g.2 = {gather}
}}

ENTRY %main (a: bf16[2,4]) -> bf16[6,4] {{
  %f.1 = bf16[6,4] fusion(%a), kind=kCustom, calls=%start
  %f.2 = bf16[6,4] fusion(%a), kind=kCustom, calls=%done
  %other = {gather.replace("channel_id=7", "channel_id=8")}
}}
"""
    assert count_collectives(hlo) == {"all-gather": Traffic(count=2, bytes=2 * 48, sent_bytes=2 * 32)}


def test_a_fused_reduce_scatter_of_a_tpu_is_no_all_reduce():
    hlo = """HloModule step, num_partitions=3

%all-reduce-scatter.1.clone (p: f32[6,4]) -> f32[2,4] {
  %r = f32[6,4]{1,0} all-reduce(%p), channel_id=3, replica_groups={{0,1,2}}, to_apply=%add
}

ENTRY %main (a: f32[6,4]) -> f32[2,4] {
  %f = f32[2,4] fusion(%a), kind=kCustom, calls=%all-reduce-scatter.1.clone
}
"""
    assert count_collectives(hlo) == {"reduce-scatter": Traffic(count=1, bytes=32, sent_bytes=64)}


TPU_LOOP = """HloModule step, num_partitions=4

%body (p: (f32[8,4], s32[])) -> (f32[8,4], s32[]) {
  %one = s32[]{:T(128)} constant(STRIDE)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=1
  %g = bf16[8,4]{1,0} all-gather(%x), dimensions={0}
  %next = s32[]{:T(128)} add(%i, %one), metadata={op_name="while"}
  ROOT %t = (f32[8,4]{1,0}, s32[]{:T(128)}) tuple(%y, /*index=1*/%next), metadata={op_name="while"}
}

%cond (p: (f32[8,4], s32[])) -> pred[] {
  %c = s32[]{:T(128)} constant(7)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=1
  ROOT %lt = pred[]{:T(512)} compare(%i, %c), direction=LT
}

ENTRY %main (a: f32[8,4]) -> f32[8,4] {
  %w = (f32[8,4], s32[]) while(%t), condition=%cond, body=%body, metadata={op_name="while"}
}
"""


@pytest.mark.parametrize("counter", ["s32", "u32"])
@pytest.mark.parametrize(("stride", "turns"), [(1, 7), (2, 4), (7, 1)])
def test_a_loop_of_a_tpu_turns_as_often_as_its_counter_needs_to_the_bound(counter, stride, turns):
    hlo = TPU_LOOP.replace("s32[]{", f"{counter}[]{{").replace("STRIDE", str(stride))
    assert count_collectives(hlo) == {"all-gather": Traffic(count=turns, bytes=turns * 64, sent_bytes=turns * 48)}


@pytest.mark.parametrize(
    ("known", "unknown"), [("direction=LT", "direction=NE"), ("add(%i, %one)", "add(%i, %i)"), ("(STRIDE)", "(0)")]
)
def test_a_loop_that_turns_nobody_knows_how_often_is_refused(known, unknown):
    with pytest.raises(ValueError, match="how often this loop turns is not known"):
        count_collectives(TPU_LOOP.replace(known, unknown).replace("STRIDE", "1"))


def test_a_program_of_one_device_has_none():
    compiled = jax.jit(lambda x: x @ x).lower(jnp.ones((3, 3))).compile()
    assert count_collectives(compiled.as_text()) == {}


def test_a_sum_over_devices_is_one_all_reduce_of_its_result():
    mesh = Mesh(np.asarray(jax.devices()[:2]), ("data",))
    x = jax.ShapeDtypeStruct((4, 7), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec("data")))
    compiled = jax.jit(lambda x: x.sum(0), out_shardings=NamedSharding(mesh, PartitionSpec())).lower(x).compile()
    assert count_collectives(compiled.as_text()) == {"all-reduce": Traffic(count=1, bytes=28, sent_bytes=28)}


def test_text_that_is_no_program_is_refused():
    with pytest.raises(ValueError, match="no ENTRY computation"):
        count_collectives("HloModule nothing")
