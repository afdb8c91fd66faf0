"""Packs a corpus into token rows of equal length for pretraining.

For example
`python -m data_prep.pack --corpus=DIR/dna --tokenizer=TOKENIZER_DIR --length=1024 --data_dir=DIR --name=dna_packed`.
"""

import sys

from absl import flags

from lingjax import command
from lingjax.errors import InputError

_CORPUS = flags.DEFINE_string("corpus", None, "Corpus folder; every split is packed, or the one named by @SPLIT.")
_TOKENIZER = flags.DEFINE_string("tokenizer", None, "Hugging Face tokenizer folder or hub name.")
_LENGTH = flags.DEFINE_integer("length", None, "Tokens of a row.", upper_bound=2**24)
_TOKENS = flags.DEFINE_integer(
    "tokens",
    None,
    "Keep so many tokens of the split train (or of the one named), in whole rows spread over the corpus.",
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of all datasets; the new one becomes DATA_DIR/NAME/1.0.0.")
_NAME = flags.DEFINE_string("name", None, "Name of the packed dataset.")
_MAX_WORD_CHARACTERS = flags.DEFINE_integer("max_word_characters", None, "Raise WordPiece's limit on a word's length.")
_ALLOW_UNKNOWN = flags.DEFINE_bool("allow_unknown", False, "Accept more than 1 % unknown tokens.")
_ENGINE = flags.DEFINE_string("engine", "local", "local, or beam for Apache Beam; both give the same bytes.")
_BEAM_OPTIONS = flags.DEFINE_list("beam_options", None, "For Beam, as in runner=FlinkRunner,flink_master=HOST:8081.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a dataset of this name that was packed otherwise.")


def main(_: list[str]) -> None:
    """Packs what the flags say and prints what came out."""
    required = (_CORPUS, _TOKENIZER, _LENGTH, _DATA_DIR, _NAME)
    missing = [flag.name for flag in required if flag.value is None]
    if missing:
        raise InputError(f"missing: {', '.join('--' + name for name in missing)}")
    from data_prep.engines import choose_engine
    from data_prep.installed import check_installed
    from data_prep.packing import pack
    from data_prep.writer import summarize
    from lingjax.data import load_tokenizer

    check_installed()
    engine = choose_engine(_ENGINE.value, _BEAM_OPTIONS.value, data_dir=_DATA_DIR.value, name=_NAME.value)
    folder = pack(
        _DATA_DIR.value,
        name=_NAME.value,
        corpus=_CORPUS.value,
        tokenizer=load_tokenizer(_TOKENIZER.value, max_word_characters=_MAX_WORD_CHARACTERS.value),
        length=_LENGTH.value,
        tokens=_TOKENS.value,
        allow_unknown=_ALLOW_UNKNOWN.value,
        engine=engine,
        overwrite=_OVERWRITE.value,
    )
    sys.stdout.write(summarize(folder) + "\n")


if __name__ == "__main__":
    command.run(main)
