import tracemalloc

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from data_prep.tokenizer_additions import learn_new_pieces


def make_wordpiece():
    pieces = ["[UNK]", *"acgt", *(f"##{letter}" for letter in "acgt")]
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def read_sequences(count, letters):
    for number in range(count):
        yield "".join(np.random.default_rng(number).choice(list("ACGT"), letters))


def learn_peak(count, letters):
    """Returns the most bytes held while pieces are learnt that must leave so many sequences as they are."""
    tracemalloc.start()
    learn_new_pieces(
        make_wordpiece(),
        read_texts=lambda: ["GATTACA GATTACA TAGA TAGA"],
        read_kept=lambda: read_sequences(count, letters),
        count=0,
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_kept_sequences_are_read_one_by_one_and_never_held():
    learn_peak(1, 7)  # what is imported on first use is held too
    assert learn_peak(200, 500) - learn_peak(20, 500) < 180 * 500 / 2
