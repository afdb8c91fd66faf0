"""The traffic between devices in a compiled program, read from its HLO text."""

import collections
import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8}
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_COLLECTIVE = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_CALLED = re.compile(r"(?:to_apply|calls|body|condition|async_execution_thread[^,]*, calls)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_LOOP = re.compile(r" while\(.* condition=%?([\w.\-]+), body=%?([\w.\-]+)")
_CONSTANT = re.compile(r"%?([\w.\-]+) = [su]32\[\]\S* constant\((\d+)\)")
_COMPARISON = re.compile(r"ROOT .*compare\(%?([\w.\-]+), %?([\w.\-]+)\), direction=LT")
_ELEMENT = re.compile(r"%?([\w.\-]+) = [su]32\[\]\S* get-tuple-element\(.*\), index=(\d+)")
_ROOT = re.compile(r"ROOT .* tuple\((.*?)\)")
_REMARK = re.compile(r"/\*.*?\*/")
_SUM = re.compile(r"%?([\w.\-]+) = [su]32\[\]\S* add\(%?([\w.\-]+), %?([\w.\-]+)\)")
# Several fusions of a TPU program carry one transfer on beside their arithmetic; each names it again.
_CHAIN = re.compile(r'channel_id=(\d+),.*chain_id="(\d+)"')
# A TPU's reduce-scatter is a fusion of this name: an all-reduce of which a slice is kept.
_FUSED_SCATTER = "all-reduce-scatter"
_LISTED_GROUPS = re.compile(r"replica_groups=\{\{([\d,]+)\}")
_COUNTED_GROUPS = re.compile(r"replica_groups=\[\d+,(\d+)\]<=")
_MESH_GROUPS = re.compile(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}")
_MESH_AXIS = re.compile(r"'(\w+)'=(\d+)")
_PARTITIONS = re.compile(r"num_partitions=(\d+)")


@dataclasses.dataclass(frozen=True)
class Traffic:
    """The collectives of one kind that a device takes part in during one run of the program.

    Attributes:
      count: how often.
      bytes: size of their results on one device, all together.
      sent_bytes: that leave one device, if each collective goes round a ring of its group.
    """

    count: int
    bytes: int
    sent_bytes: int


def count_collectives(hlo: str) -> dict[str, Traffic]:
    """Counts collectives by kind; those in a loop as often as the loop turns.

    Args:
      hlo: text of an optimised module, as `compiled.as_text()` gives it.

    Raises:
      ValueError: the text has no entry computation, or a loop with collectives turns nobody knows how often.
    """
    lines, entry = _split(hlo)
    if entry is None:
        raise ValueError("the text has no ENTRY computation; pass the optimised module of one program")
    totals: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    partitions = _PARTITIONS.search(hlo)
    devices = int(partitions[1]) if partitions else 1
    counted_chains: set[tuple[str, ...]] = set()

    def visit(computation: str, times: int) -> None:
        fused_scatter = computation.startswith(_FUSED_SCATTER)
        for line in lines.get(computation, ()):
            chain = _CHAIN.search(line)
            found = _read_collective(line, devices=devices, fused_scatter=fused_scatter)
            if found and not (chain and chain.groups() in counted_chains):
                kind, size, sent = found
                totals[kind].update(count=times, bytes=times * size, sent_bytes=times * sent)
            if found and chain:
                counted_chains.add(chain.groups())
            turns = _count_turns(line, lines) if _LOOP.search(line) else 1
            before = sum(total["count"] for total in totals.values())
            called = _CALLED.findall(line)
            for branches in _BRANCHES.findall(line):
                called += [name.strip().lstrip("%") for name in branches.split(",")]
            for name in called:
                visit(name, times * (turns or 1))
            if turns is None and sum(total["count"] for total in totals.values()) > before:
                raise ValueError(f"how often this loop turns is not known: {line.strip()[:200]}")

    visit(entry, 1)
    return {kind: Traffic(**totals[kind]) for kind in KINDS if totals[kind]}


def _read_collective(line: str, *, devices: int, fused_scatter: bool) -> tuple[str, int, int] | None:
    """Returns kind, bytes of the result and bytes that a device sends; None if the line is no collective."""
    found = _COLLECTIVE.search(line)
    if not found:
        return None
    kind, size, group = found[2], _result_bytes(found[1], is_start=bool(found[3])), _group_size(line, devices)
    if fused_scatter and kind == "all-reduce":
        kind, size = "reduce-scatter", size // group
    return kind, size, _sent_bytes(kind, size, group)


def _count_turns(loop: str, lines: Mapping[str, Sequence[str]]) -> int | None:
    """Returns how often a loop turns: as is noted on it or, for TPUs, by the bound and the stride of its counter."""
    noted = _TRIPS.search(loop)
    if noted:
        return int(noted[1])
    called = _LOOP.search(loop)
    condition, body = (lines.get(name, ()) for name in called.groups())
    compared = next((found.groups() for line in condition if (found := _COMPARISON.search(line))), (None, None))
    bound = _constants(condition).get(compared[1])
    places = {found[1]: int(found[2]) for line in condition if (found := _ELEMENT.search(line))}
    stride = _stride(body, places.get(compared[0]))
    return None if bound is None or not stride else -(-bound // stride)


def _stride(body: Sequence[str], place: int | None) -> int | None:
    """Returns what a turn of a loop adds to the element of its state at `place`."""
    root = next((found[1] for line in body if (found := _ROOT.search(line))), None)
    if root is None or place is None:
        return None
    counter = _REMARK.sub("", root).split(", ")[place].lstrip("%")
    added = next((found.groups()[1:] for line in body if (found := _SUM.search(line)) and found[1] == counter), ())
    constants = _constants(body)
    return next((constants[name] for name in added if name in constants), None)


def _constants(lines: Sequence[str]) -> dict[str, int]:
    return {found[1]: int(found[2]) for line in lines if (found := _CONSTANT.search(line))}


def _split(hlo: str) -> tuple[dict[str, list[str]], str | None]:
    """Returns the lines of each computation, and the entry's name."""
    lines: dict[str, list[str]] = {}
    entry = current = None
    for line in hlo.splitlines():
        header = _COMPUTATION.match(line)
        if header:
            current = header[2]
            lines[current] = []
            entry = current if header[1] else entry
        elif current is not None and line.startswith(" "):
            lines[current].append(line)
    return lines, entry


def _result_bytes(shape: str, *, is_start: bool) -> int:
    """Adds up the arrays of a result; an asynchronous start's result names its operands first."""
    arrays = [
        _BYTES.get(kind, 4) * math.prod(int(size) for size in sizes.split(",") if size)
        for kind, sizes in _ARRAY.findall(shape)
    ]
    if is_start and len(arrays) > 1:
        return max(arrays)
    return sum(arrays)


def _group_size(line: str, devices: int) -> int:
    """Returns how many devices take part in a collective together; `devices`, all, where the line names no groups."""
    if listed := _LISTED_GROUPS.search(line):
        return listed[1].count(",") + 1
    if counted := _COUNTED_GROUPS.search(line):
        return int(counted[1])
    if mesh := _MESH_GROUPS.search(line):
        return math.prod(int(size) for axis, size in _MESH_AXIS.findall(mesh[1]) if f"'{axis}'" in mesh[2])
    return devices


def _sent_bytes(kind: str, size: int, group: int) -> int:
    """Returns what one device sends in a ring, where `size` bytes of result stay on it."""
    if kind == "collective-permute":
        return size
    # An all-reduce is a reduce-scatter and then an all-gather; a reduce-scatter's ring carries all that is reduced.
    whole = {"all-reduce": 2 * size, "reduce-scatter": group * size}.get(kind, size)
    return whole * (group - 1) // group
