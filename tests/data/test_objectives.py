import numpy as np

from lingjax.data.masking import Masking
from lingjax.data.objectives import MaskedTokens, NextToken
from lingjax.data.packed import PackedRow

MASKING = Masking(mask_id=3, special_ids=(0, 1, 2, 3), vocab_size=97, fraction=0.3)


def packed_row(seed: int, length: int = 53) -> PackedRow:
    token_ids = np.random.default_rng(seed).integers(4, 97, size=length).astype(np.int32)
    document_ids = np.repeat(np.array([1, 2, 0], np.int32), [20, length - 25, 5])
    return PackedRow(np.where(document_ids > 0, token_ids, 0).astype(np.int32), document_ids, number=seed)


def test_targets_are_the_next_token_of_the_same_document():
    row = PackedRow(
        np.array([11, 12, 13, 21, 22, 31, 0, 0], np.int32), np.array([1, 1, 1, 2, 2, 3, 0, 0], np.int32), number=11
    )
    batch = NextToken()([row], domain_ids=[4], places=[0])
    assert batch.target_ids.tolist() == [[12, 13, 0, 22, 0, 0, 0, 0]]
    assert batch.counted.tolist() == [[True, True, False, True, False, False, False, False]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 1, 0, 0, 1]]
    assert batch.document_ids.tolist() == [[1, 1, 1, 2, 2, 3, 0, 0]]
    assert batch.domain_ids.tolist() == [4]
    assert batch.row_ids.tolist() == [11]


def test_masked_targets_are_what_was_written_where_it_is_counted():
    rows = [packed_row(seed) for seed in range(5)]
    batch = MaskedTokens(MASKING, seed=7)(rows, domain_ids=[0, 1, 2, 0, 1], places=range(5))
    written = np.stack([row.token_ids for row in rows])
    np.testing.assert_array_equal(batch.target_ids[batch.counted], written[batch.counted])
    np.testing.assert_array_equal(batch.token_ids[~batch.counted], written[~batch.counted])
    assert (batch.token_ids[batch.counted] == MASKING.mask_id).any()
    assert not batch.counted[batch.document_ids == 0].any()
    assert batch.positions[0, [0, 19, 20, 21]].tolist() == [0, 19, 0, 1]
    assert batch.domain_ids.tolist() == [0, 1, 2, 0, 1]


def test_what_is_masked_follows_from_seed_and_place():
    row = packed_row(0)

    def counted(seed: int, place: int) -> list[bool]:
        return MaskedTokens(MASKING, seed=seed)([row], domain_ids=[0], places=[place]).counted[0].tolist()

    assert counted(7, 11) == counted(7, 11)
    assert counted(7, 11) != counted(7, 12)
    assert counted(7, 11) != counted(8, 11)


def test_a_row_of_a_batch_is_masked_as_it_is_alone():
    rows = [packed_row(seed) for seed in range(3)]
    objective = MaskedTokens(MASKING, seed=7)
    together = objective(rows, domain_ids=[0] * 3, places=[5, 6, 7])
    alone = objective(rows[2:], domain_ids=[0], places=[7])
    np.testing.assert_array_equal(together.token_ids[2], alone.token_ids[0])


def test_cls_is_read_at_position_0_of_every_document_and_never_asked_for():
    cls, sep = 1, 2
    text = np.random.default_rng(3).integers(4, 97, size=40)
    token_ids = np.array([cls, *text[:23], sep, cls, *text[23:], 0, 0], np.int32)
    document_ids = np.array([1] * 25 + [2] * 18 + [0] * 2, np.int32)
    row = PackedRow(token_ids, document_ids, number=0)
    for place in range(50):
        batch = MaskedTokens(MASKING, seed=7)([row], domain_ids=[0], places=[place])
        begins = (batch.positions[0] == 0) & (document_ids > 0)
        assert np.flatnonzero(batch.token_ids[0] == cls).tolist() == np.flatnonzero(begins).tolist() == [0, 25]
        assert not batch.counted[0, [0, 24, 25]].any()
