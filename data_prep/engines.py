"""Where a dataset's parts are worked on: one after another in this process, or wherever Apache Beam puts them."""

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from data_prep.work import Engine, Item, Result, Work
from lingjax.errors import InputError, nearest

ENGINES = ("local", "beam")


class LocalEngine:
    """Works in this process and shows on a terminal how far it is, how fast, and how long it will take."""

    def map(self, work: Work, items: Sequence[Item], *, total: int, unit: str) -> list[Result]:
        """Returns the results in the order of the items; as `Engine.map`."""
        # Without a terminal there is no bar, so that logs and pipes stay clean.
        with tqdm(total=total, unit=unit, unit_scale=True, disable=None, dynamic_ncols=True) as bar:
            return [work(item, bar.update) for item in items]


def choose_engine(engine: str, beam_options: Sequence[str] | None, *, data_dir: Path | str, name: str) -> Engine:
    """Returns the engine that flags ask for.

    Args:
      engine: "local" or "beam".
      beam_options: `KEY=VALUE` or `KEY` texts for the Beam pipeline.
      data_dir: where the dataset is going to be; Beam's workers leave their results there.
      name: the dataset's name.

    Raises:
      InputError: the engine is unknown, Beam is not installed or does not know an option.
    """
    if engine not in ENGINES:
        raise InputError(f"--engine={engine} is unknown; {nearest(engine, ENGINES)}")
    if engine == "beam":
        from data_prep.beam_engine import BeamEngine

        return BeamEngine(beam_options or (), folder=Path(data_dir).expanduser(), name=name)
    if beam_options is not None:
        raise InputError("--beam_options is for --engine=beam")
    return LocalEngine()
