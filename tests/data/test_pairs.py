import numpy as np
import pytest

from lingjax.data import PairEncoder, PairRecord, measure_tokens
from lingjax.errors import InputError


@pytest.fixture(scope="module")
def pairs(make_pairs):
    ends = [
        PairRecord("left", "cat dog", "", 0),
        PairRecord("right", "", "cat " * 40, 1),
        PairRecord("u", "北 cat", "京", 1),
    ]
    return make_pairs(301, seed=4) + ends


def _transformers(tokenizer):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tokenizer.name)


@pytest.mark.parametrize("max_length", [5, 10, 17, 18, 97])
def test_bert_equals_transformers_longest_first(bert_tokenizer, pairs, max_length):
    theirs = _transformers(bert_tokenizer)
    encoded = PairEncoder(bert_tokenizer, pair_format="bert", max_length=max_length).encode(pairs)
    firsts, seconds = [record.sentence1 for record in pairs], [record.sentence2 for record in pairs]
    expected = theirs(firsts, seconds, truncation="longest_first", max_length=max_length)
    assert [pair.token_ids.tolist() for pair in encoded] == expected["input_ids"]
    assert [pair.segment_ids.tolist() for pair in encoded] == expected["token_type_ids"]
    assert not any(pair.pool_position for pair in encoded)


@pytest.mark.parametrize("max_length", [2, 11, 24, 97])
def test_concat_equals_transformers_on_the_joined_text(gpt2_tokenizer, pairs, max_length):
    theirs = _transformers(gpt2_tokenizer)
    encoded = PairEncoder(gpt2_tokenizer, pair_format="concat", max_length=max_length).encode(pairs)
    for record, pair in zip(pairs, encoded, strict=True):
        expected = theirs(record.sentence1 + record.sentence2, truncation=True, max_length=max_length)["input_ids"]
        assert pair.token_ids.tolist() == expected
        assert pair.pool_position == len(expected) - 1
        assert not pair.segment_ids.any()


@pytest.mark.parametrize("max_length", [4, 13, 97])
def test_separated_ends_each_sentence(gpt2_tokenizer, pairs, max_length):
    end = gpt2_tokenizer.end_id
    encoded = PairEncoder(gpt2_tokenizer, pair_format="separated", max_length=max_length).encode(pairs)
    for record, pair in zip(pairs, encoded, strict=True):
        first, second = (ids.tolist() for ids in gpt2_tokenizer.encode([record.sentence1, record.sentence2]))
        middle = pair.token_ids.tolist().index(end)
        assert pair.token_ids[-1] == end and pair.pool_position == len(pair.token_ids) - 1
        assert first[:middle] == pair.token_ids[:middle].tolist()
        assert second[: len(pair.token_ids) - middle - 2] == pair.token_ids[middle + 1 : -1].tolist()
        assert len(pair.token_ids) == min(max_length, len(first) + len(second) + 2)


@pytest.mark.parametrize("pair_format", ["concat", "separated", "bert"])
def test_what_is_kept_and_what_is_lost_adds_up(gpt2_tokenizer, pairs, pair_format):
    specials = {"concat": 0, "separated": 2, "bert": 3}[pair_format]
    for pair in PairEncoder(gpt2_tokenizer, pair_format=pair_format, max_length=19).encode(pairs):
        assert len(pair.token_ids) - specials + pair.truncated_tokens == pair.text_tokens


def test_characters_are_cut_first_and_counted(bert_tokenizer):
    record = PairRecord("x", "cat" * 5, "dog", 1)
    encoder = PairEncoder(bert_tokenizer, pair_format="bert", max_length=64, max_characters=6)
    (cut,) = encoder.encode([record])
    (short,) = encoder.encode([PairRecord("x", "catcat", "dog", 1)])
    assert cut.token_ids.tolist() == short.token_ids.tolist()
    assert (cut.truncated_characters, cut.characters, short.truncated_characters) == (9, 9, 0)


def test_row_ids_are_positions_unless_given(bert_tokenizer, pairs):
    encoder = PairEncoder(bert_tokenizer, pair_format="bert", max_length=64)
    assert [pair.row_id for pair in encoder.encode(pairs[:3])] == [0, 1, 2]
    assert [pair.row_id for pair in encoder.encode(pairs[:3], row_ids=[8, 5, 9])] == [8, 5, 9]
    assert encoder.encode([]) == []


@pytest.mark.parametrize("pair_format", ["concat", "separated", "bert"])
def test_pairs_without_text_are_named_together(gpt2_tokenizer, pair_format):
    encoder = PairEncoder(gpt2_tokenizer, pair_format=pair_format, max_length=16)
    records = [PairRecord("a", "", "", 0), PairRecord("b", "cat", "", 0), PairRecord("c", "", "", 1)]
    with pytest.raises(InputError, match=r"no token at all.*: pair_id 'a'; pair_id 'c'$"):
        encoder.encode(records)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pair_format": "berd"}, "did you mean 'bert'"),
        ({"pair_format": "separated"}, "needs an end-of-text token.*use 'bert'"),
        ({"max_length": 4}, "max_length=4 is too small for pair_format='bert'; at least 5"),
        ({"max_characters": 0}, "max_characters=0 must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(bert_tokenizer, settings, message):
    with pytest.raises(InputError, match=message):
        PairEncoder(bert_tokenizer, **{"pair_format": "bert", "max_length": 16, **settings})


def test_statistics_count_by_hand(bert_tokenizer):
    sequence = "acgt" * 30
    records = [
        PairRecord("0", "cat", "dog", 0),  # cat, dog
        PairRecord("1", sequence, sequence[1:], 1),  # [UNK], [UNK]
        PairRecord("2", sequence, "cat cat cat cat cat cat", 1),  # [UNK], 6 x cat: one too many
    ]
    statistics = measure_tokens(records, PairEncoder(bert_tokenizer, pair_format="bert", max_length=9))
    assert (statistics.rows, statistics.text_tokens, statistics.unknown_tokens) == (3, 2 + 2 + 7, 3)
    assert (statistics.rows_all_unknown, statistics.truncated_rows, statistics.cut_rows) == (1, 1, 0)
    assert statistics.characters == 6 + 239 + 120 + 23
    assert statistics.tokens_per_row.tolist() == [5, 5, 9]
    assert statistics.percentiles() == {"p5": 5.0, "p50": 5.0, "p95": pytest.approx(8.6), "max": 9.0}
    cut = measure_tokens(records, PairEncoder(bert_tokenizer, pair_format="bert", max_length=97, max_characters=50))
    assert (cut.unknown_tokens, cut.rows_all_unknown, cut.cut_rows) == (0, 0, 2)


def test_statistics_of_a_long_source_cover_every_row(bert_tokenizer, make_pairs):
    pairs = make_pairs(1031, longest=3)
    encoder = PairEncoder(bert_tokenizer, pair_format="bert", max_length=32)
    expected = [len(pair.token_ids) for pair in encoder.encode(pairs)]
    assert np.array_equal(measure_tokens(pairs, encoder).tokens_per_row, expected)


def test_no_rows_cannot_be_measured(bert_tokenizer):
    with pytest.raises(InputError, match="without rows"):
        measure_tokens([], PairEncoder(bert_tokenizer, pair_format="bert", max_length=32))
