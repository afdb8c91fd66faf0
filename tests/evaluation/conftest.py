import numpy as np
import pytest
import transformers

from lingjax.evaluation import PairPredictions
from lingjax.models import save_pretrained
from tests.training.small_run import make_start, write_tokenizer


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


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory):
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module", params=["gpt2", "bert"])
def start(request, tokenizer_folder):
    """A small random model of each family."""
    return make_start(tokenizer_folder, family=request.param)


@pytest.fixture(scope="module")
def transformers_model(start, tokenizer_folder, tmp_path_factory):
    """The backbone of `start` in transformers."""
    folder = save_pretrained(
        tmp_path_factory.mktemp("saved") / "model",
        start.config,
        start.parameters["backbone"],
        head="backbone",
        tokenizer_folder=tokenizer_folder,
    )
    kinds = {"gpt2": transformers.GPT2Model, "bert": transformers.BertModel}
    options = {"add_pooling_layer": False} if start.config.family == "bert" else {}
    return kinds[start.config.family].from_pretrained(folder, attn_implementation="eager", **options).eval()
