"""GPT-2: a causal, pre-norm transformer, and its language-model head.

Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
"""

import math

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
from lingjax.models.attention import PerHead, SelfAttention, document_mask
from lingjax.models.config import ModelConfig
from lingjax.models.layers import Embedding, Mlp, dropout, norm, run_layers, split_key, stack_layers, take_positions
from lingjax.models.token_scores import TokenScores


class Gpt2Block(nnx.Module):
    """One layer: norm, attention, residual; norm, feed-forward, residual."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        # Two residual sums a layer: scaled so that their variance does not grow with depth (section 2.3).
        output_scale = config.init_scale / math.sqrt(2 * config.depth)
        self.attention_norm = norm(config, rngs=rngs)
        self.attention = SelfAttention(config, output_scale=output_scale, rngs=rngs)
        self.mlp_norm = norm(config, rngs=rngs)
        self.mlp = Mlp(config, output_scale=output_scale, rngs=rngs)
        self.dropout_rate = config.dropout_rate

    def __call__(
        self, hidden: Hidden, mask: AttentionMask, dropout_key: DropoutKey, at: PoolPositions | None = None
    ) -> Hidden:
        """Returns the layer's output, given `at` of those positions alone."""
        query, key, value = self.project(hidden)
        if at is not None:
            hidden, query, mask = (take_positions(x, at) for x in (hidden, query, mask))
        return self.finish(hidden, query, key, value, mask, dropout_key)

    def project(self, hidden: Hidden) -> tuple[PerHead, PerHead, PerHead]:
        """Returns queries, keys and values of each position; `finish` does the rest of the layer."""
        return self.attention.project(self.attention_norm(hidden))

    def finish(
        self,
        hidden: Hidden,
        query: PerHead,
        key: PerHead,
        value: PerHead,
        mask: AttentionMask,
        dropout_key: DropoutKey,
    ) -> Hidden:
        """Returns the layer's output; keys and values may be those of more positions than `hidden`'s."""
        attention_key, mlp_key = split_key(dropout_key, 2)
        hidden = hidden + self.attention.gather(query, key, value, mask, attention_key)
        return hidden + dropout(self.mlp(self.mlp_norm(hidden)), self.dropout_rate, mlp_key)


class Gpt2(nnx.Module):
    """The backbone: token ids in, one normalised state a token out."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.config = config
        self.token_embedding = Embedding(config, config.padded_vocab_size, rngs=rngs)
        self.position_embedding = Embedding(config, config.max_length, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Gpt2Block(config, rngs=rngs), config.depth, rngs=rngs)
        self.final_norm = norm(config, rngs=rngs)

    def embed(self, token_ids: TokenIds, positions: Positions) -> Hidden:
        """Returns the first layer's input."""
        return self.token_embedding(token_ids) + self.position_embedding(positions)

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
        """Returns the final states, and the embeddings with every layer's output before the final norm.

        With `at` the final states are those of these positions, and the last layer's output is not among the others.

        `segment_ids` is taken so that both families are called alike; GPT-2 has no segments and does not read it.
        """
        del segment_ids
        embedding_key, blocks_key = split_key(dropout_key, 2)
        hidden = self.embed(token_ids, positions)
        hidden = dropout(hidden, self.config.dropout_rate, embedding_key)
        mask = document_mask(document_ids, causal=True)
        last, every = run_layers(
            self.blocks,
            hidden,
            lambda block, hidden, key, at: block(hidden, mask, key, at),
            config=self.config,
            dropout_key=blocks_key,
            at=at,
        )
        return self.final_norm(last), every

    def __call__(self, token_ids: TokenIds, **inputs) -> Hidden:
        """Returns the final states; keyword arguments as in `hidden_states`."""
        return self.hidden_states(token_ids, **inputs)[0]


class Gpt2LanguageModel(nnx.Module):
    """GPT-2 that predicts the next token; the output matrix is the token embedding."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.backbone = Gpt2(config, rngs=rngs)

    def score(self, token_ids: TokenIds, **inputs) -> TokenScores:
        """Returns scores: those at position t are for the token at t + 1."""
        return self.score_states(self.backbone(token_ids, **inputs))

    def score_states(self, hidden: Hidden) -> TokenScores:
        """Returns the scores that follow from final states."""
        return TokenScores.of(self.backbone.config, hidden, self.backbone.token_embedding.embedding.get_value())

    def __call__(self, token_ids: TokenIds, **inputs) -> TokenLogits:
        """Returns the scores as float32 logits."""
        return self.score(token_ids, **inputs).logits()
