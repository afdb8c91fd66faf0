import pytest

from lingjax.reporting.numbers import seed_share


def summary(spread, interval):
    return {"mean": 0.6, "std_over_seeds": spread, "ci95_over_items": interval}


def test_the_share_of_doubt_from_seeds_is_that_of_the_variances():
    # By hand: of three seeds 0.03^2 / 3 = 0.0003; of the items (0.0588 / 1.96)^2 = 0.0009; 3 of 12 parts.
    assert seed_share(summary(0.03, [0.5412, 0.6588]), num_seeds=3) == pytest.approx(0.25, abs=1e-4)
    assert seed_share(summary(0.0, [0.5, 0.6]), num_seeds=3) == 0


@pytest.mark.parametrize(("spread", "interval", "seeds"), [(None, [0.5, 0.6], 1), (0.1, None, 3), (0.0, [0.5, 0.5], 2)])
def test_without_seeds_or_doubt_there_is_no_share(spread, interval, seeds):
    assert seed_share(summary(spread, interval), num_seeds=seeds) is None
