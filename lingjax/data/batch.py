"""What one training or evaluation step consumes: language-model rows and rows of text pairs."""

import dataclasses
from typing import Any

from jaxtyping import Bool, Int32

# Any array type: numpy as read, jax once placed on devices.
Array = Any


@dataclasses.dataclass(frozen=True)
class TokenBatch:
    """Rows of tokens for language modelling; GPT-2 and BERT share it.

    Attributes:
      token_ids: what the model reads.
      target_ids: what it should predict at each position.
      counted: True where the prediction enters the loss.
      document_ids: 0 for padding, 1, 2, ... for the documents of one row; attention stays inside a document.
      positions: index of a token within its document.
      domain_ids: which domain of the mixture each row comes from.
      row_ids: index of each row in its domain's split; -1 for one that fills the batch up.
    """

    token_ids: Int32[Array, "batch length"]
    target_ids: Int32[Array, "batch length"]
    counted: Bool[Array, "batch length"]
    document_ids: Int32[Array, "batch length"]
    positions: Int32[Array, "batch length"]
    domain_ids: Int32[Array, " batch"]
    row_ids: Int32[Array, " batch"]


@dataclasses.dataclass(frozen=True)
class PairBatch:
    """Rows that hold up to `slots` text pairs each, one after another; one slot is the ordinary padded layout.

    Attributes:
      token_ids: padded on the right.
      segment_ids: 0 for the first sentence, 1 for the second; all 0 in formats without segments.
      document_ids: slot number + 1, 0 for padding; attention stays inside a pair.
      positions: index of a token within its pair, 0 for padding.
      pool_positions: index in the row of the token whose state is classified; 0 in an unused slot.
      labels: 0 or 1; 0 in an unused slot.
      is_real: False in an unused slot, which must not be counted.
      row_ids: index of the pair in its source, which joins predictions to pairs; -1 in an unused slot.
    """

    token_ids: Int32[Array, "rows length"]
    segment_ids: Int32[Array, "rows length"]
    document_ids: Int32[Array, "rows length"]
    positions: Int32[Array, "rows length"]
    pool_positions: Int32[Array, "rows slots"]
    labels: Int32[Array, "rows slots"]
    is_real: Bool[Array, "rows slots"]
    row_ids: Int32[Array, "rows slots"]
