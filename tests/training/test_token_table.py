import types

import pytest

from lingjax.errors import InputError
from lingjax.training.token_table import check_tokenizer_fits


def _tokenizer(vocabulary, kind="wordpiece"):
    size = max(vocabulary.values()) + 1
    return types.SimpleNamespace(vocab_size=size, kind=kind, vocabulary=lambda: vocabulary)


def test_tokens_without_a_row_are_named():
    config = types.SimpleNamespace(vocab_size=3)
    check_tokenizer_fits(_tokenizer({"a": 0, "b": 1, "c": 2}), config, "model")
    with pytest.raises(InputError, match=r"model: .* table of 3: 'c' \(3\), '\[PAD\]' \(4\); .*resize_token"):
        check_tokenizer_fits(_tokenizer({"a": 0, "b": 1, "[PAD]": 4, "c": 3}), config, "model")


def test_blank_lines_at_the_end_of_a_vocabulary_are_no_tokens():
    config = types.SimpleNamespace(vocab_size=2)
    check_tokenizer_fits(_tokenizer({"a": 0, "b": 1, "": 2, "\r": 3}), config, "model")
    with pytest.raises(InputError, match=r"'\\r' \(3\)"):
        check_tokenizer_fits(_tokenizer({"a": 0, "b": 1, "\r": 3}, kind="unigram"), config, "model")
