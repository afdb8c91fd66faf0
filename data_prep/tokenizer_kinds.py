"""The two kinds of tokenizer, GPT-2's byte-level BPE and BERT's WordPiece: training them, writing them as folders."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from lingjax.errors import InputError

END_OF_TEXT = "<|endoftext|>"
WORDPIECE_SPECIALS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
# What transformers gives a BertTokenizer, whatever tokenizer.json says.
BERT_MAX_WORD_CHARACTERS = 100
WORDPIECE_PREFIX = "##"
_NO_MAX_LENGTH = int(1e30)  # how transformers writes that a tokenizer sets no limit


def train_bpe(read_texts: Callable[[], Iterable[str]], *, vocab_size: int, kmer: int | None = None) -> Tokenizer:
    """Trains byte-level BPE the way of GPT-2: its regular expression, one special token, no text it cannot spell.

    Args:
      read_texts: gives the training texts, as often as it is called.
      vocab_size: tokens wanted, those for bytes and the special one included.
      kmer: see `cut_kmers`.

    Raises:
      InputError: the vocabulary cannot hold the 256 bytes and the special token.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    _check_vocab_size(vocab_size, len(alphabet) + 1, "256 bytes and 1 special token")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = cut_kmers(pre_tokenizers.ByteLevel(add_prefix_space=False), kmer)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, special_tokens=[END_OF_TEXT], show_progress=False
    )
    tokenizer.train_from_iterator(read_texts(), trainer)
    return tokenizer


def train_wordpiece(
    read_texts: Callable[[], Iterable[str]],
    *,
    vocab_size: int,
    lowercase: bool,
    max_word_characters: int,
    kmer: int | None = None,
) -> Tokenizer:
    """Trains WordPiece the way of BERT: words split at spaces and punctuation, pieces inside a word marked by `##`.

    Args:
      read_texts: gives the training texts, as often as it is called.
      vocab_size: tokens wanted, letters and 5 special ones included.
      lowercase: whether case and accents are removed first.
      max_word_characters: a longer word becomes one unknown token.
      kmer: see `cut_kmers`.

    Raises:
      InputError: the vocabulary cannot hold the letters of the texts.
    """
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    pre_tokenizer = cut_kmers(pre_tokenizers.BertPreTokenizer(), kmer)
    letters, inner = read_letters(split_words(read_texts(), normalizer, pre_tokenizer))
    specials = list(WORDPIECE_SPECIALS.values())
    _check_vocab_size(
        vocab_size,
        len(specials) + len(letters) + len(inner),
        f"{len(letters)} letters, {len(inner)} of them again for inside a word, and 5 special tokens",
    )
    vocabulary = learn_pieces(
        read_texts(),
        normalizer=normalizer,
        pre_tokenizer=pre_tokenizer,
        given=specials + [WORDPIECE_PREFIX + letter for letter in inner],
        vocab_size=vocab_size,
    )
    # A fresh tokenizer, because in the one that learns inner letters pass for special tokens.
    model = models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=max_word_characters)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.WordPiece(prefix=WORDPIECE_PREFIX)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(specials)
    return tokenizer


def cut_kmers(pre_tokenizer: pre_tokenizers.PreTokenizer, kmer: int | None) -> pre_tokenizers.PreTokenizer:
    """Returns a pre-tokenizer that also cuts runs of A, C, G and T into words of `kmer` letters, from the left.

    No token then reaches over the end of such a word; what remains of a run is a shorter word. Capitals alone are cut,
    but a protein or an acronym that holds so many of these letters in a row is cut too.

    Args:
      pre_tokenizer: cuts what is left.
      kmer: letters of a word; None changes nothing.
    """
    if kmer is None:
        return pre_tokenizer
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(f"[ACGT]{{{kmer}}}"), "isolated"), pre_tokenizer])


def split_words(
    texts: Iterable[str], normalizer: normalizers.Normalizer, pre_tokenizer: pre_tokenizers.PreTokenizer
) -> Iterator[str]:
    """Yields the words that a WordPiece model is asked to cut."""
    for text in texts:
        for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)):
            yield word


def read_letters(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Returns all letters of some words, and those that stand inside one; sorted."""
    letters, inner = set(), set()
    for word in words:
        letters.update(word)
        inner.update(word[1:])
    return sorted(letters), sorted(inner)


def learn_pieces(
    texts: Iterable[str],
    *,
    normalizer: normalizers.Normalizer,
    pre_tokenizer: pre_tokenizers.PreTokenizer,
    given: list[str],
    vocab_size: int,
    min_frequency: int = 0,
) -> dict[str, int]:
    """Returns WordPiece's vocabulary for some texts: what is given, then letters, then pieces as they were learnt.

    Args:
      texts: to learn from.
      normalizer: what texts pass first.
      pre_tokenizer: what splits them into words.
      given: tokens to start with. Among them must be all inner letters, sorted: the trainer would number them in the
        order of a hash map that differs from run to run, and it breaks ties between merges by these numbers.
      vocab_size: entries wanted; there are fewer if the texts give no more.
      min_frequency: how often a piece must occur.
    """
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizer
    learner.pre_tokenizer = pre_tokenizer
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=given, min_frequency=min_frequency, show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    return learner.get_vocab()


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes a trained tokenizer as a folder that transformers loads as a GPT-2 or BERT tokenizer.

    WordPiece with a word limit that is not BERT's, and what cuts DNA into k-mers, is written as a generic fast
    tokenizer: transformers builds its own classes anew from their vocabulary and would forget both.
    """
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.model.save(str(folder))
    settings: dict[str, object] = {"model_max_length": _NO_MAX_LENGTH}
    if isinstance(tokenizer.model, models.BPE):
        roles = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
        own_class = {"tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": False}
        is_plain = True
    else:
        roles = WORDPIECE_SPECIALS
        lowercase = tokenizer.normalizer.lowercase
        own_class = {"tokenizer_class": "BertTokenizerFast", "do_lower_case": lowercase, "strip_accents": None}
        is_plain = tokenizer.model.max_input_chars_per_word == BERT_MAX_WORD_CHARACTERS
    cuts_kmers = isinstance(tokenizer.pre_tokenizer, pre_tokenizers.Sequence)
    settings |= own_class if is_plain and not cuts_kmers else {"tokenizer_class": "PreTrainedTokenizerFast"}
    if not isinstance(
        tokenizer.model, models.BPE
    ):  # the generic class would return no segments, and BERT take all as 0
        settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    for name, values in (("tokenizer_config.json", {**roles, **settings}), ("special_tokens_map.json", roles)):
        (folder / name).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _check_vocab_size(vocab_size: int, smallest: int, needed_for: str) -> None:
    if vocab_size < smallest:
        raise InputError(f"--vocab_size={vocab_size} is too small: these texts need {smallest} at least ({needed_for})")
