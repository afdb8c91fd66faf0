"""Glossary of the axis names in lingjax, and the array types whose shapes are spelled with them.

| axis | meaning |
|---|---|
| `batch`, `rows` | rows of one batch; a row of packed data holds several documents or pairs |
| `length` | token positions of a row, padding included |
| `slots` | pairs that a row can hold |
| `width` | features of a token's state (`hidden_size`, `n_embd`) |
| `width_out` | the output axis of a map from `width` to `width`, where both stand in one array |
| `three` | queries, keys, values |
| `heads`, `head_dim` | attention heads and the features of each; their product is `width` |
| `mlp_width` | features inside the feed-forward layer |
| `layers` | stacked copies of one layer's parameters |
| `segments` | entries of BERT's segment embedding |
| `vocab` | entries of the token embedding |
| `classes` | 2: not a match, match |
"""

from typing import Any, TypeAlias

from jaxtyping import Array, Bool, Float, Int, Key

TokenIds: TypeAlias = Int[Array, "batch length"]
"""Indices into the vocabulary."""

DocumentIds: TypeAlias = Int[Array, "batch length"]
"""Which document of its row a token belongs to, from 1; 0 marks padding. Attention stays inside a document."""

Positions: TypeAlias = Int[Array, "batch length"]
"""A token's place in its document, from 0."""

SegmentIds: TypeAlias = Int[Array, "batch length"]
"""BERT's sentence: 0 for the first, 1 for the second."""

PoolPositions: TypeAlias = Int[Array, "batch slots"]
"""Where in its row the state stands that is classified, one a pair."""

Hidden: TypeAlias = Float[Array, "batch length width"]
AllHidden: TypeAlias = Float[Array, "layers_and_embedding batch length width"]
AttentionMask: TypeAlias = Bool[Array, "batch length length"]
"""[batch query key]: True where the query may look at the key."""

PairLogits: TypeAlias = Float[Array, "batch slots classes"]
TokenLogits: TypeAlias = Float[Array, "batch length vocab"]
DropoutKey: TypeAlias = Key[Array, ""] | None
"""None switches dropout off."""

Parameters: TypeAlias = dict[str, Any]
"""A model's parameters as nested dicts of arrays; layer parameters carry a leading `layers` axis."""
