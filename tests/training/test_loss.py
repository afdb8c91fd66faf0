import jax.numpy as jnp
import numpy as np
import pytest

from lingjax.models import TokenScores
from lingjax.training.loss import LossTally, pair_loss, token_loss


@pytest.fixture
def slots():
    """Logits, labels and marks of 3 rows of 5 slots, of which 8 are real."""
    rng = np.random.default_rng(0)
    is_real = np.zeros((3, 5), bool)
    is_real.flat[[0, 1, 2, 5, 6, 7, 8, 10]] = True
    return rng.normal(size=(3, 5, 2)).astype(np.float32), rng.integers(0, 2, (3, 5)), is_real


def log_softmax(logits):
    logits = logits.astype(np.float64)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def test_pair_loss_sums_the_negative_log_probabilities_of_the_real_slots(slots):
    logits, labels, is_real = slots
    chosen = np.take_along_axis(log_softmax(logits), labels[..., None], axis=-1)[..., 0]
    tally = pair_loss(logits, labels, is_real)
    np.testing.assert_allclose(tally.loss_sum, -chosen[is_real].sum(), rtol=1e-6)
    assert int(tally.correct) == int((logits.argmax(-1) == labels)[is_real].sum())
    assert int(tally.count) == 8


def test_two_certain_pairs_by_hand():
    # softmax([0, log 3]) = [1/4, 3/4]
    logits = jnp.array([[[0.0, np.log(3.0)], [0.0, np.log(3.0)]]])
    tally = pair_loss(logits, jnp.array([[1, 0]]), jnp.array([[True, True]]))
    np.testing.assert_allclose(tally.loss_sum, np.log(4 / 3) + np.log(4), rtol=1e-6)
    assert (int(tally.correct), int(tally.count)) == (1, 2)


def test_what_stands_in_filler_slots_adds_nothing(slots):
    logits, labels, is_real = slots
    changed = np.where(is_real[..., None], logits, 1e4)
    assert pair_loss(changed, np.where(is_real, labels, 1), is_real) == pair_loss(logits, labels, is_real)


def test_the_masked_loss_is_that_of_the_kept_subset(slots):
    logits, labels, is_real = slots
    kept = pair_loss(logits[is_real][None], labels[is_real][None], np.ones((1, 8), bool))
    masked = pair_loss(logits, labels, is_real)
    np.testing.assert_allclose(masked.loss_sum, kept.loss_sum, rtol=1e-6)
    assert (int(masked.correct), int(masked.count)) == (int(kept.correct), int(kept.count))


def test_label_smoothing_spreads_its_share_over_both_classes(slots):
    logits, labels, is_real = slots
    log_probabilities = log_softmax(logits)
    chosen = np.take_along_axis(log_probabilities, labels[..., None], axis=-1)[..., 0]
    expected = -(0.7 * chosen + 0.3 * log_probabilities.mean(axis=-1))[is_real].sum()
    np.testing.assert_allclose(pair_loss(logits, labels, is_real, label_smoothing=0.3).loss_sum, expected, rtol=1e-6)


def test_token_loss_sums_over_the_counted_positions_of_each_domain():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(3, 7, 11)).astype(np.float32)
    targets = rng.integers(0, 11, (3, 7))
    counted = rng.random((3, 7)) < 0.5
    chosen = np.take_along_axis(log_softmax(logits), targets[..., None], axis=-1)[..., 0]
    scores = TokenScores(jnp.array(logits), jnp.eye(11), None)
    total, tally = token_loss(
        scores, targets, jnp.array(counted), domain_ids=jnp.array([2, 0, 2]), num_domains=4, chunks=2, sparse=False
    )
    for domain, rows in enumerate(([1], [], [0, 2], [])):
        np.testing.assert_allclose(tally.loss_sum[domain], -chosen[rows][counted[rows]].sum(), rtol=1e-6)
        assert int(tally.correct[domain]) == int((logits.argmax(-1) == targets)[rows][counted[rows]].sum())
        assert int(tally.count[domain]) == int(counted[rows].sum())
    np.testing.assert_allclose(total, -chosen[counted].sum(), rtol=1e-6)
    np.testing.assert_allclose(tally.means()["loss"], -chosen[counted].sum() / counted.sum(), rtol=1e-6)


def test_tallies_add_up_and_are_divided_once():
    total = LossTally(jnp.float32(1.5), jnp.int32(2), jnp.int32(3)) + LossTally(
        jnp.float32(3.5), jnp.int32(1), jnp.int32(7)
    )
    assert (LossTally.empty() + total).means() == {"loss": 0.5, "accuracy": 0.3}


def test_the_mean_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one prediction"):
        LossTally.empty().means()
