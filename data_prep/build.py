"""Builds a dataset of TFRecords in TFDS layout.

For example `python -m data_prep.build --dataset=pairs --name=paws_en --source=train.tsv --data_dir=DIR`;
data_prep/README.md describes the datasets, their flags and the file formats.
"""

import sys

from absl import flags

from data_prep.builders import BUILDERS, check_flags, load_builder
from data_prep.builders.flags import define_flags
from lingjax import command
from lingjax.errors import InputError

_DATASET = flags.DEFINE_string("dataset", None, f"What to build: {', '.join(BUILDERS)}.")
_OPTIONS = define_flags(BUILDERS)


def main(_: list[str]) -> None:
    """Builds what the flags say and prints a line about each dataset."""
    from data_prep import writer
    from data_prep.installed import check_installed

    if _DATASET.value is None:
        raise InputError(f"--dataset is missing; choose one of: {', '.join(BUILDERS)}")
    builder = load_builder(_DATASET.value)
    given = {option.name: option.value for option in _OPTIONS if option.present}
    check_flags(_DATASET.value, given, builder)
    check_installed()
    for folder in builder(**given).build():
        sys.stdout.write(writer.summarize(folder) + "\n")


if __name__ == "__main__":
    command.run(main)
