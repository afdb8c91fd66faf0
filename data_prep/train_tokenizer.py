"""Trains a tokenizer on a mixture of corpora and writes it as a Hugging Face folder.

For example
`python -m data_prep.train_tokenizer --kind=bpe --corpora=DIR/english:1,DIR/dna:1 --vocab_size=4096 --out=FOLDER`.
`FOLDER/tokenizer_report.json` says what it was trained on and how it cuts each domain.
"""

import json
import sys

from absl import flags

from lingjax import command
from lingjax.errors import InputError, raise_problems

_KIND = flags.DEFINE_string("kind", None, "bpe (byte-level, as GPT-2) or wordpiece (as BERT).")
_CORPORA = flags.DEFINE_string("corpora", None, "Corpus folders with shares of characters: DIR/english:1,DIR/dna:1.")
_VOCAB_SIZE = flags.DEFINE_integer("vocab_size", None, "Tokens wanted, special ones included.")
_OUT = flags.DEFINE_string("out", None, "Folder to write.")
_LOWERCASE = flags.DEFINE_bool("lowercase", False, "wordpiece: remove case and accents first.")
_MAX_WORD_CHARACTERS = flags.DEFINE_integer(
    "max_word_characters", 100, "wordpiece: a longer word becomes one unknown token; a DNA sequence is one word."
)
_SEED = flags.DEFINE_integer("seed", 0, "Decides which documents are taken where a corpus is larger than its share.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a tokenizer that was trained otherwise.")


def main(_: list[str]) -> None:
    """Trains what the flags say and prints how each domain is cut."""
    missing = [flag.name for flag in (_KIND, _CORPORA, _VOCAB_SIZE, _OUT) if flag.value is None]
    if missing:
        raise InputError(f"missing: {', '.join('--' + name for name in missing)}")
    if _KIND.value == "bpe":
        unused = [flag.name for flag in (_LOWERCASE, _MAX_WORD_CHARACTERS) if flag.present]
        raise_problems("--kind=bpe", [f"--{name} is for wordpiece" for name in unused])
    from data_prep.tokenizer_training import REPORT_NAME, train_tokenizer
    from lingjax.data.pretraining import parse_mixture

    out = train_tokenizer(
        _OUT.value,
        kind=_KIND.value,
        corpora=parse_mixture(_CORPORA.value),
        vocab_size=_VOCAB_SIZE.value,
        lowercase=_LOWERCASE.value,
        max_word_characters=_MAX_WORD_CHARACTERS.value,
        seed=_SEED.value,
        overwrite=_OVERWRITE.value,
    )
    report = json.loads((out / REPORT_NAME).read_text(encoding="utf-8"))
    sys.stdout.write(f"{out}: {_KIND.value}, {report['vocab_size']:,} tokens\n")
    for corpus in report["corpora"]:
        measured = corpus["measured_on"]
        sys.stdout.write(
            f"  {corpus['name']}: {corpus['share']:.1%} of the characters; on {measured['split']} "
            f"{measured['characters_per_token']:.2f} characters a token, "
            f"{measured['unknown_token_fraction']:.2%} unknown\n"
        )


if __name__ == "__main__":
    command.run(main)
