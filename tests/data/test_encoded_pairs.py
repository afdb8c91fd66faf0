import numpy as np
import pytest

from lingjax.data import PairEncoder, encode_pairs, evaluation_batches, measure_tokens, training_batches
from lingjax.errors import InputError


@pytest.fixture(scope="module")
def records(make_pairs):
    return make_pairs(1100, seed=9)  # more than are tokenized at once


def encoder_of(pair_format, gpt2_tokenizer, bert_tokenizer, **limits):
    tokenizer = bert_tokenizer if pair_format == "bert" else gpt2_tokenizer
    return PairEncoder(tokenizer, pair_format=pair_format, **{"max_length": 23, **limits})


@pytest.fixture(scope="module", params=["concat", "separated", "bert"])
def encoder(request, gpt2_tokenizer, bert_tokenizer):
    return encoder_of(request.param, gpt2_tokenizer, bert_tokenizer)


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)


def test_every_pair_comes_back_as_it_was_encoded(records, encoder):
    kept = encode_pairs(records, encoder)
    fresh = encoder.encode(records)
    assert len(kept) == len(fresh) == 1100
    assert all(same(kept[row], fresh[row]) for row in range(1100))


def test_rows_are_numbered_anew_when_some_are_taken(records, encoder):
    some = encode_pairs(records, encoder).take([1099, 3, 3]).take([2, 0])
    fresh = encoder.encode([records[3], records[1099]])
    assert [same(kept, one) for kept, one in zip(some, fresh, strict=True)] == [True, True]
    assert [record.pair_id for record in some.records] == [records[3].pair_id, records[1099].pair_id]


def test_batches_are_those_of_the_records(records, encoder):
    kept = encode_pairs(records[:50], encoder)
    for make, options in (
        (training_batches, {"seed": 3, "epochs": 2, "max_pairs_per_row": 4}),
        (evaluation_batches, {}),
    ):
        batches = [list(make(pairs, encoder, batch_size=7, **options)) for pairs in (kept, records[:50])]
        assert len(batches[0]) == len(batches[1])
        assert all(same(one, other) for one, other in zip(*batches, strict=True))


def test_a_training_iterator_goes_on_where_one_over_records_stopped(records, encoder):
    def make(pairs):
        return training_batches(pairs, encoder, batch_size=6, seed=1, epochs=2)

    before, after = make(records[:40]), make(encode_pairs(records[:40], encoder))
    for _ in range(4):
        next(before)
    after.set_state(before.get_state())
    assert same(next(after), next(before))


def test_statistics_are_counts_over_the_taken_rows(records, encoder):
    rows = [5, 7, 700]
    kept = encode_pairs(records, encoder).take(rows).statistics()
    fresh = encoder.encode([records[row] for row in rows])
    assert kept.rows == 3
    assert kept.text_tokens == sum(pair.text_tokens for pair in fresh)
    assert kept.truncated_rows == sum(pair.truncated_tokens > 0 for pair in fresh)
    assert kept.tokens_per_row.tolist() == [len(pair.token_ids) for pair in fresh]
    assert same(measure_tokens([records[row] for row in rows], encoder), kept)


@pytest.mark.parametrize("pair_format", ["concat", "separated", "bert"])
@pytest.mark.parametrize("limits", [{}, {"max_characters": 30}])
def test_whole_sentences_are_the_tokenizers_and_others_are_not_given(
    records, gpt2_tokenizer, bert_tokenizer, pair_format, limits
):
    encoder = encoder_of(pair_format, gpt2_tokenizer, bert_tokenizer, **limits)
    kept, told = encode_pairs(records[:60], encoder), 0
    for row, record in enumerate(records[:60]):
        texts = record.sentence1, record.sentence2
        ids = encoder.tokenizer.encode(texts)
        fits = sum(map(len, ids)) <= 23 - {"concat": 0, "separated": 2, "bert": 3}[pair_format]
        whole = fits and all(len(text) <= limits.get("max_characters", 10**6) for text in texts)
        if pair_format == "concat" or not whole:
            assert kept.sentences(row) is None
            continue
        told += 1
        assert [side.tolist() for side in kept.sentences(row)] == [side.tolist() for side in ids]
    assert (told > 0) == (pair_format != "concat")


def test_token_ids_take_four_bytes_each_and_are_shared(records, encoder):
    kept = encode_pairs(records, encoder)
    first, again = kept[0].token_ids, kept.take([0])[0].token_ids
    assert first.dtype == np.int32
    assert np.shares_memory(first, again)


def test_as_many_labels_as_rows_are_asked_for(records, encoder):
    with pytest.raises(ValueError, match="2 labels for 5 pairs"):
        encode_pairs(records[:5], encoder).with_labels(np.array([0, 1]))


def test_no_rows_have_no_statistics(encoder):
    with pytest.raises(InputError, match="without rows"):
        encode_pairs([], encoder).statistics()
