"""Where the second sentence of a pair looks in the first: at the tokens that match it, or anywhere?"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int

from lingjax.axes import Parameters
from lingjax.data import EncodedPair, PairEncoder, evaluation_batches
from lingjax.evaluation.hidden_states import StudiedPairs
from lingjax.models.attention import attention_weights, document_mask
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.mesh import place_batch, row_shards
from lingjax.training.steps import BatchArrays


@dataclasses.dataclass(frozen=True)
class AttentionShares:
    """Of the attention that a token of sentence 2 pays to sentence 1, the share that one token receives, by layer.

    Means over heads, tokens and rows; `matching` for the token that is aligned with it and the same, `same_token` for
    another occurrence of the same token (None if there is none), `elsewhere` for a token that is a different one.
    """

    rows: int
    matching: Float[np.ndarray, " layers"]
    same_token: Float[np.ndarray, " layers"] | None
    elsewhere: Float[np.ndarray, " layers"]

    def to_json(self) -> dict[str, Any]:
        """The shares as the report holds them."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        }


@dataclasses.dataclass(frozen=True)
class MatchedTokens:
    """One pair's tokens: which of sentence 1 may be looked at, and which of sentence 2 have a match among them.

    Attributes:
      seen: positions in the row of sentence 1's tokens, but for the row's first.
      queries: positions of sentence 2's tokens that have a match.
      is_match: True where a seen token is the one that a query is aligned with.
      is_same: True where a seen token is the same one as a query.
    """

    seen: Int[np.ndarray, " seen"]
    queries: Int[np.ndarray, " queries"]
    is_match: Bool[np.ndarray, "queries seen"]
    is_same: Bool[np.ndarray, "queries seen"]

    def shares(self, weights: Float[np.ndarray, "layers length length"]) -> Float[np.ndarray, "kinds layers"]:
        """Returns what a matching token, the same token elsewhere, and a different token receive; NaN for no token."""
        looks = weights[:, self.queries[:, None], self.seen[None, :]].astype(np.float64)
        looks = looks / looks.sum(axis=2, keepdims=True)
        kinds = (self.is_match, self.is_same & ~self.is_match, ~self.is_same)
        return np.stack([looks[:, kind].mean(axis=1) if kind.any() else np.full(len(looks), np.nan) for kind in kinds])


def attention_shares(
    start: LoadedModel, pairs: StudiedPairs, *, mesh: Mesh, batch_size: int = 16
) -> AttentionShares | None:
    """Returns where sentence 2 looks in sentence 1, over the pairs with label 1; None if no token of theirs matches.

    Tokens match if an alignment of the two sentences by fewest edits over tokens puts them together and they are the
    same. The first token of the row is left out: where there is nothing to look at, models look there, whatever it is
    (Xiao et al. 2024, "Efficient Streaming Language Models with Attention Sinks"). A head that looks at the same token
    anywhere raises `same_token` as well; only one that follows the alignment raises `matching` alone.

    Args:
      start: a model with the `pairs` head.
      pairs: in the format and limits of training.
      mesh: devices.
      batch_size: pairs a forward pass; the weights of all layers are held at once.
    """
    encoder, positive = pairs.together.encoder, np.flatnonzero(pairs.together.labels == 1)
    like, alone = pairs.together.take(positive), pairs.first.take(positive)
    matched = [match_tokens(pair, first.token_ids, encoder) for pair, first in zip(like, alone, strict=True)]
    forward = _make_forward(start.graph, mesh)
    batches = evaluation_batches(like, encoder, batch_size=batch_size, rows_multiple=row_shards(mesh))
    shares = []
    for batch in batches:
        weights = np.asarray(forward(start.parameters, place_batch(batch, mesh)))
        rows = ((row, matched[number]) for row, (number,) in enumerate(batch.row_ids.tolist()) if number >= 0)
        shares += [tokens.shares(weights[:, row]) for row, tokens in rows if tokens is not None]
    if not shares:
        return None
    kinds = np.stack(shares)  # [rows kinds layers]
    defined = np.isfinite(kinds)
    counts = defined.sum(axis=0)
    means = np.divide(np.where(defined, kinds, 0.0).sum(axis=0), counts, out=np.zeros(counts.shape), where=counts > 0)
    matching, same, elsewhere = means
    return AttentionShares(len(shares), matching, same if counts[1].all() else None, elsewhere)


def match_tokens(pair: EncodedPair, first_alone: Int[np.ndarray, " _"], encoder: PairEncoder) -> MatchedTokens | None:
    """Aligns the tokens of a pair's sentences; None if no two match, or if there is nothing else to look at.

    Args:
      pair: as the model reads it.
      first_alone: the first sentence's tokens by themselves, to find its end in the format without a mark; those beyond
        the longest row do not matter.
      encoder: gives the format.
    """
    from rapidfuzz.distance import Levenshtein

    first, second = (np.arange(*ends) for ends in _ends(pair, first_alone, encoder))
    first = first[first > 0]
    first_ids, second_ids = pair.token_ids[first], pair.token_ids[second]
    blocks = Levenshtein.opcodes(first_ids.tolist(), second_ids.tolist()).as_matching_blocks()
    aligned = [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
    if not aligned or first.size < 2:
        return None
    seen, queries = np.array(aligned).T
    is_match = seen[:, None] == np.arange(first.size)
    is_same = second_ids[queries][:, None] == first_ids
    return None if is_same.all() else MatchedTokens(first, second[queries], is_match, is_same)


def _ends(
    pair: EncodedPair, first_alone: Int[np.ndarray, " _"], encoder: PairEncoder
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns where each sentence begins and ends in the row, special tokens not included."""
    ids, length = pair.token_ids, len(pair.token_ids)
    if encoder.pair_format == "bert":
        second = int(np.argmax(pair.segment_ids))
        return (1, second - 1), (second, length - 1)
    if encoder.pair_format == "separated":
        end = int(np.argmax(ids == encoder.tokenizer.end_id))
        return (0, end), (end + 1, length - 1)
    # One text: a token may reach over the seam; it belongs to neither sentence.
    common = min(length, len(first_alone))
    differs = np.flatnonzero(ids[:common] != first_alone[:common])
    end = int(differs[0]) if differs.size else common
    return (0, end), (end + (end < len(first_alone)), length)


@functools.lru_cache(maxsize=2)
def _make_forward(graph: nnx.GraphDef, mesh: Mesh) -> Callable[[Parameters, BatchArrays], Array]:
    """Returns the jitted (parameters, batch) -> weights [layers rows query key], averaged over heads."""

    def forward(parameters: Parameters, batch: BatchArrays) -> Array:
        backbone = nnx.merge(graph, parameters).backbone
        _, every = backbone.hidden_states(
            batch["token_ids"],
            document_ids=batch["document_ids"],
            positions=batch["positions"],
            segment_ids=batch["segment_ids"],
        )
        mask = document_mask(batch["document_ids"], causal=backbone.config.family == "gpt2")
        block_graph, blocks = nnx.split(backbone.blocks)

        def of_layer(layer: tuple[Parameters, Array]) -> Array:
            block, hidden = layer
            query, key, _ = nnx.merge(block_graph, block).project(hidden)
            return attention_weights(query, key, mask).mean(axis=1)

        return jax.lax.map(of_layer, (blocks, every[:-1]))

    whole = NamedSharding(mesh, PartitionSpec())
    return jax.jit(forward, out_shardings=whole)
