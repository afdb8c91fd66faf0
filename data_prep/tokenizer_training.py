"""Training a tokenizer on a mixture of corpora, with a report on what it was trained on and how it cuts each domain."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.tokenizer_corpora import draw_mixture, identify, open_held_out, open_mixture, read_documents
from data_prep.tokenizer_folder import is_built, write_folder
from data_prep.tokenizer_kinds import BERT_MAX_WORD_CHARACTERS, save_tokenizer, train_bpe, train_wordpiece
from data_prep.tokenizer_report import describe_sample, measure
from lingjax.errors import InputError, nearest

KINDS = ("bpe", "wordpiece")


def train_tokenizer(
    out: Path | str,
    *,
    kind: str,
    corpora: Sequence[tuple[str, float]],
    vocab_size: int,
    lowercase: bool = False,
    max_word_characters: int = BERT_MAX_WORD_CHARACTERS,
    kmer: int | None = None,
    max_characters: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Trains a tokenizer, writes it to `out` and returns that folder; one trained by the same call is left alone.

    The largest mixture is used that keeps the wanted shares without repeating a document, and of which memory holds
    all that training needs; the report says how much of each corpus that is. The same arguments give the
    same bytes.

    Args:
      out: the folder; complete or absent, whatever happens.
      kind: "bpe" or "wordpiece".
      corpora: corpus references with their shares of characters; shares need not sum to 1.
      vocab_size: tokens wanted, special ones included. There may be fewer if the texts give no more.
      lowercase: for WordPiece, whether case and accents are removed first.
      max_word_characters: for WordPiece, the longest word that is not replaced by one unknown token.
      kmer: runs of A, C, G and T are cut into words of so many letters before anything else; None leaves them whole.
      max_characters: most characters of all corpora together; None limits DNA and protein, as `draw_mixture`.
      seed: decides which documents are taken.
      overwrite: whether a folder with something else in it is replaced.

    Raises:
      InputError: an argument cannot be used, or `out` exists and may not be replaced.
    """
    out = Path(out).expanduser()
    if kind not in KINDS:
        raise InputError(f"--kind={kind} is unknown; {nearest(kind, KINDS)}")
    if max_word_characters < 1 or seed < 0:
        raise InputError(
            f"--max_word_characters={max_word_characters} must be 1 or more, and --seed={seed} must be 0 or more"
        )
    if kmer is not None and (kmer < 1 or lowercase):
        raise InputError(f"--kmer={kmer} must be 1 or more, and without --lowercase, as it cuts capitals")
    opened = open_mixture(corpora)
    request = {
        "kind": kind,
        "vocab_size": vocab_size,
        "seed": seed,
        "corpora": [identify(corpus) | {"weight": weight} for corpus, weight in opened],
    }
    if kind == "wordpiece":
        request |= {"lowercase": lowercase, "max_word_characters": max_word_characters}
    if kmer is not None:
        request |= {"kmer": kmer}
    if max_characters is not None:
        request |= {"max_characters": max_characters}
    if is_built(out, request, overwrite=overwrite):
        return out

    samples, limit = draw_mixture(opened, seed=seed, max_characters=max_characters)

    def read_texts() -> Iterator[str]:
        return read_documents(samples)

    if kind == "bpe":
        tokenizer = train_bpe(read_texts, vocab_size=vocab_size, kmer=kmer)
    else:
        tokenizer = train_wordpiece(
            read_texts,
            vocab_size=vocab_size,
            lowercase=lowercase,
            max_word_characters=max_word_characters,
            kmer=kmer,
        )
    report = {
        "request": request,
        "max_characters": limit,
        "vocab_size": tokenizer.get_vocab_size(),
        "corpora": [
            describe_sample(sample, samples) | {"measured_on": measure(open_held_out(sample.corpus), tokenizer)}
            for sample in samples
        ],
    }
    write_folder(out, lambda folder: save_tokenizer(tokenizer, folder), report)
    return out
