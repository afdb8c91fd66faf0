"""Datasets written part by part: each part is worked on by itself, and its shards follow those of the part before.

So the bytes do not depend on which engine works on the parts, on how many workers, or in which order.
"""

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from data_prep.features import describe_features, make_serializer
from data_prep.shards import SHARD_BYTES, Shard, write_shards
from data_prep.tally import Tally, add_up
from data_prep.work import Advance, Engine
from data_prep.writer import Filled, write_folder
from lingjax.errors import InputError, raise_problems

Part = TypeVar("Part")


class RecordSource(Protocol[Part]):
    """How the records of a part come about; it and parts can be pickled.

    Attributes:
      kind: the kind of the records, "corpus" or "packed".
    """

    kind: str

    def records(self, part: Part, tally: Tally, advance: Advance) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Yields the records of a part, each with its split.

        Args:
          part: one of those that the dataset consists of.
          tally: receives counts and problems.
          advance: is told what is done.

        Raises:
          InputError: the part cannot be read; it becomes a problem of the dataset.
        """


def write_in_parts(
    data_dir: Path | str,
    name: str,
    record_source: RecordSource[Part],
    parts: Sequence[Part],
    *,
    engine: Engine,
    total: int,
    unit: str,
    splits: Sequence[str],
    finish: Callable[[Tally], Mapping[str, object]],
    description: str,
    request: Mapping[str, object],
    overwrite: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Writes all parts of a dataset and returns its version folder; the same parts give the same bytes.

    Args:
      data_dir: folder of all datasets, which every worker of the engine sees under this path.
      name: the dataset's name.
      record_source: makes the records of each part.
      parts: in the order of their records.
      engine: what works on them.
      total: how much there is to do in all, in the unit of what the source advances.
      unit: what `total` counts.
      splits: all splits, in the order in which TFDS lists them; each must have records in the end.
      finish: turns the counts of all parts into what `lingjax.json` says, or refuses them.
      description, request, overwrite: as `data_prep.writer.write_dataset`.
      shard_bytes: a shard that has reached this size is closed.

    Raises:
      InputError: the problems of all parts together, or as `data_prep.writer.write_dataset`.
    """

    def fill(folder: Path) -> Filled:
        # A name of its own: a worker that outlived a killed run must not find its folder again.
        scratch = tempfile.mkdtemp(prefix="parts-", dir=folder.absolute())
        work = functools.partial(_write_part, record_source=record_source, scratch=scratch, shard_bytes=shard_bytes)
        written = engine.map(work, list(enumerate(parts)), total=total, unit=unit)
        tally = add_up(part.tally for part in written)
        raise_problems(f"{name} cannot be built", tally.problems)
        shards: dict[str, list[Shard]] = {}
        for part in written:
            for split, its_shards in part.shards.items():
                shards.setdefault(split, []).extend(its_shards)
        return Filled(shards, finish(tally))

    return write_folder(
        data_dir,
        name,
        splits,
        fill,
        kind=record_source.kind,
        description=description,
        request=request,
        overwrite=overwrite,
    )


@dataclasses.dataclass(frozen=True)
class _WrittenPart:
    shards: dict[str, list[Shard]]
    tally: Tally


def _write_part(
    numbered: tuple[int, Part], advance: Advance, *, record_source: RecordSource[Part], scratch: str, shard_bytes: int
) -> _WrittenPart:
    """Writes the shards of a part into a folder of its own, which other attempts at the same part do not touch."""
    number, part = numbered
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix=f"{number:06d}-", dir=scratch))
    serialize = make_serializer(describe_features(record_source.kind))
    payloads = ((split, serialize(record)) for split, record in record_source.records(part, tally, advance))
    try:
        return _WrittenPart(write_shards(folder, payloads, shard_bytes=shard_bytes), tally)
    except InputError as error:
        tally.problems.append(str(error))
        return _WrittenPart({}, tally)
