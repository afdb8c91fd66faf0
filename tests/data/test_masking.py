from types import SimpleNamespace

import numpy as np
import pytest

from lingjax.data.masking import Masking, mask_tokens, pick_masked_positions
from lingjax.errors import InputError

MASKING = Masking(mask_id=3, special_ids=(0, 1, 2, 3), vocab_size=1009)
LENGTH = 20_011


def masked_row(seed: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    written = rng.integers(0, 1009, size=LENGTH).astype(np.int32)
    is_text = np.arange(LENGTH) < LENGTH - 500
    corrupted, picked = mask_tokens(written, is_text=is_text, masking=MASKING, rng=rng)
    return written, corrupted, picked


def test_the_share_of_tokens_asked_for_is_picked():
    picked = pick_masked_positions(np.zeros(LENGTH, bool), np.random.default_rng(7), fraction=0.15)
    assert abs(picked.mean() - 0.15) < 0.0127  # five standard errors


def test_special_tokens_and_padding_are_never_picked():
    written, _, picked = masked_row()
    assert not np.isin(written[picked], MASKING.special_ids).any()
    assert not picked[LENGTH - 500 :].any()


@pytest.mark.parametrize("fraction", [0.0, 1e-9])
def test_at_least_one_ordinary_token_is_picked(fraction):
    special = np.array([True, False, True, False, True])
    for seed in range(11):
        picked = pick_masked_positions(special, np.random.default_rng(seed), fraction=fraction)
        assert picked.sum() == 1
        assert not picked[special].any()


def test_a_row_without_ordinary_tokens_predicts_nothing():
    assert not pick_masked_positions(np.ones(5, bool), np.random.default_rng(0), fraction=1.0).any()


def test_picked_tokens_become_mask_random_or_themselves_8_to_1_to_1():
    written, corrupted, picked = masked_row()
    count = picked.sum()
    hidden = corrupted[picked] == MASKING.mask_id
    kept = corrupted[picked] == written[picked]
    error = 5 * np.sqrt(0.25 / count)
    assert abs(hidden.mean() - 0.8) < error
    assert abs(kept.mean() - 0.1) < error
    assert abs((~hidden & ~kept).mean() - 0.1) < error


def test_tokens_that_are_not_picked_stay():
    written, corrupted, picked = masked_row()
    np.testing.assert_array_equal(written[~picked], corrupted[~picked])


def test_random_substitutes_are_ordinary_tokens():
    _, corrupted, picked = masked_row()
    substitutes = corrupted[picked & (corrupted != MASKING.mask_id)]
    assert not np.isin(substitutes, MASKING.special_ids).any()


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_a_share_beyond_0_to_1_is_refused(fraction):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        pick_masked_positions(np.zeros(5, bool), np.random.default_rng(0), fraction=fraction)


def test_a_tokenizer_without_mask_token_is_refused():
    tokenizer = SimpleNamespace(name="gpt2", mask_id=None, special_ids=(0,), vocab_size=7)
    with pytest.raises(InputError, match="'gpt2' has no mask token"):
        Masking.of(tokenizer)


def test_a_mask_fraction_of_nothing_is_refused():
    tokenizer = SimpleNamespace(name="bert", mask_id=3, special_ids=(0, 3), vocab_size=7)
    with pytest.raises(InputError, match="mask_fraction=0 must lie between 0 and 1"):
        Masking.of(tokenizer, fraction=0)
