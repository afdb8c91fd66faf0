"""A model in memory with all that its use needs: shape, parameters, tokenizer, and where they came from."""

import dataclasses
from collections.abc import Mapping

import jax
from flax import nnx

from lingjax.axes import Parameters
from lingjax.data import Tokenizer
from lingjax.models import PAIR_LABELS, ModelConfig


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A model ready to train or evaluate.

    Attributes:
      config: its shape.
      head: `pairs` or `language_model`.
      graph: what `nnx.merge(graph, parameters)` makes a module of.
      parameters: on the mesh, or only shapes and shardings where they are yet to be restored.
      tokenizer: the one the model was made for.
      init: the report's `{kind, source, sha256}`.
      fresh: dotted paths of parameters drawn at random because the source had none.
      labels: what the source calls the classes 0 and 1 of its pair classifier.
      ignored: tensors of the source that are no part of the model, with the reason.
    """

    config: ModelConfig
    head: str
    graph: nnx.GraphDef
    parameters: Parameters
    tokenizer: Tokenizer
    init: dict[str, str | None]
    fresh: tuple[str, ...]
    labels: tuple[str, ...] = PAIR_LABELS
    ignored: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def num_parameters(self) -> int:
        """Scalars in all parameters together."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.parameters))

    def without_weights(self) -> "LoadedModel":
        """Returns the same description with shapes in place of parameters, so that their memory can go."""
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), self.parameters)
        return dataclasses.replace(self, parameters=shapes)
