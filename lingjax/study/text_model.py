"""A model for notebooks: texts in, arrays out."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from lingjax.axes import Parameters
from lingjax.data import PairEncoder, PairRecord, Tokenizer
from lingjax.errors import InputError
from lingjax.evaluation.predict import predict_pairs
from lingjax.files import read_json
from lingjax.models import resolve_folder
from lingjax.study.checkpoints import check_is_one_run, stated_pairs
from lingjax.study.models import check_length, scan_by_default
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.mesh import make_mesh
from lingjax.training.run_folder import is_described
from lingjax.training.start import restore_run, start_pretrained

_BUCKET = 16  # row lengths are multiples of it: each length is compiled once
_HEADS = {"ForSequenceClassification": "pairs", "LMHeadModel": "language_model", "ForMaskedLM": "language_model"}


@dataclasses.dataclass(frozen=True)
class TextModel:
    """A model with its tokenizer, as `load_model` gives it.

    Attributes:
      loaded: shape, parameters, tokenizer, and where they came from.
      pairs: how pairs of texts become token ids.
      mesh: the devices that hold it.
    """

    loaded: LoadedModel
    pairs: Mapping[str, Any]
    mesh: Mesh = dataclasses.field(repr=False)

    @property
    def tokenizer(self) -> Tokenizer:
        """Turns texts into token ids and back."""
        return self.loaded.tokenizer

    def classifier(self) -> LoadedModel:
        """Returns the model if it classifies pairs.

        Raises:
          InputError: it has another head.
        """
        if self.loaded.head != "pairs":
            raise InputError(f"the model has the head '{self.loaded.head}', and pairs need a fine-tuned classifier")
        return self.loaded

    def logits(self, pairs: Sequence[tuple[str, str]], *, batch_size: int = 64) -> Float[np.ndarray, "pairs classes"]:
        """Returns what a fine-tuned classifier says of pairs of texts: the second column speaks for "alike".

        Args:
          pairs: two texts each.
          batch_size: pairs a forward pass; changes the speed only.

        Raises:
          InputError: the model is no classifier of pairs, or a pair has no token.
        """
        records = [PairRecord(str(row), first, second, 0) for row, (first, second) in enumerate(pairs)]
        encoder = PairEncoder(self.tokenizer, **self.pairs)
        if not records:
            return np.zeros((0, 2), np.float32)
        return predict_pairs(self.classifier(), records, encoder, mesh=self.mesh, batch_size=batch_size).logits

    def hidden_states(
        self, texts: Sequence[str], *, batch_size: int = 16
    ) -> list[Float[np.ndarray, "layers_and_embedding tokens width"]]:
        """Returns the states of every token of each text, layer by layer, as transformers' `output_hidden_states` does.

        Layer 0 is the embeddings, the last is after the final norm. BERT reads `[CLS] text [SEP]`, GPT-2 the text.

        Args:
          texts: any number.
          batch_size: texts a forward pass; changes the speed only.

        Raises:
          InputError: a text has no token, or more than the model has positions.
        """
        return self._read(texts, batch_size, lambda every, length: every[:, :length])

    def embed(self, texts: Sequence[str], *, batch_size: int = 16) -> Float[np.ndarray, "texts width"]:
        """Returns one vector a text: the mean of its tokens' last states, special tokens included.

        Arguments and errors are those of `hidden_states`.
        """
        means = self._read(texts, batch_size, lambda every, length: every[-1, :length].mean(axis=0))
        return np.stack(means) if means else np.zeros((0, self.loaded.config.width), np.float32)

    def _read(
        self, texts: Sequence[str], batch_size: int, keep: Callable[[np.ndarray, int], np.ndarray]
    ) -> list[np.ndarray]:
        rows = self._encode(texts)
        forward = _make_forward(self.loaded.graph, self.loaded.head)
        kept: dict[int, np.ndarray] = {}
        longest_first = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
        for start in range(0, len(rows), batch_size):
            members = longest_first[start : start + batch_size]
            width = min(-(-len(rows[members[0]]) // _BUCKET) * _BUCKET, self.loaded.config.max_length)
            token_ids = np.full((batch_size, width), self.tokenizer.pad_id, np.int32)
            document_ids = np.zeros((batch_size, width), np.int32)
            for place, row in enumerate(members):
                token_ids[place, : len(rows[row])] = rows[row]
                document_ids[place, : len(rows[row])] = 1
            with jax.set_mesh(self.mesh):
                states = np.asarray(forward(self.loaded.parameters, token_ids, document_ids))
            for place, row in enumerate(members):
                kept[row] = keep(states[:, place], len(rows[row]))
        return [kept[row] for row in range(len(rows))]

    def _encode(self, texts: Sequence[str]) -> list[Int[np.ndarray, " tokens"]]:
        if isinstance(texts, str):
            raise InputError("expected a list of texts, got one text; put it in brackets")
        tokenizer, longest = self.tokenizer, self.loaded.config.max_length
        rows = tokenizer.reading(self.pairs.get("text", "")).encode(texts)
        if self.loaded.config.family == "bert":
            rows = [np.array([tokenizer.start_id, *row, tokenizer.separator_id], np.int32) for row in rows]
        for number, row in enumerate(rows):
            if not 0 < len(row) <= longest:
                raise InputError(
                    f"text {number} has {len(row)} tokens; the model reads 1 to {longest}, so cut the text"
                )
        return rows


def load_model(
    source: str | os.PathLike,
    *,
    head: str | None = None,
    dtype: str = "float32",
    max_word_characters: int | None = None,
    offline: bool = False,
) -> TextModel:
    """Loads a model and its tokenizer from a run of ours, a Hugging Face folder, or the hub.

    Args:
      source: a run's folder, as `WORKDIR/seed0`, a Hugging Face folder, or a hub name.
      head: `pairs`, `language_model` or `backbone`; by default what the checkpoint holds.
      dtype: what is computed in, `float32` or `bfloat16`.
      max_word_characters: raises WordPiece's limit, above which a whole word becomes one unknown token.
      offline: never touch the network.

    Raises:
      InputError: there is no such model, or it cannot be used; the text says why.

    >>> import lingjax
    >>> model = lingjax.load_model(tiny_model)
    >>> model.embed(["red stone", "a blue moon"]).shape
    (2, 16)
    >>> [states.shape for states in model.hidden_states(["red stone"])]
    [(3, 2, 16)]
    >>> lingjax.load_model(tiny_classifier).logits([("red stone", "magic snow")]).shape
    (1, 2)
    """
    check_is_one_run(source)
    mesh = make_mesh("", devices=jax.local_devices()[:1])
    options = {"mesh": mesh, "changes": {"compute_dtype": dtype}, "max_word_characters": max_word_characters}
    if is_described(source) and head is None:
        loaded = restore_run(source, **options)
    else:
        options["changes"] |= {"scan_layers": scan_by_default()}
        head = head or _held_head(os.fspath(source), offline=offline)
        loaded = start_pretrained(os.fspath(source), head=head, seed=None, offline=offline, **options)
    pairs = stated_pairs(source, loaded, offline=offline)
    check_length(loaded, pairs)
    return TextModel(loaded, pairs, mesh)


def _held_head(source: str, *, offline: bool) -> str:
    """The head that a Hugging Face folder says it holds."""
    architectures = read_json(resolve_folder(source, offline=offline) / "config.json").get("architectures") or [""]
    return next((head for ending, head in _HEADS.items() if architectures[0].endswith(ending)), "backbone")


@functools.lru_cache(maxsize=4)
def _make_forward(graph: nnx.GraphDef, head: str) -> Callable[[Parameters, Any, Any], Array]:
    """Returns the jitted (parameters, token_ids, document_ids) -> states [layers_and_embedding rows length width]."""

    def forward(
        parameters: Parameters, token_ids: Int[Array, "rows length"], document_ids: Int[Array, "rows length"]
    ) -> Float[Array, "layers_and_embedding rows length width"]:
        model = nnx.merge(graph, parameters)
        backbone = model if head == "backbone" else model.backbone
        positions = jnp.where(document_ids > 0, jnp.arange(token_ids.shape[1]), 0)
        last, every = backbone.hidden_states(token_ids, document_ids=document_ids, positions=positions)
        return jnp.concatenate([every[:-1], last[None]]).astype(jnp.float32)

    return jax.jit(forward)
