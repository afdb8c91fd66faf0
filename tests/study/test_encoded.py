import pytest

from lingjax.data import PairEncoder, PairRecord, encode_pairs
from lingjax.study.encoded import EncodedTask, shuffle_labels
from lingjax.study.tasks import pairs_task
from tests.training.small_run import make_start, write_tokenizer

ROWS = [PairRecord(f"p{row}", f"red {row}", f"blue {row}", int(row % 3 == 0)) for row in range(31)]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    tokenizer = make_start(write_tokenizer(tmp_path_factory.mktemp("tokenizer"))).tokenizer
    return encode_pairs(ROWS, PairEncoder(tokenizer, pair_format="separated", max_length=16))


def test_texts_stay_and_labels_are_those_of_other_rows(pairs):
    shuffled = shuffle_labels(pairs, seed=1)
    assert [pair.token_ids.tolist() for pair in shuffled] == [pair.token_ids.tolist() for pair in pairs]
    assert [record.pair_id for record in shuffled.records] == [row.pair_id for row in ROWS]
    assert [pair.label for pair in shuffled] == shuffled.labels.tolist() != [row.label for row in ROWS]
    assert sorted(shuffled.labels.tolist()) == [0] * 20 + [1] * 11


def test_the_seed_decides_the_labels(pairs):
    labels = [shuffle_labels(pairs, seed=seed).labels.tolist() for seed in (1, 1, 2)]
    assert labels[0] == labels[1] != labels[2]


class CountedEncoder(PairEncoder):
    """Counts the pairs that it encodes."""

    encoded = 0

    def encode(self, records, **options):
        self.encoded += len(records)
        return super().encode(records, **options)


def task_of(tokenizer):
    rows = [(row.sentence1, row.sentence2, row.label) for row in ROWS]
    return EncodedTask(pairs_task("words", rows), CountedEncoder(tokenizer, pair_format="separated", max_length=16))


def test_a_sample_is_the_same_whether_or_not_all_pairs_are_encoded(pairs):
    alone, whole = task_of(pairs.encoder.tokenizer), task_of(pairs.encoder.tokenizer)
    assert len(whole.pairs) == 31
    samples = [[pair.token_ids.tolist() for pair in task.sample(7)] for task in (alone, whole)]
    assert samples[0] == samples[1]
    assert (alone.encoder.encoded, whole.encoder.encoded) == (7, 31)


def test_sides_are_the_same_whether_or_not_the_pairs_are_encoded(pairs):
    alone, whole = task_of(pairs.encoder.tokenizer), task_of(pairs.encoder.tokenizer)
    assert whole.statistics.rows == 31
    for first, second in zip(alone.sides(most=9).first_tokens, whole.sides(most=9).first_tokens, strict=True):
        assert first.tolist() == second.tolist()
    assert alone.encoder.encoded == 0
