"""How fast hosts read their shares of a packed mixture, and whether the shares together are all of it."""

import collections
import dataclasses
import functools
import itertools
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import side_by_side
from benchmarks.scaling_fit import fit_power_law
from benchmarks.side_by_side import Side
from lingjax.data import NextToken, PackedRow, PackedSource, load_tokenizer, mixture_batches, open_packed, parse_mixture


@dataclasses.dataclass(frozen=True)
class InputWork:
    """What is read.

    Attributes:
      mixture: packed folders and their shares.
      tokenizer: folder of the one that packed them.
      hosts: how many share the stream, one count after another.
      rows: that each host reads of a batch, the same for every count; the batch grows with the hosts.
      batches: how many a host reads in one turn.
      rounds: turns of each host.
    """

    mixture: str
    tokenizer: str
    hosts: tuple[int, ...]
    rows: int
    batches: int
    rounds: int

    def open(self) -> list[tuple[PackedSource, float]]:
        """Returns the mixture's parts with their weights.

        Raises:
          InputError: a folder cannot be read, or another tokenizer packed it.
        """
        fingerprint = load_tokenizer(self.tokenizer).fingerprint
        return [
            (open_packed(reference, tokenizer_fingerprint=fingerprint), weight)
            for reference, weight in parse_mixture(self.mixture)
        ]


def measure_input(work: InputWork, *, threads: int) -> dict[str, Any]:
    """Measures each host alone, one at a time on all cores, as if it were a machine; checks the shares first.

    The result's `points` have, for every number of hosts, the spread of the hosts' median rates, and their sum as
    `together`, with the fitted exponent under `together_law` (theory: 1).

    Raises:
      RuntimeError: two hosts read the same row of the stream, or one is left out.
    """
    parts = work.open()
    points = []
    for hosts in work.hosts:
        checked = check_shares(parts, hosts=hosts, rows=work.rows, batches=work.batches)
        sides = {f"host {host} of {hosts}": functools.partial(_host, work, hosts, host) for host in range(hosts)}
        measured = side_by_side.alternate(sides, rounds=work.rounds, threads=threads)
        rates = [statistics.median(done.rate for done in side["rounds"]) for side in measured.values()]
        points.append(
            {
                "hosts": hosts,
                "tokens_per_second_of_a_host": side_by_side.spread(rates),
                "tokens_per_second_together": sum(rates),
                "checked": checked,
            }
        )
        print(f"input  {hosts} hosts: {sum(rates):.4g} tokens/s together", file=sys.stderr, flush=True)
    law = fit_power_law(work.hosts, [point["tokens_per_second_together"] for point in points])
    described = dataclasses.asdict(work)
    described["mixture"] = [Path(reference).name for reference, _ in parse_mixture(work.mixture)]
    described["tokenizer"] = Path(work.tokenizer).name
    return {
        "work": described,
        "points": points,
        "together_law": law and dataclasses.asdict(law),
        "theory_exponent": 1.0,
    }


def check_shares(parts: Sequence[tuple[PackedSource, float]], *, hosts: int, rows: int, batches: int) -> dict[str, int]:
    """Reads the same batches as all hosts and as one, and compares them row by row.

    Returns:
      `rows_of_all_hosts` that were read; `rows_read_twice` and `rows_left_out`, which are 0.

    Raises:
      RuntimeError: the hosts' rows, put together, are not the batches of one host; or a row of a corpus comes again
        before all others of it have come.
    """
    whole = _read(parts, batch_size=hosts * rows, rows=range(hosts * rows), batches=batches)
    shares = [_read(parts, batch_size=hosts * rows, rows=rows_of(host, rows), batches=batches) for host in range(hosts)]
    places = collections.Counter(np.concatenate(shares, axis=None).reshape(-1, 3)[:, 2].tolist())
    twice, left_out = sum(count - 1 for count in places.values()), hosts * rows * batches - len(places)
    if twice or left_out or not np.array_equal(np.concatenate(shares, axis=1), whole):
        raise RuntimeError(f"{hosts} hosts do not read what one reads: {twice} rows twice, {left_out} not at all")
    for number, (source, _) in enumerate(parts):
        read = whole.reshape(-1, 3)
        times = np.bincount(read[read[:, 0] == number][:, 1], minlength=len(source))
        if np.ptp(times) > 1:
            raise RuntimeError(f"{source.split.name}: a row was read {times.max()} times, another {times.min()}")
    return {"rows_of_all_hosts": places.total(), "rows_read_twice": twice, "rows_left_out": left_out}


def rows_of(host: int, rows: int) -> range:
    """Returns the rows of a batch that a host of a mesh `data:HOSTS` holds: its block of `rows`.

    >>> rows_of(2, 8)
    range(16, 24)
    """
    return range(host * rows, (host + 1) * rows)


def _origins(rows: Sequence[PackedRow], *, domain_ids: Sequence[int], places: Sequence[int]) -> np.ndarray:
    """An objective that keeps only where rows come from: part, row of the part, place in the stream."""
    return np.stack([domain_ids, [row.number for row in rows], places], axis=1)


def _read(parts: Sequence[tuple[PackedSource, float]], *, batch_size: int, rows: range, batches: int) -> np.ndarray:
    """Returns the origins of a host's rows [batches rows 3]."""
    stream = mixture_batches(parts, objective=_origins, batch_size=batch_size, seed=0, rows=rows)
    return np.stack(list(itertools.islice(stream, batches)))


def _host(work: InputWork, hosts: int, host: int) -> Side:
    """Batches as one host of a pretraining gets them."""
    batches = mixture_batches(
        work.open(),
        objective=NextToken(),
        batch_size=hosts * work.rows,
        seed=0,
        rows=rows_of(host, work.rows),
    )
    next(batches)

    def run(_: int) -> tuple[int, dict[str, Any]]:
        return sum(next(batches).token_ids.size for _ in range(work.batches)), {}

    return Side({}, run)
