"""Trains a tokenizer on a mixture of corpora, or extends one by tokens learnt there, as a Hugging Face folder.

For example
`python -m data_prep.train_tokenizer --kind=bpe --corpora=DIR/english:1,DIR/dna:1 --vocab_size=4096 --out=FOLDER` or
`python -m data_prep.train_tokenizer --extend=HF_FOLDER --corpora=DIR/dna:1 --add_tokens=2000 --out=FOLDER`.
`FOLDER/tokenizer_report.json` says what it was made from and how it cuts each domain.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from lingjax import command
from lingjax.errors import InputError, raise_problems

_KIND = flags.DEFINE_string("kind", None, "Train: bpe (byte-level, as GPT-2) or wordpiece (as BERT).")
_EXTEND = flags.DEFINE_string("extend", None, "Extend: the Hugging Face folder or hub name of the tokenizer.")
_CORPORA = flags.DEFINE_string("corpora", None, "Corpus folders with shares of characters: DIR/english:1,DIR/dna:1.")
_VOCAB_SIZE = flags.DEFINE_integer("vocab_size", None, "Train: tokens wanted, special ones too.", upper_bound=10**7)
_ADD_TOKENS = flags.DEFINE_integer("add_tokens", None, "Extend: tokens to add; old ids stay.", upper_bound=10**7)
_KEEP = flags.DEFINE_list("keep", [], "Extend: corpus folders whose texts must be cut as before: DIR/english.")
_OUT = flags.DEFINE_string("out", None, "Folder to write.")
_LOWERCASE = flags.DEFINE_bool("lowercase", False, "Train wordpiece: remove case and accents first.")
_MAX_WORD_CHARACTERS = flags.DEFINE_integer(
    "max_word_characters",
    None,
    "wordpiece: a longer word becomes one unknown token; a DNA sequence is one word. By default 100, and with --extend "
    "the longest word of the corpora.",
)
_KMER = flags.DEFINE_integer(
    "kmer", None, "Train: cut runs of A, C, G and T into words of so many letters, over which no token reaches."
)
_MAX_CHARACTERS = flags.DEFINE_integer(
    "max_characters",
    None,
    "Most characters to learn from, of all corpora together. By default 24 million of DNA and protein together, which "
    "take 2 GB of memory, and as much English as goes with them.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Decides which documents are taken where a corpus is larger than its share.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a tokenizer that was made otherwise.")


def main(_: list[str]) -> None:
    """Trains or extends as the flags say and prints how each domain is cut."""
    out = _train() if _EXTEND.value is None else _extend()
    from data_prep.tokenizer_folder import REPORT_NAME
    from data_prep.tokenizer_report import summarize
    from lingjax.files import read_json

    sys.stdout.write(f"{out}: {summarize(read_json(out / REPORT_NAME))}\n")


def _train() -> Path:
    _require(_KIND, _CORPORA, _VOCAB_SIZE, _OUT)
    _refuse("a tokenizer is trained anew", (_ADD_TOKENS, _KEEP), reason="is for --extend")
    if _KIND.value == "bpe":
        _refuse("--kind=bpe", (_LOWERCASE, _MAX_WORD_CHARACTERS), reason="is for wordpiece")
    from data_prep.tokenizer_training import train_tokenizer

    limit = {} if _MAX_WORD_CHARACTERS.value is None else {"max_word_characters": _MAX_WORD_CHARACTERS.value}
    return train_tokenizer(
        kind=_KIND.value,
        vocab_size=_VOCAB_SIZE.value,
        lowercase=_LOWERCASE.value,
        kmer=_KMER.value,
        **limit,
        **_shared_arguments(),
    )


def _extend() -> Path:
    _require(_CORPORA, _ADD_TOKENS, _OUT)
    _refuse("--extend", (_KIND, _VOCAB_SIZE, _LOWERCASE, _KMER), reason="is for training anew")
    from data_prep.tokenizer_extending import extend_tokenizer

    return extend_tokenizer(
        source=_EXTEND.value,
        add_tokens=_ADD_TOKENS.value,
        keep=_KEEP.value,
        max_word_characters=_MAX_WORD_CHARACTERS.value,
        **_shared_arguments(),
    )


def _require(*needed: flags.FlagHolder) -> None:
    missing = [flag.name for flag in needed if flag.value is None]
    if missing:
        raise InputError(f"missing: {', '.join('--' + name for name in missing)}")


def _refuse(heading: str, foreign: Sequence[flags.FlagHolder], *, reason: str) -> None:
    raise_problems(heading, [f"--{flag.name} {reason}" for flag in foreign if flag.present])


def _shared_arguments() -> dict[str, Any]:
    from lingjax.data.mixture import parse_mixture

    return {
        "out": _OUT.value,
        "corpora": parse_mixture(_CORPORA.value),
        "max_characters": _MAX_CHARACTERS.value,
        "seed": _SEED.value,
        "overwrite": _OVERWRITE.value,
    }


if __name__ == "__main__":
    command.run(main)
