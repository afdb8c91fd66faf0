import numpy as np
import pytest

from lingjax.evaluation import PairPredictions


def predictions_from(labels, probabilities):
    """Predictions whose positive probability is the given one."""
    probabilities = np.asarray(probabilities, np.float64)
    logits = np.stack([np.log1p(-probabilities), np.log(probabilities)], axis=1)
    return PairPredictions(np.arange(len(labels), dtype=np.int32), np.asarray(labels, np.int32), logits)


@pytest.fixture
def make_predictions():
    return predictions_from


@pytest.fixture
def skilled():
    """`skilled(rows, seeds, skill)`: predictions by seed whose ranking is as good as `skill` standard deviations."""

    def make(rows=401, seeds=3, skill=1.0, draw=0):
        rng = np.random.default_rng(draw)
        labels = rng.integers(0, 2, rows)
        return {
            seed: predictions_from(labels, 1 / (1 + np.exp(-skill * (labels - 0.5) - rng.normal(size=rows))))
            for seed in range(seeds)
        }

    return make
