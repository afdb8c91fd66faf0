"""A pair classifier on either backbone: pool one state a pair, then a linear layer to two classes."""

import jax.numpy as jnp
from flax import nnx

from lingjax.axes import DropoutKey, PairLogits, PoolPositions, TokenIds
from lingjax.errors import InputError
from lingjax.models.bert import Bert
from lingjax.models.config import ModelConfig
from lingjax.models.gpt2 import Gpt2
from lingjax.models.layers import Linear, dropout, split_key

NUM_CLASSES = 2


def check_pair_format(config: ModelConfig, pair_format: str) -> None:
    """Refuses to read pairs in segments that the model has no embedding of.

    Raises:
      InputError: the format has two segments and the model one.
    """
    if pair_format == "bert" and config.segment_count == 1:
        raise InputError(
            "pair_format='bert' puts the second sentence into segment 1, and this model has segment 0 alone "
            "(type_vocab_size=1); take pair_format=concat"
        )


class PairClassifier(nnx.Module):
    """The study's head: linear on GPT-2's last real token, or on BERT's pooled [CLS] (arXiv 2412.07678).

    As in the published checkpoints' classes, GPT-2's head has no bias and no dropout before it; BERT's has both.
    """

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.config = config
        if config.family == "bert":
            self.backbone = Bert(config, rngs=rngs)
            self.pooler = Linear(config, (config.width,), (config.width,), rngs=rngs)
        else:
            self.backbone = Gpt2(config, rngs=rngs)
        self.head = Linear(config, (config.width,), (NUM_CLASSES,), use_bias=config.family == "bert", rngs=rngs)

    def __call__(
        self, token_ids: TokenIds, *, pool_positions: PoolPositions, dropout_key: DropoutKey = None, **inputs
    ) -> PairLogits:
        """Returns float32 logits (not a match, match) for every slot of every row.

        Args:
          token_ids: rows of one or more packed pairs.
          pool_positions: the position in its row of each slot's classified state; unused slots may hold any position.
          dropout_key: None switches dropout off.
          **inputs: `document_ids`, `positions`, `segment_ids` of the backbone.
        """
        backbone_key, head_key = split_key(dropout_key, 2)
        pooled = self.backbone(token_ids, dropout_key=backbone_key, at=pool_positions, **inputs)
        if self.config.family == "bert":
            pooled = dropout(jnp.tanh(self.pooler(pooled)), self.config.dropout_rate, head_key)
        return self.head(pooled).astype(jnp.float32)
