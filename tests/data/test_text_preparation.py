import itertools

import pytest
from transformers import BertTokenizerFast

from lingjax.data import PairEncoder, PairRecord, load_tokenizer, text_of_vocabulary
from lingjax.errors import InputError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = {
    "letters": list("LAGVESIKRDTPNQFYMHCWXUBZO"),
    "kmers:3": ["".join(letters) for letters in itertools.product("ATCG", repeat=3)],
}
PAIR = PairRecord("x", "MKVLAAGIVG", "MKTAYIAK", 1), PairRecord("y", "ATTGACGT", "CGTAA", 0)


def folder_of(words, tmp_path):
    """A folder as ProtBert's and DNABERT's authors published theirs."""
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL, *words]) + "\n")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": false}')
    return tmp_path


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("letters", "M K V L A A G I V G", "M K T A Y I A K"),
        ("kmers:3", "ATT TTG TGA GAC ACG CGT", "CGT GTA TAA"),
    ],
)
def test_sequences_become_the_tokens_that_the_model_was_trained_on(tmp_path, text, first, second):
    folder = folder_of(WORDS[text], tmp_path)
    tokenizer = load_tokenizer(str(folder), offline=True)
    record = PAIR[text != "letters"]
    encoder = PairEncoder(tokenizer, pair_format="bert", max_length=32, text=text)
    (encoded,) = encoder.encode([record])
    theirs = BertTokenizerFast.from_pretrained(folder, do_lower_case=False)(first, second)
    assert encoded.token_ids.tolist() == theirs["input_ids"]
    assert encoded.segment_ids.tolist() == theirs["token_type_ids"]
    assert encoded.unknown_tokens == 0
    assert encoded.characters == len(record.sentence1) + len(record.sentence2)
    (raw,) = PairEncoder(tokenizer, pair_format="bert", max_length=32).encode([record])
    assert raw.unknown_tokens == raw.text_tokens == 2
    assert text_of_vocabulary(tokenizer.vocabulary()) == text


def test_characters_are_cut_before_texts_are_prepared(tmp_path):
    tokenizer = load_tokenizer(str(folder_of(WORDS["letters"], tmp_path)), offline=True)
    encoder = PairEncoder(tokenizer, pair_format="bert", max_length=32, max_characters=4, text="letters")
    (encoded,) = encoder.encode([PAIR[0]])
    assert encoded.text_tokens == 8


def test_another_preparation_is_another_fingerprint(tmp_path):
    tokenizer = load_tokenizer(str(folder_of(WORDS["letters"], tmp_path)), offline=True)
    assert tokenizer.reading("") is tokenizer
    assert len({tokenizer.reading(text).fingerprint for text in ("", "letters", "kmers:3", "kmers:6")}) == 4


@pytest.mark.parametrize("text", ["letter", "kmers", "kmers:0", "kmers:x", "Letters", " "])
def test_an_unknown_preparation_is_refused(gpt2_tokenizer, text):
    with pytest.raises(InputError, match=f"text='{text}' is unknown; choose letters, .* or kmers:K"):
        PairEncoder(gpt2_tokenizer, pair_format="concat", max_length=32, text=text)


def test_vocabularies_of_subwords_want_nothing(gpt2_tokenizer, bert_tokenizer):
    assert text_of_vocabulary(gpt2_tokenizer.vocabulary()) == text_of_vocabulary(bert_tokenizer.vocabulary()) == ""
