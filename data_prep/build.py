"""Builds a dataset of TFRecords in TFDS layout.

For example `python -m data_prep.build --dataset=pairs --name=paws_en --source=train.tsv --data_dir=DIR`;
data_prep/README.md describes the datasets, their flags and the file formats.
"""

import sys

from absl import flags

from data_prep.builders import BUILDERS, check_flags, load_builder
from lingjax import command
from lingjax.errors import InputError

_DATASET = flags.DEFINE_string("dataset", None, f"What to build: {', '.join(BUILDERS)}.")
_OPTIONS = (
    flags.DEFINE_string("data_dir", None, "Folder of all datasets; the new one becomes DATA_DIR/NAME/1.0.0."),
    flags.DEFINE_string("name", None, "Name of the dataset: letters, digits and underscores."),
    flags.DEFINE_list("source", None, "pairs, corpus: files or glob patterns, separated by commas."),
    flags.DEFINE_string("split", None, "pairs: the split that receives every row (train)."),
    flags.DEFINE_list("splits", None, "pairs, corpus: splits by hash of the id, as in train:0.8,test:0.2."),
    flags.DEFINE_string("language", None, "paws_x: de, en, es, fr, ja, ko or zh."),
    flags.DEFINE_string("domain", None, "corpus: english, dna or protein."),
    flags.DEFINE_string("document", None, "corpus of english: a document of a text is a paragraph, line or file."),
    flags.DEFINE_string("field", None, "corpus of english: the field of a JSON object that holds its text (text)."),
    flags.DEFINE_integer("window", None, "corpus of dna: letters of a document (1024)."),
    flags.DEFINE_integer("stride", None, "corpus of dna: letters between the starts of two windows (the window)."),
    flags.DEFINE_bool("both_strands", None, "corpus of dna: add the reverse complement of each window."),
    flags.DEFINE_integer("min_length", None, "corpus of dna: shorter pieces are left out and counted (32)."),
    flags.DEFINE_integer("max_length", None, "corpus of protein: letters beyond are left out and counted."),
    flags.DEFINE_string("engine", None, "corpus: local, or beam for Apache Beam; both give the same bytes."),
    flags.DEFINE_list("beam_options", None, "corpus: for Beam, as in runner=FlinkRunner,flink_master=HOST:8081."),
    flags.DEFINE_integer("seed", None, "synthetic: seed of the simulators."),
    flags.DEFINE_float("scale", None, "synthetic: multiplies the number of rows and documents."),
    flags.DEFINE_bool("overwrite", False, "Replace a dataset of this name that was built from other input."),
)


def main(_: list[str]) -> None:
    """Builds what the flags say and prints a line about each dataset."""
    from data_prep import writer

    if _DATASET.value is None:
        raise InputError(f"--dataset is missing; choose one of: {', '.join(BUILDERS)}")
    build = load_builder(_DATASET.value)
    given = {option.name: option.value for option in _OPTIONS if option.present}
    check_flags(_DATASET.value, given, build)
    for folder in build(**given):
        sys.stdout.write(writer.summarize(folder) + "\n")


if __name__ == "__main__":
    command.run(main)
