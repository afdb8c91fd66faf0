import numpy as np
import pytest

from lingjax.data import END_OF_DOCUMENT, PackedRow, load_tokenizer, read_passages
from lingjax.data.packed import rows_in_equal_steps

TEXTS = ["the cat sat", "a small dog ran é", "on the mat", "river"]


@pytest.fixture(scope="module")
def tokenizer(gpt2_folder):
    return load_tokenizer(str(gpt2_folder))


class Rows:
    """A packed source of given documents, a list a row; each ends in a separator unless it goes on in the next row."""

    def __init__(self, tokenizer, rows, *, length=40):
        self.tokenizer, self.rows, self.length = tokenizer, rows, length
        self.read = []

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        self.read.append(number)
        token_ids = np.full(self.length, self.tokenizer.pad_id, np.int32)
        document_ids = np.zeros(self.length, np.int32)
        filled = 0
        for document, ids in enumerate(self.rows[number]):
            token_ids[filled : filled + len(ids)] = ids
            document_ids[filled : filled + len(ids)] = document + 1
            filled += len(ids)
        return PackedRow(token_ids, document_ids, number)


def text_of(passage):
    return "".join("$" if symbol == END_OF_DOCUMENT else chr(symbol) for symbol in passage.symbols)


def test_documents_are_decoded_each_for_itself(tokenizer):
    documents = [np.append(ids, tokenizer.separator_id) for ids in tokenizer.encode(TEXTS)]
    rows = Rows(tokenizer, [documents[:2], documents[2:]], length=64)
    found = [text_of(passage) for passage in read_passages([rows, rows], tokenizer, most_tokens=10**6)]
    assert found == 2 * [f"{text}$" for text in TEXTS]


def test_a_document_cut_by_a_row_ends_only_once(tokenizer):
    (ids,) = tokenizer.encode(["the cat sat on the mat"])
    rows = Rows(tokenizer, [[ids[:2]], [np.append(ids[2:], tokenizer.separator_id)], [[tokenizer.separator_id]]])
    found = list(read_passages([rows], tokenizer, most_tokens=10**6))
    assert "".join(map(text_of, found)) == "the cat sat on the mat$$"
    assert [text_of(passage).count("$") for passage in found] == [0, 1, 1]


def test_what_is_given_is_the_first_token(tokenizer):
    ids = tokenizer.encode(TEXTS)
    rows = Rows(tokenizer, [[*ids, [tokenizer.separator_id]]], length=64)
    given = [passage.given for passage in read_passages([rows], tokenizer, most_tokens=10**6)]
    assert given == [*(len(tokenizer.decode(each[:1])) for each in ids), 1]
    assert max(given) > 1


def test_rows_are_read_in_equal_steps_up_to_so_many_tokens(tokenizer):
    (ids,) = tokenizer.encode(["river"])
    rows = Rows(tokenizer, [[ids]] * 11, length=40)
    assert len(list(read_passages([rows], tokenizer, most_tokens=159))) == 3
    assert rows.read == [0, 5, 10]
    assert len(list(read_passages([rows], tokenizer, most_tokens=1))) == 1


def test_all_rows_are_read_where_they_are_few(tokenizer):
    rows = Rows(tokenizer, [[[5]]] * 7)
    assert [row.number for row in rows_in_equal_steps(rows, most_rows=100)] == list(range(7))
