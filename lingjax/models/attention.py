"""Multi-head self-attention and the masks that keep it inside a document."""

from typing import TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from lingjax.axes import AttentionMask, DocumentIds, DropoutKey, Hidden
from lingjax.errors import InputError
from lingjax.models.config import ModelConfig
from lingjax.models.layers import Linear, dropout, split_key
from lingjax.models.products import product

# Measured in benchmarks/README.md. More bands skip more scores, and make the program longer.
_SMALLEST_BAND = 256
_MOST_BANDS = 8

PerHead: TypeAlias = Float[Array, "batch length heads head_dim"]


def document_mask(document_ids: DocumentIds, *, causal: bool) -> AttentionMask:
    """Lets a position see those of its own document, and with `causal` only itself and earlier ones.

    Padding (document 0) sees padding: no row of the mask is empty, so no softmax divides by zero, and nothing reads the
    result.
    """
    mask = document_ids[:, :, None] == document_ids[:, None, :]
    if not causal:
        return mask
    index = jnp.arange(document_ids.shape[1])
    return mask & (index[:, None] >= index[None, :])


def attend(
    query: PerHead,
    key: PerHead,
    value: PerHead,
    mask: AttentionMask,
    *,
    dropout_rate: float,
    dropout_key: DropoutKey,
) -> PerHead:
    """Scaled dot-product attention, softmax in float32.

    The softmax's division comes last, on [length head_dim] numbers a head instead of [length length].

    Source: Vaswani et al. 2017, equation 1.
    """
    scores = _scores(query, key, mask)
    # Any shift gives the same weights; the maximum keeps every exponential at or below 1.
    weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True)))
    total = weights.sum(axis=-1)
    weights = dropout(weights.astype(value.dtype), dropout_rate, dropout_key)
    gathered = product("bhqk,bkhd->bqhd", weights, value, value.dtype)
    return gathered / total.swapaxes(1, 2)[..., None].astype(value.dtype)


