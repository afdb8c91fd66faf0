import numpy as np
import pytest

from lingjax.data import PackedRow, unigram_loss


class Rows:
    """A packed source; the token 0 of document 0 is padding."""

    def __init__(self, *rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        token_ids = np.array(self.rows[number], np.int32)
        return PackedRow(token_ids, np.int32(token_ids > 0), number)


def test_by_hand():
    # Counts with one more each: 1, 3, 2, 1 of 7; held out are one of token 1 and two of token 3.
    training = [Rows([1, 1, 0]), Rows([2, 0, 0])]
    expected = (np.log(7 / 3) + 2 * np.log(7 / 1)) / 3
    assert unigram_loss(training, [Rows([1, 3, 3, 0])], vocab_size=4) == pytest.approx(expected)


def test_no_more_rows_than_asked_for_are_read_and_they_are_spread():
    class Counting(Rows):
        read = ()

        def __getitem__(self, number):
            self.read = (*self.read, number)
            return super().__getitem__(number)

    rows = Counting(*[[1]] * 11)
    unigram_loss([rows], [Rows([1])], vocab_size=2, most_rows=3)
    assert rows.read == (0, 5, 10)


def test_tokens_that_no_model_is_asked_for_are_left_out():
    # Without token 1, counts with one more each are 1, 2, 1 of tokens 0, 2 and 3; held out is one of token 2.
    training, held_out = [Rows([1, 1, 2])], [Rows([1, 2, 1])]
    expected = np.log(4 / 2)
    found = unigram_loss(training, held_out, vocab_size=4, never_asked=(1,))
    assert found == pytest.approx(expected)
