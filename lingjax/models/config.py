"""The shape of a model: one frozen, checked description for both families, and the published sizes."""

import dataclasses
from typing import Any, Literal

from lingjax.errors import InputError, nearest, raise_problems, range_problems

Family = Literal["gpt2", "bert"]

FAMILIES: tuple[Family, ...] = ("gpt2", "bert")
ACTIVATIONS = ("gelu", "gelu_tanh", "relu")
DTYPES = ("float32", "bfloat16")
REMAT = ("none", "products", "layers")
_LARGEST_FLOAT = 3.4e38  # of float32
# Far beyond any model; XLA ends the process where it is asked for such arrays.
_MOST = {"vocab_size": 2**27, "max_length": 2**24, "width": 2**17, "depth": 10_000, "mlp_width": 2**20}
ATTENTION = ("auto", "plain", "bands", "cudnn")

# Width, depth, heads. `tiny` and `mini` are ours, for tests and laptops; GPT-2: Radford et al. 2019, table 2 and the
# published checkpoints; BERT: Devlin et al. 2019, section 3.
_SIZES: dict[str, dict[str, tuple[int, int, int]]] = {
    "gpt2": {
        "tiny": (64, 2, 4),
        "mini": (256, 4, 4),
        "small": (768, 12, 12),
        "medium": (1024, 24, 16),
        "large": (1280, 36, 20),
        "xl": (1600, 48, 25),
    },
    "bert": {
        "tiny": (64, 2, 4),
        "mini": (256, 4, 4),
        "base": (768, 12, 12),
        "large": (1024, 24, 16),
    },
}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Everything that decides a model's parameters and arithmetic.

    Attributes:
      family: `gpt2` (pre-norm, causal) or `bert` (post-norm, bidirectional, segments).
      vocab_size: rows of the token embedding.
      max_length: rows of the position embedding; the longest document in tokens.
      width: features of a token's state.
      depth: number of layers.
      num_heads: attention heads; divides `width`.
      mlp_width: features inside the feed-forward layer.
      dropout_rate: share of hidden features dropped in training, also before BERT's classifier.
      attention_dropout_rate: share of attention weights dropped in training.
      norm_epsilon: added to the variance in layer norms.
      pad_id: token that fills unused positions; it is masked, so its embedding never matters.
      activation: `gelu` (exact), `gelu_tanh` (GPT-2's approximation) or `relu`.
      segment_count: rows of BERT's segment embedding; 0 for GPT-2.
      init_scale: standard deviation of random initial weights.
      param_dtype: type in which parameters are kept.
      compute_dtype: type of products and activations; norms' statistics, softmax and loss stay in float32.
      vocab_multiple: the token table has so many rows more than `vocab_size` that their number divides by this, and so
        over the devices of a mesh. No token reads the rows that are added, none is predicted, and none is exported.
      remat: what the backward pass computes anew instead of keeping it: `none`; `products`, all but the results of
        matrix products; `layers`, all but each layer's input.
      scan_layers: run the layers as one scanned loop (compiles once) or unrolled; the numbers are the same, but for
        what dropout takes from the last layer of a pair classifier, which unrolled computes classified states only.
      attention: what computes attention: `plain` einsums; `bands` of queries, for causal models, each with the keys up
        to its end; `cudnn`, NVIDIA's fused kernel, which never holds the weights; or `auto`, as the device
        asks (`lingjax.models.attention.choose_attention`).

    Raises:
      InputError: a value cannot be used; all such values are named together.
    """

    family: Family
    vocab_size: int
    max_length: int
    width: int
    depth: int
    num_heads: int
    mlp_width: int
    dropout_rate: float = 0.1
    attention_dropout_rate: float = 0.1
    norm_epsilon: float = 1e-5
    pad_id: int = 0
    activation: str = "gelu_tanh"
    segment_count: int = 0
    init_scale: float = 0.02
    param_dtype: str = "float32"
    compute_dtype: str = "float32"
    vocab_multiple: int = 1
    remat: str = "none"
    scan_layers: bool = True
    attention: str = "plain"

    def __post_init__(self):
        problems = []
        if self.family not in FAMILIES:
            problems.append(f"family='{self.family}' is not known, {nearest(self.family, FAMILIES)}")
        sizes = ("vocab_size", "max_length", "width", "depth", "num_heads", "mlp_width", "vocab_multiple")
        problems += range_problems(vars(self), at_least_1=sizes)
        for name, most in _MOST.items():
            if getattr(self, name) > most:
                problems.append(f"{name}={getattr(self, name)} must be at most {most:,}")
        if self.width > 0 and self.num_heads > 0 and self.width % self.num_heads:
            lower = self.width // self.num_heads * self.num_heads
            problems.append(
                f"width={self.width} does not divide into num_heads={self.num_heads}; "
                f"the nearest widths that do are {lower} and {lower + self.num_heads}"
            )
        problems += range_problems(vars(self), below_1=("dropout_rate", "attention_dropout_rate"))
        for name in ("norm_epsilon", "init_scale"):
            if not 0 <= getattr(self, name) < _LARGEST_FLOAT:
                problems.append(f"{name}={getattr(self, name)} must be at least 0, and no larger than a float32")
        if not 0 <= self.pad_id < self.vocab_size:
            problems.append(f"pad_id={self.pad_id} is outside the vocabulary of {self.vocab_size}")
        if self.activation not in ACTIVATIONS:
            problems.append(f"activation='{self.activation}' is not known, {nearest(self.activation, ACTIVATIONS)}")
        if (self.segment_count > 0) != (self.family == "bert"):
            problems.append(f"segment_count={self.segment_count} does not suit family '{self.family}'")
        if self.remat not in REMAT:
            problems.append(f"remat='{self.remat}' is not known, {nearest(self.remat, REMAT)}")
        if self.attention not in ATTENTION:
            problems.append(f"attention='{self.attention}' is not known, {nearest(self.attention, ATTENTION)}")
        if self.attention == "bands" and self.family != "gpt2":
            problems.append(f"attention='bands' needs a causal model, and '{self.family}' sees later tokens")
        for name in ("param_dtype", "compute_dtype"):
            if getattr(self, name) not in DTYPES:
                problems.append(f"{name}='{getattr(self, name)}' is not known, {nearest(getattr(self, name), DTYPES)}")
        raise_problems("model configuration", problems)

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the token table."""
        return -(-self.vocab_size // self.vocab_multiple) * self.vocab_multiple

    @property
    def head_dim(self) -> int:
        """Features of one attention head."""
        return self.width // self.num_heads

    def to_json(self) -> dict[str, Any]:
        """Returns plain values that `ModelConfig(**values)` takes back."""
        return dataclasses.asdict(self)


def preset(
    family: str,
    size: str,
    *,
    vocab_size: int,
    max_length: int | None = None,
    width: int | None = None,
    depth: int | None = None,
    num_heads: int | None = None,
    **changes: Any,
) -> ModelConfig:
    """Returns a published (or small) size of a family, or one between them.

    >>> preset("gpt2", "small", vocab_size=50257).width
    768

    Args:
      family: `gpt2` or `bert`.
      size: `tiny`, `mini`, and `small|medium|large|xl` for GPT-2, `base|large` for BERT.
      vocab_size: entries of the tokenizer.
      max_length: longest document in tokens; 1024 (GPT-2) or 512 (BERT) if not given.
      width, depth, num_heads: in place of the size's own. The feed-forward layer is four times as wide as `width`.
      **changes: any other field of `ModelConfig`.

    Raises:
      InputError: the family or the size is unknown.
    """
    if family not in _SIZES:
        raise InputError(f"model family '{family}' is not known, {nearest(family, _SIZES)}")
    if size not in _SIZES[family]:
        raise InputError(f"{family} has no size '{size}', {nearest(size, _SIZES[family])}")
    published = zip((width, depth, num_heads), _SIZES[family][size], strict=True)
    width, depth, num_heads = (usual if given is None else given for given, usual in published)
    shared = {"vocab_size": vocab_size, "width": width, "depth": depth, "num_heads": num_heads, "mlp_width": 4 * width}
    if family == "gpt2":
        of_family = {"max_length": max_length or 1024, "norm_epsilon": 1e-5, "activation": "gelu_tanh"}
    else:
        of_family = {
            "max_length": max_length or 512,
            "norm_epsilon": 1e-12,
            "activation": "gelu",
            "segment_count": 2,
        }
    return ModelConfig(family=family, **{**shared, **of_family, **changes})
