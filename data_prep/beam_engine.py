"""Works on the parts of a dataset with Apache Beam, on any of its runners."""

import contextlib
import io
import os
import pickle
import tempfile
from collections.abc import Sequence
from pathlib import Path

from data_prep.atomic_folder import incomplete_folder
from data_prep.work import Item, Result, Work
from lingjax.errors import InputError

_DEFAULT_RUNNER = "runner=FnApiRunner"  # this process


class BeamEngine:
    """Maps by a Beam pipeline.

    Workers leave their results in the folder of datasets, where the shards are too: a pipeline has no other way to hand
    results back. So they must see that folder, and the sources, under the paths of this process.

    Args:
      options: texts `KEY=VALUE` or `KEY`, which become flags of Beam: `--KEY=VALUE`. Without a runner among them, Beam
        works in this process.
      folder: where all datasets are.
      name: the dataset's name.

    Raises:
      InputError: Beam is not installed, or cannot use the options.
    """

    def __init__(self, options: Sequence[str], *, folder: Path, name: str):
        try:
            import apache_beam as beam
            from apache_beam.options.pipeline_options import PipelineOptions
        except ImportError as error:
            raise InputError('--engine=beam needs Apache Beam, the extra "beam": pip install -e ".[beam]"') from error
        self._folder, self._name = folder.absolute(), name
        # Unless a later option says otherwise: DirectRunner would first download a runner written in Go.
        given = [_DEFAULT_RUNNER, *options]
        self._options = PipelineOptions([f"--{option.removeprefix('--')}" for option in given])
        usage = io.StringIO()
        try:
            with contextlib.redirect_stderr(usage):
                self._options.get_all_options()
                beam.Pipeline(options=self._options)
        except (ValueError, SystemExit) as error:  # argparse prints pages and exits
            reason = usage.getvalue().strip().splitlines()[-1] if usage.getvalue() else error
            raise InputError(f"--beam_options={','.join(options)} cannot be used: {reason}") from error

    def map(self, work: Work, items: Sequence[Item], *, total: int, unit: str) -> list[Result]:
        """Returns the results in the order of the items, as `data_prep.engines.Engine.map`; Beam shows how far it is.

        Raises:
          InputError: the pipeline did not end well, for a reason that its runner knows.
        """
        import apache_beam as beam

        with incomplete_folder(self._folder, f"{self._name}-beam") as parent:
            # A name of its own: a worker that outlived a killed run must not find its folder again.
            folder = tempfile.mkdtemp(dir=parent)
            pipeline = beam.Pipeline(options=self._options)
            numbered = pipeline | beam.Create(list(enumerate(items)))
            # Without the shuffle one worker would keep all items, because all were created by one.
            _ = numbered | beam.Reshuffle() | beam.Map(_leave_result, work=work, folder=folder)
            state = pipeline.run().wait_until_finish()
            if state != beam.runners.runner.PipelineState.DONE:
                raise InputError(f"the Beam pipeline ended as {state}; the log of its runner says why")
            return [pickle.loads(_result_path(folder, number).read_bytes()) for number in range(len(items))]


def _leave_result(numbered: tuple[int, Item], *, work: Work, folder: str) -> None:
    number, item = numbered
    result = work(item, lambda _: None)
    # Renamed when complete: Beam may try an item twice, at the same time too.
    descriptor, partial = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "wb") as file:
        pickle.dump(result, file)
    Path(partial).rename(_result_path(folder, number))


def _result_path(folder: str, number: int) -> Path:
    return Path(folder) / f"{number:06d}.result"
