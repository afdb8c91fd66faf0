"""BERT: a bidirectional, post-norm transformer with segments, and its masked-token head.

Source: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers", section 3.
"""

import jax.numpy as jnp
from flax import nnx

from lingjax.axes import (
    AllHidden,
    AttentionMask,
    DocumentIds,
    DropoutKey,
    Hidden,
    PoolPositions,
    Positions,
    SegmentIds,
    TokenIds,
    TokenLogits,
)
from lingjax.models.activations import activate
from lingjax.models.attention import PerHead, SelfAttention, document_mask
from lingjax.models.config import ModelConfig
from lingjax.models.layers import (
    Embedding,
    Linear,
    Mlp,
    dropout,
    norm,
    run_layers,
    split_key,
    stack_layers,
    take_positions,
)
from lingjax.models.token_scores import TokenScores


class BertBlock(nnx.Module):
    """One layer: attention, residual, norm; feed-forward, residual, norm."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.attention = SelfAttention(config, output_scale=config.init_scale, rngs=rngs)
        self.attention_norm = norm(config, rngs=rngs)
        self.mlp = Mlp(config, output_scale=config.init_scale, rngs=rngs)
        self.mlp_norm = norm(config, rngs=rngs)
        self.dropout_rate = config.dropout_rate

    def __call__(
        self, hidden: Hidden, mask: AttentionMask, dropout_key: DropoutKey, at: PoolPositions | None = None
    ) -> Hidden:
        """Returns the layer's output, given `at` of those positions alone."""
        attention_key, mlp_key = split_key(dropout_key, 2)
        query, key, value = self.project(hidden)
        if at is not None:
            hidden, query, mask = (take_positions(x, at) for x in (hidden, query, mask))
        hidden = self.attention_norm(hidden + self.attention.gather(query, key, value, mask, attention_key))
        return self.mlp_norm(hidden + dropout(self.mlp(hidden), self.dropout_rate, mlp_key))

    def project(self, hidden: Hidden) -> tuple[PerHead, PerHead, PerHead]:
        """Returns queries, keys and values of each position."""
        return self.attention.project(hidden)


class Bert(nnx.Module):
    """The backbone: token ids and segments in, one state a token out."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.config = config
        self.token_embedding = Embedding(config, config.padded_vocab_size, rngs=rngs)
        self.position_embedding = Embedding(config, config.max_length, rngs=rngs)
        self.segment_embedding = Embedding(config, config.segment_count, rngs=rngs)
        self.embedding_norm = norm(config, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: BertBlock(config, rngs=rngs), config.depth, rngs=rngs)

    def hidden_states(
        self,
        token_ids: TokenIds,
        *,
        document_ids: DocumentIds,
        positions: Positions,
        segment_ids: SegmentIds | None = None,
        dropout_key: DropoutKey = None,
        at: PoolPositions | None = None,
    ) -> tuple[Hidden, AllHidden]:
        """Returns the last layer's states, and the embeddings with every layer's output; no segments means all 0.

        With `at` the last layer's states are those of these positions, and they are not among the others.
        """
        embedding_key, blocks_key = split_key(dropout_key, 2)
        if segment_ids is None:
            segment_ids = jnp.zeros_like(token_ids)
        hidden = self.token_embedding(token_ids) + self.position_embedding(positions)
        hidden = self.embedding_norm(hidden + self.segment_embedding(segment_ids))
        hidden = dropout(hidden, self.config.dropout_rate, embedding_key)
        mask = document_mask(document_ids, causal=False)
        return run_layers(
            self.blocks,
            hidden,
            lambda block, hidden, key, at: block(hidden, mask, key, at),
            config=self.config,
            dropout_key=blocks_key,
            at=at,
        )

    def __call__(self, token_ids: TokenIds, **inputs) -> Hidden:
        """Returns the last layer's states; keyword arguments as in `hidden_states`."""
        return self.hidden_states(token_ids, **inputs)[0]


class BertLanguageModel(nnx.Module):
    """BERT that predicts masked tokens: a transform, then the token embedding as output matrix, plus a bias."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.backbone = Bert(config, rngs=rngs)
        self.transform = Linear(config, (config.width,), (config.width,), rngs=rngs)
        self.transform_norm = norm(config, rngs=rngs)
        self.output_bias = nnx.Param(jnp.zeros((config.padded_vocab_size,), jnp.dtype(config.param_dtype)))

    def score(self, token_ids: TokenIds, **inputs) -> TokenScores:
        """Returns scores for the token at each position."""
        backbone = self.backbone
        hidden = self.transform_norm(
            activate(backbone.config.activation, self.transform(backbone(token_ids, **inputs)))
        )
        table = backbone.token_embedding.embedding.get_value()
        return TokenScores.of(backbone.config, hidden, table, self.output_bias.get_value())

    def __call__(self, token_ids: TokenIds, **inputs) -> TokenLogits:
        """Returns the scores as float32 logits."""
        return self.score(token_ids, **inputs).logits()
