"""Where every parameter stands in a Hugging Face checkpoint: tables as data, and the reshaping they imply.

A row names our parameter, the axes of our array, the tensors that hold it, and the axes of one such tensor. Axes of
ours that a tensor lacks are spread over several tensors: `layers` over the `{layer}` in the name, `three` over the
names of queries, keys and values. So copying, transposing, splitting heads and stacking are one operation: split each
axis of the tensor into ours, and put them in our order.

Sources: `modeling_gpt2.py` and `modeling_bert.py` of transformers. GPT-2 stores its projections input-first, BERT
output-first.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

Head = Literal["backbone", "language_model", "pairs"]
HEADS: tuple[Head, ...] = ("backbone", "language_model", "pairs")


@dataclasses.dataclass(frozen=True)
class WeightName:
    """One parameter of ours and the tensors that hold it.

    Attributes:
      path: our parameter, dotted.
      axes: the axes of our array, also read by the sharding rules.
      names: the tensors that hold one layer's share, with `{layer}` for the layer's number.
      stored_axes: the axes of one tensor, each a product of some of ours.
    """

    path: str
    axes: tuple[str, ...]
    names: tuple[str, ...]
    stored_axes: tuple[tuple[str, ...], ...]

    def tensors(self, shape: Sequence[int]) -> Iterator[tuple[str, tuple[int | slice, ...]]]:
        """Yields each tensor's name, and the part of our array of this `shape` that it holds."""
        index = dict.fromkeys(self.axes, slice(None))
        for layer in range(shape[0] if self.axes[0] == "layers" else 1):
            for number, name in enumerate(self.names):
                if self.axes[0] == "layers":
                    index["layers"] = layer
                if len(self.names) > 1:
                    index["three"] = number
                yield name.format(layer=layer), tuple(index.values())

    def unpadded(self, shape: Sequence[int], vocab_size: int) -> tuple[int, ...]:
        """Returns the shape of our array without the rows that only fill the vocabulary up."""
        return tuple(vocab_size if axis == "vocab" else size for axis, size in zip(self.axes, shape, strict=True))

    def stored_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Returns the shape of one tensor for our array of this `shape`."""
        sizes = dict(zip(self.axes, shape, strict=True))
        return tuple(math.prod(sizes[axis] for axis in group) for group in self.stored_axes)

    def from_stored(self, tensor: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Returns a view of one tensor as the part of our array of this `shape` that it holds."""
        sizes = dict(zip(self.axes, shape, strict=True))
        split = self._split_axes
        order = [split.index(axis) for axis in self.axes if axis in split]
        return tensor.reshape([sizes[axis] for axis in split]).transpose(order)

    def to_stored(self, part: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Returns one tensor, contiguous, from its part of our array of this `shape`."""
        ours = [axis for axis in self.axes if axis in self._split_axes]
        ordered = part.transpose([ours.index(axis) for axis in self._split_axes])
        return np.ascontiguousarray(ordered.reshape(self.stored_shape(shape)))

    @property
    def _split_axes(self) -> list[str]:
        return [axis for group in self.stored_axes for axis in group]


def _row(path: str, axes: str, stored_axes: str, *names: str) -> WeightName:
    """Builds a row; in `stored_axes` a comma separates the tensor's axes."""
    groups = tuple(tuple(group.split()) for group in stored_axes.split(","))
    return WeightName(path, tuple(axes.split()), names, groups)


_GPT2_BACKBONE = (
    _row("token_embedding.embedding", "vocab width", "vocab, width", "wte.weight"),
    _row("position_embedding.embedding", "length width", "length, width", "wpe.weight"),
    _row("blocks.attention_norm.scale", "layers width", "width", "h.{layer}.ln_1.weight"),
    _row("blocks.attention_norm.bias", "layers width", "width", "h.{layer}.ln_1.bias"),
    _row(
        "blocks.attention.query_key_value.kernel",
        "layers width three heads head_dim",
        "width, three heads head_dim",
        "h.{layer}.attn.c_attn.weight",
    ),
    _row(
        "blocks.attention.query_key_value.bias",
        "layers three heads head_dim",
        "three heads head_dim",
        "h.{layer}.attn.c_attn.bias",
    ),
    _row(
        "blocks.attention.output.kernel",
        "layers heads head_dim width",
        "heads head_dim, width",
        "h.{layer}.attn.c_proj.weight",
    ),
    _row("blocks.attention.output.bias", "layers width", "width", "h.{layer}.attn.c_proj.bias"),
    _row("blocks.mlp_norm.scale", "layers width", "width", "h.{layer}.ln_2.weight"),
    _row("blocks.mlp_norm.bias", "layers width", "width", "h.{layer}.ln_2.bias"),
    _row("blocks.mlp.up.kernel", "layers width mlp_width", "width, mlp_width", "h.{layer}.mlp.c_fc.weight"),
    _row("blocks.mlp.up.bias", "layers mlp_width", "mlp_width", "h.{layer}.mlp.c_fc.bias"),
    _row("blocks.mlp.down.kernel", "layers mlp_width width", "mlp_width, width", "h.{layer}.mlp.c_proj.weight"),
    _row("blocks.mlp.down.bias", "layers width", "width", "h.{layer}.mlp.c_proj.bias"),
    _row("final_norm.scale", "width", "width", "ln_f.weight"),
    _row("final_norm.bias", "width", "width", "ln_f.bias"),
)

_BERT_LAYER = "encoder.layer.{layer}."
_BERT_BACKBONE = (
    _row("token_embedding.embedding", "vocab width", "vocab, width", "embeddings.word_embeddings.weight"),
    _row("position_embedding.embedding", "length width", "length, width", "embeddings.position_embeddings.weight"),
    _row("segment_embedding.embedding", "segments width", "segments, width", "embeddings.token_type_embeddings.weight"),
    _row("embedding_norm.scale", "width", "width", "embeddings.LayerNorm.weight"),
    _row("embedding_norm.bias", "width", "width", "embeddings.LayerNorm.bias"),
    _row(
        "blocks.attention.query_key_value.kernel",
        "layers width three heads head_dim",
        "heads head_dim, width",
        *(_BERT_LAYER + f"attention.self.{part}.weight" for part in ("query", "key", "value")),
    ),
    _row(
        "blocks.attention.query_key_value.bias",
        "layers three heads head_dim",
        "heads head_dim",
        *(_BERT_LAYER + f"attention.self.{part}.bias" for part in ("query", "key", "value")),
    ),
    _row(
        "blocks.attention.output.kernel",
        "layers heads head_dim width",
        "width, heads head_dim",
        _BERT_LAYER + "attention.output.dense.weight",
    ),
    _row("blocks.attention.output.bias", "layers width", "width", _BERT_LAYER + "attention.output.dense.bias"),
    _row("blocks.attention_norm.scale", "layers width", "width", _BERT_LAYER + "attention.output.LayerNorm.weight"),
    _row("blocks.attention_norm.bias", "layers width", "width", _BERT_LAYER + "attention.output.LayerNorm.bias"),
    _row(
        "blocks.mlp.up.kernel", "layers width mlp_width", "mlp_width, width", _BERT_LAYER + "intermediate.dense.weight"
    ),
    _row("blocks.mlp.up.bias", "layers mlp_width", "mlp_width", _BERT_LAYER + "intermediate.dense.bias"),
    _row("blocks.mlp.down.kernel", "layers mlp_width width", "width, mlp_width", _BERT_LAYER + "output.dense.weight"),
    _row("blocks.mlp.down.bias", "layers width", "width", _BERT_LAYER + "output.dense.bias"),
    _row("blocks.mlp_norm.scale", "layers width", "width", _BERT_LAYER + "output.LayerNorm.weight"),
    _row("blocks.mlp_norm.bias", "layers width", "width", _BERT_LAYER + "output.LayerNorm.bias"),
)

_BACKBONES: dict[str, tuple[WeightName, ...]] = {"gpt2": _GPT2_BACKBONE, "bert": _BERT_BACKBONE}
# What a model with a head puts before its backbone's names; a bare backbone is saved without.
_PREFIXES = {"gpt2": "transformer.", "bert": "bert."}

_HEAD_ROWS: dict[tuple[str, Head], tuple[WeightName, ...]] = {
    ("gpt2", "language_model"): (),
    ("gpt2", "pairs"): (_row("head.kernel", "width classes", "classes, width", "score.weight"),),
    ("bert", "language_model"): (
        _row("transform.kernel", "width width_out", "width_out, width", "cls.predictions.transform.dense.weight"),
        _row("transform.bias", "width_out", "width_out", "cls.predictions.transform.dense.bias"),
        _row("transform_norm.scale", "width", "width", "cls.predictions.transform.LayerNorm.weight"),
        _row("transform_norm.bias", "width", "width", "cls.predictions.transform.LayerNorm.bias"),
        _row("output_bias", "vocab", "vocab", "cls.predictions.bias"),
    ),
    ("bert", "pairs"): (
        _row("pooler.kernel", "width width_out", "width_out, width", "bert.pooler.dense.weight"),
        _row("pooler.bias", "width_out", "width_out", "bert.pooler.dense.bias"),
        _row("head.kernel", "width classes", "classes, width", "classifier.weight"),
        _row("head.bias", "classes", "classes", "classifier.bias"),
    ),
}

MAY_BE_FRESH: dict[Head, tuple[str, ...]] = {"backbone": (), "language_model": (), "pairs": ("head", "pooler")}
"""Top-level modules of ours that a checkpoint may lack as a whole; they then start from random weights."""

TIED: dict[str, dict[str, str]] = {
    "gpt2": {"lm_head.weight": "wte.weight"},
    "bert": {
        "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
}
"""Second copies that a language model may carry, and what they must equal."""

PAIR_HEAD_TENSORS: dict[str, tuple[str, ...]] = {
    "gpt2": ("score.weight",),
    "bert": ("classifier.weight", "classifier.bias"),
}
"""The classifier's tensors; other tasks use the same names, so whether they are ours is for the config to say."""

_OTHER_TASK = "head of a task that this model does not have"
_IGNORED: dict[str, tuple[tuple[str, tuple[Head, ...], str], ...]] = {
    "gpt2": (
        (r"h\.\d+\.attn\.(bias|masked_bias)", HEADS, "buffer of the causal mask"),
        (r"(classifier|qa_outputs|multiple_choice_head)\..*", HEADS, _OTHER_TASK),
        (r"lm_head\.weight", ("backbone", "pairs"), _OTHER_TASK),
        (r"score\.weight", ("backbone", "language_model"), _OTHER_TASK),
    ),
    "bert": (
        (r"embeddings\.(position_ids|token_type_ids)", HEADS, "buffer of constants"),
        (r"(cls\.seq_relationship|qa_outputs)\..*", HEADS, _OTHER_TASK),
        (r"cls\.predictions\..*", ("backbone", "pairs"), _OTHER_TASK),
        (r"classifier\..*", ("backbone", "language_model"), _OTHER_TASK),
        (r"pooler\.dense\..*", ("backbone", "language_model"), "pooler, which only the pair classifier has"),
    ),
}


def weight_names(family: str, head: Head) -> tuple[WeightName, ...]:
    """Returns the row of every parameter of a model, names spelled as transformers writes them.

    >>> [row.names for row in weight_names("gpt2", "pairs") if row.path == "head.kernel"]
    [('score.weight',)]
    """
    if head == "backbone":
        return _BACKBONES[family]
    prefix = _PREFIXES[family]
    backbone = tuple(
        dataclasses.replace(row, path="backbone." + row.path, names=tuple(prefix + name for name in row.names))
        for row in _BACKBONES[family]
    )
    return backbone + _HEAD_ROWS[family, head]


def axes_by_path(family: str, head: Head) -> Mapping[str, tuple[str, ...]]:
    """Returns the axis names of every parameter, for sharding rules.

    >>> axes_by_path("bert", "backbone")["blocks.mlp.up.kernel"]
    ('layers', 'width', 'mlp_width')
    """
    return {row.path: row.axes for row in weight_names(family, head)}


def plain_name(family: str, name: str) -> str:
    """Returns the one spelling under which a tensor is looked up: no backbone prefix, and no gamma or beta.

    >>> plain_name("bert", "bert.embeddings.LayerNorm.gamma")
    'embeddings.LayerNorm.weight'
    """
    name = name.removeprefix(_PREFIXES[family])
    name = re.sub(r"\bLayerNorm\.gamma$", "LayerNorm.weight", name)
    return re.sub(r"\bLayerNorm\.beta$", "LayerNorm.bias", name)


def reason_to_ignore(family: str, head: Head, name: str) -> str | None:
    """Returns why a tensor of this plain name is no part of the model, or None if nothing declares that."""
    for pattern, heads, reason in _IGNORED[family]:
        if head in heads and re.fullmatch(pattern, name):
            return reason
    return None
