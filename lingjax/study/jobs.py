"""Fine-tunings: one run folder each, not redone when finished, refused when its request changed."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from lingjax.data import PairEncoder
from lingjax.errors import InputError
from lingjax.study.config import differences
from lingjax.training.finetune import FinetuneConfig, FinetuneRun, finetune, runs_at_once
from lingjax.training.run_folder import is_described, is_finished, read_run_description

_LOG = logging.getLogger(__name__)

# The rest is for what the allocator cannot use and for batches larger than those that were looked at.
_MEMORY_TO_SPARE = 0.9


@dataclasses.dataclass(frozen=True)
class FinetuneJob:
    """One fine-tuning to make.

    Attributes:
      title: what the progress bar calls it.
      folder: where the run lives.
      request: all that decides the trained model, as plain values.
      make: loads the model and names the pairs.
    """

    title: str
    folder: Path
    request: Mapping[str, Any]
    make: Callable[[], tuple[FinetuneRun, PairEncoder]]


def finetune_all(
    jobs: Sequence[FinetuneJob],
    recipe: FinetuneConfig,
    *,
    mesh: Mesh,
    at_once: int,
    tell: Callable[[str], None] = _LOG.info,
) -> None:
    """Makes every fine-tuning that is not done yet; an interrupted one goes on. Several may share a program.

    Args:
      jobs: train models of one shape, over as many pairs each.
      recipe: theirs.
      mesh: devices.
      at_once: how many share a program; 0 for as many as fit.
      tell: is told how many there are, once the first can begin.

    Raises:
      InputError: a folder was begun with other settings or data; names them.
    """
    # All are looked at first: a folder of other settings is found before hours are spent.
    done = [is_done(job.folder, job.request) for job in jobs]
    for job, finished in zip(jobs, done, strict=True):
        if finished:
            _LOG.info("%s is finished", job.folder)
    if all(done):
        return
    first_left = done.index(False)
    at_once = at_once or _as_many_as_fit(jobs, recipe, mesh)
    # Groups follow from what is wanted and not from what is left, so that an interrupted one is put together again.
    for first in range(0, len(jobs), at_once):
        left = [index for index in range(first, min(first + at_once, len(jobs))) if not done[index]]
        if not left:
            continue
        runs, encoders = zip(*(jobs[index].make() for index in left), strict=True)
        title = ", ".join(jobs[index].title for index in left)
        if first_left in left:  # its data are read and its model loaded, so nothing speaks against it any more
            tell(f"{len(jobs)} fine-tunings, {sum(done)} of them finished")
        finetune(runs, config=recipe, encoder=encoders[0], mesh=mesh, title=title)


def is_done(folder: Path, request: Mapping[str, Any]) -> bool:
    """Says whether `folder` holds a finished run of this request.

    Args:
      folder: where the run lives.
      request: all that decides the trained model; not how it is shown, stored or split over devices.

    Raises:
      InputError: the folder was begun with another request; names what differs.
    """
    if not is_described(folder):
        return False
    before = read_run_description(folder)["settings"]["request"]
    changed = [f"{key} {change}" for key, change in differences(before, request).items()]
    if changed:
        raise InputError(
            f"{folder} was made with other settings: {', '.join(changed)}; take another --workdir, or remove this one"
        )
    return is_finished(folder)


def _as_many_as_fit(jobs: Sequence[FinetuneJob], recipe: FinetuneConfig, mesh: Mesh) -> int:
    """How many runs share a program: on a CPU one, where several at once are slower (benchmarks/README.md)."""
    device = mesh.devices.flat[0]
    if device.platform == "cpu" or len(jobs) == 1:
        return 1
    run, encoder = jobs[0].make()
    run = dataclasses.replace(run, start=run.start.without_weights())
    limit = int(_MEMORY_TO_SPARE * device.memory_stats()["bytes_limit"])
    return runs_at_once(len(jobs), run, config=recipe, encoder=encoder, mesh=mesh, limit_bytes=limit)