def attend_in_bands(
    query: PerHead,
    key: PerHead,
    value: PerHead,
    mask: AttentionMask,
    *,
    dropout_rate: float,
    dropout_key: DropoutKey,
) -> PerHead:
    """As `attend` where no position sees a later one, in less time and memory.

    Bands of queries attend to the keys up to their own last position: most scores that the mask would throw away are
    never made.

    Args:
      query, key, value: of the same positions.
      mask: what each position may see, no later one among it.
      dropout_rate: share of the weights dropped.
      dropout_key: None switches dropout off.
    """
    length = query.shape[1]
    band = max(_SMALLEST_BAND, -(-length // _MOST_BANDS))
    starts = range(0, length, band)
    keys = [dropout_key] if len(starts) == 1 else split_key(dropout_key, len(starts))
    gathered = [
        attend(
            query[:, start : start + band],
            key[:, : start + band],
            value[:, : start + band],
            mask[:, start : start + band, : start + band],
            dropout_rate=dropout_rate,
            dropout_key=band_key,
        )
        for start, band_key in zip(starts, keys, strict=True)
    ]
    return jnp.concatenate(gathered, axis=1)


def attend_by_cudnn(
    query: PerHead,
    key: PerHead,
    value: PerHead,
    mask: AttentionMask,
    *,
    is_causal: bool,
) -> PerHead:
    """As `attend` without dropout, in one kernel that holds no more than a tile of the weights, forwards and backwards.

    Args:
      query, key, value: of bfloat16.
      mask: what each position may see.
      is_causal: the mask lets no position see a later one, so that the kernel need not look there.

    Source: Dao 2023, "FlashAttention-2", as NVIDIA's cuDNN has it.
    """

    def within_documents(query: Array, key: Array, value: Array, mask: Array) -> Array:
        return jax.nn.dot_product_attention(
            query, key, value, mask=mask[:, None], is_causal=is_causal, implementation="cudnn"
        )

    def within_rows(query: Array, key: Array, value: Array, mask: Array) -> Array:
        del mask
        return jax.nn.dot_product_attention(query, key, value, is_causal=is_causal, implementation="cudnn")

    # The kernel is a third faster where it reads no mask: where the last position of every row sees all others.
    one_document_a_row = mask[:, -1].all()
    return jax.lax.cond(one_document_a_row, within_rows, within_documents, query, key, value, mask)


def choose_attention(attention: str, query: jax.Array, key: jax.Array, *, is_causal: bool, drops: bool) -> str:
    """Says what computes this attention: `plain`, `bands` or `cudnn`.

    `auto` is cuDNN where it can be, `bands` for causal models on CPUs (on accelerators they were not measured), and
    else `plain`.

    Args:
      attention: `plain`, `bands`, `cudnn` or `auto`, as in `ModelConfig`.
      query, key: what would be attended with.
      is_causal: no position sees a later one.
      drops: attention weights are to be dropped.

    Raises:
      InputError: `cudnn` is asked for and cannot be.
    """
    # A single step of generation has one query and many keys; there is nothing to be spared.
    if query.shape[1] != key.shape[1]:
        return "plain"
    if attention in ("plain", "bands"):
        return attention
    hindrance = _hindrance_to_cudnn(query, drops)
    if hindrance is None:
        return "cudnn"
    if attention == "cudnn":
        raise InputError(f"attention='cudnn' {hindrance}; take attention='plain', or 'auto' to have cuDNN where it can")
    return "bands" if is_causal and jax.devices()[0].platform == "cpu" else "plain"


def _hindrance_to_cudnn(query: jax.Array, drops: bool) -> str | None:
    _, length, _, head_dim = query.shape
    device = jax.devices()[0]
    capability = getattr(device, "compute_capability", None)
    if not device.device_kind.startswith("NVIDIA") or capability is None or float(capability) < 8:
        return f"needs an NVIDIA GPU of compute capability 8.0 or more, and this is {device.device_kind}"
    if query.dtype != jnp.bfloat16:
        return f"needs bfloat16, and the model computes in {query.dtype}"
    if drops:
        return "cannot drop attention weights, and attention_dropout_rate is not 0"
    if head_dim % 8 or head_dim > 128:
        return f"needs heads of at most 128 features, a multiple of 8, and these have {head_dim}"
    if length % 2:
        return f"needs rows of even length, and these have {length} tokens"
    return None


def attention_weights(
    query: PerHead,
    key: PerHead,
    mask: AttentionMask,
) -> Float[Array, "batch heads length length"]:
    """Returns the weights [batch heads query key] with which `attend` sums the values; it never holds them itself."""
    return jax.nn.softmax(_scores(query, key, mask), axis=-1)


def _scores(
    query: PerHead,
    key: PerHead,
    mask: AttentionMask,
) -> Float[Array, "batch heads length length"]:
    scores = product("bqhd,bkhd->bhqk", query, key, jnp.float32)
    return jnp.where(mask[:, None], scores * (query.shape[-1] ** -0.5), jnp.finfo(jnp.float32).min)


class SelfAttention(nnx.Module):
    """Projects to queries, keys and values in one product, attends, and projects back.

    The kernels keep heads as axes of their own ([width 3 heads head_dim], [heads head_dim width]), so that sharding
    over heads never cuts through one.
    """

    def __init__(self, config: ModelConfig, *, output_scale: float, rngs: nnx.Rngs):
        heads = (config.num_heads, config.head_dim)
        self.query_key_value = Linear(config, (config.width,), (3, *heads), rngs=rngs)
        self.output = Linear(config, heads, (config.width,), scale=output_scale, rngs=rngs)
        self.attention_dropout_rate = config.attention_dropout_rate
        self.dropout_rate = config.dropout_rate
        self.attention = config.attention
        self.is_causal = config.family == "gpt2"

    def project(self, hidden: Hidden) -> tuple[PerHead, PerHead, PerHead]:
        """Returns queries, keys and values of each position."""
        query, key, value = jnp.unstack(self.query_key_value(hidden), axis=-3)
        return query, key, value

    def gather(
        self, query: PerHead, key: PerHead, value: PerHead, mask: AttentionMask, dropout_key: DropoutKey
    ) -> Hidden:
        """Returns what each position gathers from those it may see; the residual sum is the caller's.

        Keys and values may be those of more positions than the queries.
        """
        weights_key, output_key = split_key(dropout_key, 2)
        drops = weights_key is not None and self.attention_dropout_rate > 0
        chosen = choose_attention(self.attention, query, key, is_causal=self.is_causal, drops=drops)
        if chosen == "cudnn":
            gathered = attend_by_cudnn(query, key, value, mask, is_causal=self.is_causal)
        else:
            rate = self.attention_dropout_rate
            function = attend_in_bands if chosen == "bands" else attend
            gathered = function(query, key, value, mask, dropout_rate=rate, dropout_key=weights_key)
        return dropout(self.output(gathered), self.dropout_rate, output_key)
