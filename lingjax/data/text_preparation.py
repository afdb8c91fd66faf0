"""What becomes of a text before it is tokenized: tokenizers of single letters or k-mers want them apart."""

import re
from collections import Counter
from collections.abc import Iterable

from lingjax.errors import InputError

_KMERS = re.compile(r"kmers:([1-9][0-9]*)")
_ALPHABET_LIKE = 0.5  # of a vocabulary's words that must be of one length
_FEWEST_LETTERS = 4  # DNA's


def check_text(text: str) -> None:
    """Refuses what `prepare_texts` does not know.

    Raises:
      InputError: it is none of the ways.
    """
    if text not in ("", "letters") and not _KMERS.fullmatch(text):
        raise InputError(
            f"text='{text}' is unknown; choose letters, which sets every letter apart, or kmers:K, which writes "
            "overlapping words of K letters, as in kmers:6; empty leaves texts as they are"
        )


def prepare_texts(texts: Iterable[str], text: str) -> list[str]:
    """Returns texts as a tokenizer of letters or of k-mers was trained on them.

    Args:
      texts: as a dataset holds them.
      text: empty for no change; `letters` sets every letter apart by a space (ProtBert); `kmers:K` writes every word as
        all K letters in a row that it holds, one letter further each (DNABERT). A word shorter than K stays as it is.

    Source: Elnaggar et al. 2021, section 2.3 (ProtTrans); Ji et al. 2021, section 2.1 (DNABERT).

    >>> prepare_texts(["MKV", "ACGTA CG"], "letters")
    ['M K V', 'A C G T A C G']
    >>> prepare_texts(["ACGTA CG"], "kmers:3")
    ['ACG CGT GTA CG']
    """
    if not text:
        return list(texts)
    if text == "letters":
        return [" ".join("".join(each.split())) for each in texts]
    size = int(_KMERS.fullmatch(text)[1])
    return [" ".join(kmer for word in each.split() for kmer in _kmers(word, size)) for each in texts]


def _kmers(word: str, size: int) -> list[str]:
    return [word[start : start + size] for start in range(max(1, len(word) - size + 1))]


def text_of_vocabulary(words: Iterable[str]) -> str:
    """Guesses what a vocabulary of whole words wants: `letters`, `kmers:K`, or nothing.

    >>> text_of_vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"LAGVESIKRDTPNQFYMHCWXUBZO"])
    'letters'
    >>> text_of_vocabulary(["[UNK]", *(a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT")])
    'kmers:3'
    >>> text_of_vocabulary(["[UNK]", "the", "cat", "a", "##t", "##he"])
    ''
    """
    words = [word for word in words if not (word.startswith(("[", "<")) and len(word) > 1)]
    if len(words) < _FEWEST_LETTERS or not all(word.isalpha() for word in words):
        return ""
    size, count = Counter(map(len, words)).most_common(1)[0]
    if size == 1 and count == len(words):
        return "letters"
    letters = {letter for word in words for letter in word.upper()}
    return f"kmers:{size}" if size > 1 and count > _ALPHABET_LIKE * len(words) and letters <= set("ACGTUN") else ""
