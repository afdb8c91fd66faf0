"""The traffic between devices in a compiled program, read from its HLO text."""

import collections
import dataclasses
import math
import re
from collections.abc import Sequence

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8}
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_COLLECTIVE = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_CALLED = re.compile(r"(?:to_apply|calls|body|condition|async_execution_thread[^,]*, calls)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CONDITION = re.compile(r" while\(.* condition=%?([\w.\-]+)")
_CONSTANT = re.compile(r"%?([\w.\-]+) = [su]32\[\]\S* constant\((\d+)\)")
_COMPARISON = re.compile(r"ROOT .*compare\(%?[\w.\-]+, %?([\w.\-]+)\), direction=LT")


@dataclasses.dataclass(frozen=True)
class Traffic:
    """The collectives of one kind that a device takes part in during one run of the program.

    Attributes:
      count: how often.
      bytes: of their results on one device, all together.
    """

    count: int
    bytes: int


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
    counts: collections.Counter[str] = collections.Counter()
    sizes: collections.Counter[str] = collections.Counter()

    def visit(computation: str, times: int) -> None:
        for line in lines.get(computation, ()):
            found = _COLLECTIVE.search(line)
            if found:
                counts[found[2]] += times
                sizes[found[2]] += times * _result_bytes(found[1], is_start=bool(found[3]))
            condition = _CONDITION.search(line)
            turns = _count_turns(line, lines.get(condition[1], ())) if condition else 1
            before = sum(counts.values())
            called = _CALLED.findall(line)
            for branches in _BRANCHES.findall(line):
                called += [name.strip().lstrip("%") for name in branches.split(",")]
            for name in called:
                visit(name, times * (turns or 1))
            if turns is None and sum(counts.values()) > before:
                raise ValueError(f"how often this loop turns is not known: {line.strip()[:200]}")

    visit(entry, 1)
    return {kind: Traffic(counts[kind], sizes[kind]) for kind in KINDS if counts[kind]}


def _count_turns(loop: str, condition: Sequence[str]) -> int | None:
    """Returns how often a loop turns: as is noted on it or, for TPUs, by the bound of its counter."""
    noted = _TRIPS.search(loop)
    if noted:
        return int(noted[1])
    bounds = {found[1]: int(found[2]) for line in condition if (found := _CONSTANT.search(line))}
    compared = next((found[1] for line in condition if (found := _COMPARISON.search(line))), None)
    return bounds.get(compared)


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
