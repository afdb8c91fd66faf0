"""The six models by family and head, whole or abstract, and their parameters as plain dicts."""

import functools

import jax
from flax import nnx, traverse_util

from lingjax.axes import Parameters
from lingjax.models.bert import Bert, BertLanguageModel
from lingjax.models.config import ModelConfig
from lingjax.models.gpt2 import Gpt2, Gpt2LanguageModel
from lingjax.models.pair_classifier import PairClassifier
from lingjax.models.weight_names import HEADS, Head

_MODELS: dict[tuple[str, Head], type[nnx.Module]] = {
    ("gpt2", "backbone"): Gpt2,
    ("gpt2", "language_model"): Gpt2LanguageModel,
    ("gpt2", "pairs"): PairClassifier,
    ("bert", "backbone"): Bert,
    ("bert", "language_model"): BertLanguageModel,
    ("bert", "pairs"): PairClassifier,
}


def build_model(config: ModelConfig, head: Head, *, rngs: nnx.Rngs) -> nnx.Module:
    """Returns a model with random weights: a bare backbone, a language model, or a pair classifier."""
    if head not in HEADS:
        raise ValueError(f"head='{head}' is not one of {', '.join(HEADS)}")
    return _MODELS[config.family, head](config, rngs=rngs)


def abstract_model(config: ModelConfig, head: Head) -> nnx.Module:
    """Returns the same model with shapes and types in place of weights; it takes no memory."""
    graph, shapes = _trace(config, head)
    return nnx.merge(graph, jax.tree.map(lambda shape: shape, shapes))  # a copy: a model owns its variables


@functools.lru_cache(maxsize=16)
def _trace(config: ModelConfig, head: Head) -> tuple[nnx.GraphDef, nnx.State]:
    """Traced once for each of the places that ask what a model is; they do not change what is kept."""
    return nnx.split(nnx.eval_shape(lambda: build_model(config, head, rngs=nnx.Rngs(0))))


def merge_model(config: ModelConfig, head: Head, parameters: Parameters) -> nnx.Module:
    """Returns the model with these parameters."""
    return nnx.merge(_trace(config, head)[0], parameters)


def parameters_of(model: nnx.Module) -> Parameters:
    """Returns a model's parameters as nested dicts, without its structure."""
    return nnx.to_pure_dict(nnx.split(model)[1])


def flat_parameters(model: nnx.Module) -> dict[str, jax.Array | jax.ShapeDtypeStruct]:
    """Returns a model's parameters, or those of an abstract model, by their dotted path."""
    return traverse_util.flatten_dict(parameters_of(model), sep=".")
